"""The questions and changes of `Configures`, as they are done in a worker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import libvirt

from vmtui.backends.libvirt.configuring.changing import change as change  # noqa: PLC0414 (part of it)
from vmtui.backends.libvirt.configuring.drafting import drafted
from vmtui.backends.libvirt.configuring.parts import hardware as tree
from vmtui.backends.libvirt.configuring.situation import look
from vmtui.backends.libvirt.configuring.text_drafting import drafted_text
from vmtui.backends.libvirt.listing import lookup
from vmtui.backends.libvirt.places import Places
from vmtui.backends.libvirt.targets import Targets
from vmtui.errors import StateError
from vmtui.hardware.changes import Change, ChangePlan, DefinitionText, Language, When
from vmtui.hardware.tree import Hardware
from vmtui.model import VMId


def hardware(
    connection: libvirt.virConnect, places: Places, targets: Targets, vm: VMId
) -> Hardware:
    """All that it has."""
    asked = targets.of(vm, int(lookup(connection, vm).ID()))
    return tree(replace(look(connection, places, vm), asked_bytes=asked))


def plan(
    connection: libvirt.virConnect,
    places: Places,
    vm: VMId,
    changes: Sequence[Change],
    when: When,
) -> ChangePlan:
    """What the changes would do."""
    return drafted(connection, places, look(connection, places, vm), changes, when).plan(when)


def definition(connection: libvirt.virConnect, places: Places, vm: VMId) -> DefinitionText:
    """What is stored."""
    here = look(connection, places, vm)
    return DefinitionText(Language.XML, here.xml, here.base)


def plan_text(
    connection: libvirt.virConnect, places: Places, vm: VMId, edited: DefinitionText, when: When
) -> ChangePlan:
    """What an edited definition would do."""
    here = look(connection, places, vm)
    if here.base != edited.base:
        raise StateError(
            f"{here.name} was changed meanwhile",
            why="the text was made from another definition",
            hint="Edit it again.",
        )
    draft = drafted_text(connection, places, here, edited.text, when)
    return draft.plan(when, text=edited.text)
