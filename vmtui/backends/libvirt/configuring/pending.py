"""Whether what is stored of a domain that runs is something else than what runs."""

from __future__ import annotations

from vmtui.backends.libvirt.configuring.parts import hardware
from vmtui.backends.libvirt.configuring.situation import Situation
from vmtui.errors import InputError
from vmtui.model import VMId


def is_pending(live_xml: str, stored_xml: str) -> bool:
    """Whether the next boot takes a setting or a part otherwise."""
    here = Situation(
        VMId(""), "", active=True, persistent=True, xml=stored_xml, live_xml=live_xml, base=""
    )
    try:
        return bool(hardware(here).pending)
    except InputError:
        return False  # one of them can't be read
