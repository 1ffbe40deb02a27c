"""A definition that was edited as text: checked, and what of it is known told as steps."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

import libvirt

from vmtui.backends.libvirt.configuring import checks, schema
from vmtui.backends.libvirt.configuring.attaching import found
from vmtui.backends.libvirt.configuring.boot_knobs import is_uefi
from vmtui.backends.libvirt.configuring.draft import Draft
from vmtui.backends.libvirt.configuring.drafting import check_may, differences, lost
from vmtui.backends.libvirt.configuring.elements import Element, parsed
from vmtui.backends.libvirt.configuring.parts import hardware
from vmtui.backends.libvirt.configuring.reach import ANEW, RUNS
from vmtui.backends.libvirt.configuring.recognizing import device_of
from vmtui.backends.libvirt.configuring.situation import Situation
from vmtui.backends.libvirt.places import Places
from vmtui.errors import InputError, StateError, UnsupportedError
from vmtui.hardware import wording
from vmtui.hardware.changes import Attach, Detach, Step, When
from vmtui.hardware.devices import Device
from vmtui.hardware.tree import Hardware, Takes


def drafted_text(
    connection: libvirt.virConnect, places: Places, here: Situation, text: str, when: When
) -> Draft:
    """A definition that somebody edited, checked: what of it is known becomes steps."""
    if when is When.LIVE:
        raise UnsupportedError(
            f"an edited definition of {here.name} can't be live only", why="it is what is stored"
        )
    check_may(here, when)
    root = parsed(text)
    _check_same(here, root)
    edited = replace(here, xml=text)
    draft = Draft(here, root, deepcopy(here.now))
    before, after = hardware(here), hardware(edited)
    _check_variables(here, before, after)
    _assign(draft, before, after, when)
    _exchange(draft, before, after, edited)
    if text != here.xml:
        schema.check(text, here.xml)
        checks.check_all(connection, places, here, root)
    return draft


def _assign(draft: Draft, before: Hardware, after: Hardware, when: When) -> None:
    """Settings that have other values."""
    here = draft.here
    for change in differences(before, after):
        entry = before.entry(change.key)
        takes = entry.takes if entry is not None else Takes.NEXT_BOOT
        wanted = Takes.BOTH if takes is Takes.BOTH and when is When.AUTO else Takes.NEXT_BOOT
        if wanted is Takes.BOTH and draft.now is not None:
            try:
                here.table.apply(draft.now, change)
            except (InputError, UnsupportedError):
                wanted = Takes.NEXT_BOOT
        old = entry.next if entry is not None else None
        words = wording.assigned(change.key, old, change.value)
        draft.steps.append(Step(change, words, wanted, loses=lost(here, change)))
        draft.resolved.append(change)


def _exchange(draft: Draft, before: Hardware, after: Hardware, edited: Situation) -> None:
    """Devices that are gone, and those that have come."""
    for part in before.parts:
        if part.there_next and after.part(part.id) is None:
            gone = Detach(part.id)
            draft.steps.append(Step(gone, wording.detached(part), Takes.NEXT_BOOT))
            draft.resolved.append(gone)
    for part in after.parts:
        if before.part(part.id) is None and (device := _device(edited, part.id)) is not None:
            words = wording.attached(device)
            draft.steps.append(Step(Attach(device), words, Takes.NEXT_BOOT))
            draft.resolved.append(Attach(device))


def _device(edited: Situation, part: str) -> Device | None:
    kind, _, name = part.partition(".")
    if kind == "console" and name.startswith("serial"):
        part = f"serial.{name}"
    try:
        return device_of(found(edited.next, part, edited.table.cards))
    except InputError:
        return None  # a setting of the VM, not a device of its own


def _check_variables(here: Situation, before: Hardware, after: Hardware) -> None:
    if not (here.active and is_uefi(here.next)):
        return
    for key in ANEW:
        was, becomes = before.entry(key), after.entry(key)
        if (was and was.next) != (becomes and becomes.next):
            raise StateError(f"{here.name} can't get another firmware", why=RUNS)


def _check_same(here: Situation, root: Element) -> None:
    for tag in ("name", "uuid"):
        element = root.find(tag)
        said = (element.text or "").strip() if element is not None else ""
        was = (here.next.findtext(tag) or "").strip()
        if said != was:
            line = element.sourceline if element is not None else root.sourceline
            hint = f"Rename it: vmtui set {here.name} name={said}" if tag == "name" else ""
            raise InputError(
                "that would be another VM",
                why=f"line {line}: its {tag} was {was}",
                hint=hint if said else "",
            )
