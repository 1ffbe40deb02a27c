"""Disks that are made for a change: noted in a domain's metadata until its definition names them.

So a vmtui that was killed in between leaves a note, and the next one removes what was made.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import libvirt

from vmtui.backends.libvirt import metadata
from vmtui.backends.libvirt.configuring.elements import give, parsed
from vmtui.backends.libvirt.configuring.own_knobs import own_element, own_text, tidy
from vmtui.backends.libvirt.domain_facts import read
from vmtui.backends.libvirt.in_use import key_of, others_of
from vmtui.backends.libvirt.listing import lookup
from vmtui.backends.libvirt.making import is_left_over
from vmtui.backends.libvirt.places import Places
from vmtui.backends.libvirt.storage import find
from vmtui.model import VMId

_INACTIVE = libvirt.VIR_DOMAIN_XML_INACTIVE


def note(connection: libvirt.virConnect, vm: VMId, names: Sequence[str], mark: str) -> None:
    """Volumes of these names are being made, by the one of that mark; none: no more."""
    domain: Any = lookup(connection, vm)
    root = parsed(str(domain.XMLDesc(_INACTIVE)))
    own = own_element(root)
    give(own, "coming", metadata.SEPARATOR.join(names))
    give(own, "coming-by", mark if names else None)
    tidy(root)
    domain.setMetadata(
        libvirt.VIR_DOMAIN_METADATA_ELEMENT,
        own_text(root),
        metadata.PREFIX,
        metadata.NAMESPACE,
        libvirt.VIR_DOMAIN_AFFECT_CONFIG,
    )


def remove(connection: libvirt.virConnect, places: Places, vm: VMId) -> None:
    """Delete what an interrupted change has made, if that is still so."""
    domain = lookup(connection, vm)
    own = read(vm, "", str(domain.XMLDesc(_INACTIVE))).own
    if not own.coming or not is_left_over(own.coming_by):
        return
    others = others_of(connection, places, None)
    for name in own.coming:
        volume = find(connection, places, name)
        if volume is None:
            continue
        key = key_of(connection, places, str(volume.path()))
        if key not in others.users and key not in others.overlays:
            volume.delete(0)
    note(connection, vm, (), "")
