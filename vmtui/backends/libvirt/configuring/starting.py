"""What a domain is started as once, other than it is stored."""

from __future__ import annotations

from vmtui.backends.libvirt.configuring.boot_knobs import BOOT_KNOBS
from vmtui.backends.libvirt.configuring.elements import parsed, text_of
from vmtui.backends.libvirt.configuring.own_knobs import OWN_KNOBS, own_text

_ORDER, _ONCE = BOOT_KNOBS["boot.order"], OWN_KNOBS["boot.once"]


def once(xml: str) -> tuple[str, str | None]:
    """The definition to start it from, and vmtui's own element without the mark for that."""
    root = parsed(xml)
    first = _ONCE.read(root)
    order = _ORDER.read(root)
    assert isinstance(order, tuple)
    _ONCE.write(root, None)
    if isinstance(first, str) and first not in order[:1]:
        _ORDER.write(root, (first, *(one for one in order if one != first)))
    return text_of(root), own_text(root)
