"""Another name for a domain that is off."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import libvirt

from vmtui.backends.libvirt.configuring.elements import parsed, text_of
from vmtui.backends.libvirt.configuring.situation import Situation
from vmtui.backends.libvirt.listing import lookup
from vmtui.backends.libvirt.places import Places
from vmtui.model import VMId


def rename(connection: libvirt.virConnect, places: Places, here: Situation, name: str) -> None:
    """Rename it; if that fails, its definition is as it was `here`. Raises libvirtError."""
    try:
        lookup(connection, here.vm).rename(name, 0)
    except BaseException:
        connection.defineXMLFlags(here.xml, 0)
        raise
    old, new = places.console_log(here.name), places.console_log(name)
    if old and new:
        _rename_log(connection, here.vm, old, new)


def _rename_log(connection: libvirt.virConnect, vm: VMId, old: str, new: str) -> None:
    """What its console prints goes to a file of its new name: the old one is the next VM's."""
    flags = libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE
    root = parsed(str(lookup(connection, vm).XMLDesc(flags)))
    logs = [log for log in root.iterfind("devices/*/log") if log.get("file") == old]
    for log in logs:
        log.set("file", new)
    if logs:
        connection.defineXMLFlags(text_of(root), 0)
        with suppress(OSError):  # it may be root's: then what was printed stays where it is
            Path(old).rename(new)
