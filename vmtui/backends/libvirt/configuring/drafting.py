"""What a list of changes comes to: both definitions edited, each step told, all of it checked."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import libvirt

from vmtui.backends.libvirt.configuring import checks
from vmtui.backends.libvirt.configuring.attaching import found
from vmtui.backends.libvirt.configuring.boot_knobs import is_uefi
from vmtui.backends.libvirt.configuring.cpu_knobs import most_cpus
from vmtui.backends.libvirt.configuring.device_knobs import has_tpm
from vmtui.backends.libvirt.configuring.draft import Draft
from vmtui.backends.libvirt.configuring.elements import said, say, text_of
from vmtui.backends.libvirt.configuring.memory_knobs import ceiling_bytes
from vmtui.backends.libvirt.configuring.nic_knobs import network_of
from vmtui.backends.libvirt.configuring.parts import hardware
from vmtui.backends.libvirt.configuring.reach import ANEW, OFF, RUNS
from vmtui.backends.libvirt.configuring.resolving import resolved
from vmtui.backends.libvirt.configuring.situation import Situation, free_cpus
from vmtui.backends.libvirt.places import Places
from vmtui.errors import InputError, StateError, UnsupportedError
from vmtui.hardware import wording
from vmtui.hardware.changes import SEALED, Assign, Attach, Change, Detach, Step, When
from vmtui.hardware.devices import Device, NewConsole, NewDisk
from vmtui.hardware.settings import PartKind, setting
from vmtui.hardware.tree import Hardware, Takes
from vmtui.model import DiskKind, Firmware
from vmtui.parts import DiskBus, SharedFolder
from vmtui.units import size

_PLUGGED = (DiskBus.VIRTIO, DiskBus.SCSI)


def drafted(
    connection: libvirt.virConnect,
    places: Places,
    here: Situation,
    changes: Sequence[Change],
    when: When,
) -> Draft:
    """All of it, checked. Raises what `Configures.plan` does."""
    check_may(here, when)
    if Assign("cpu.profile", "dedicated") in changes:
        here = replace(here, host=replace(here.host, free=free_cpus(connection, here.vm)))
    drafting = _Drafting(connection, places, Draft(here, deepcopy(here.next), deepcopy(here.now)))
    for change in changes:
        drafting.add(change, when)
    draft = drafting.draft
    if draft.stores:
        checks.check_all(connection, places, here, draft.next)
    return draft


def check_may(here: Situation, when: When) -> None:
    """Raise StateError or UnsupportedError for a time that there is not."""
    if when is When.LIVE and not here.active:
        raise StateError(f"{here.name} can't be changed live", why="it is off")
    if when is not When.LIVE and not here.persistent:
        raise UnsupportedError(
            f"{here.name} has no next boot",
            why="nothing of it is stored: it is gone once it is off",
            hint="Change it live: --live",
        )


class _Drafting:
    """A draft being made, change by change."""

    def __init__(self, connection: libvirt.virConnect, places: Places, draft: Draft) -> None:
        self.draft = draft
        self._connection = connection
        self._places = places
        self._here = draft.here
        self._tree = hardware(draft.here)

    def add(self, change: Change, when: When) -> None:
        """One more. Raises what `Configures.plan` does."""
        settled: Change = change
        if isinstance(change, Assign):
            step = self._assign(change, when)
        elif isinstance(change, Attach):
            step, settled = self._attach(change, when)
        else:
            step = self._detach(change, when)
        table, draft = self._here.table, self.draft
        if table.has_in_xml(settled):
            if draft.now is not None and step.takes in (Takes.LIVE, Takes.BOTH):
                table.apply(draft.now, settled)
            if step.takes in (Takes.NEXT_BOOT, Takes.BOTH):
                table.apply(draft.next, settled)
        if isinstance(change, Assign) and change.key == "name" and change.value != self._here.name:
            self._keep_variables()
        draft.steps.append(step)
        draft.resolved.append(settled)

    def _keep_variables(self) -> None:
        """Say where the UEFI variables are, while libvirt would look for them by the VM's name."""
        root, name = self.draft.next, self._here.name
        if not is_uefi(root) or said(root, "os/nvram") or root.find("os/nvram/source") is not None:
            return
        path = self._places.variables_of(name)
        if path is None:
            raise UnsupportedError(
                f"{name} can't be renamed",
                why="its UEFI variables are in a file named after it, and where is not known here",
                hint="Write the path of that file as <nvram> into its definition first.",
            )
        say(root, "os/nvram", str(path))

    def _assign(self, change: Assign, when: When) -> Step:
        here, key, value = self._here, change.key, change.value
        known = setting(key)
        checks.fits(value, key)
        entry = self._tree.entry(key) or self._so_far().entry(key)
        if entry is None:
            self._explain_missing(key)
            raise UnsupportedError(f"{here.name} has no {known.label}")
        text = wording.assigned(key, entry.now if when is When.LIVE else entry.next, value)
        best, why = entry.takes, entry.why
        if key == "cpus" and best is Takes.BOTH and here.now is not None:
            most = most_cpus(here.now)
            if isinstance(value, int) and value > most:
                best, why = Takes.NEXT_BOOT, f"it was started with a maximum of {most}"
        takes = narrowed(best, why, when, text, active=here.active)
        self._check_value(known.key, change)
        loses = lost(here, change) if value != entry.next else ""
        more = key == "cpus" and isinstance(value, int) and value > most_cpus(self.draft.next)
        if more:
            why = f"its maximum becomes {value} as well"
        waits = takes is Takes.NEXT_BOOT and here.active and when is When.AUTO
        return Step(change, text, takes, why if waits or more else "", loses)

    def _so_far(self) -> Hardware:
        """With the changes before this one, which may have brought what it is about."""
        return hardware(replace(self._here, xml=text_of(self.draft.next)))

    def _explain_missing(self, key: str) -> None:
        part, _, _ = key.rpartition(".")
        if "*" in setting(key).key and self._tree.part(part) is None:
            found(self._here.next, part, self._here.table.cards)  # which raises

    def _check_value(self, key: str, change: Assign) -> None:
        here, value = self._here, change.value
        if key == "name":
            checks.check_name(self._connection, here, str(value))
        elif key == "disk.*.source" and value:
            path = Path(str(value))
            checks.check_file(self._connection, self._places, here, path, medium=True)
        elif key == "nic.*.network":
            nic = network_of(str(value))
            checks.check_card(self._connection, self._places, here, nic)
        elif key == "disk.*.size":
            _check_grows(here, change.key, value)
        elif key == "memory.target":
            _check_target(self.draft, value)

    def _attach(self, change: Attach, when: When) -> tuple[Step, Attach]:
        active = self._here.active
        text = wording.attached(change.device)
        best, why = _plugs(change.device) if active else (Takes.NEXT_BOOT, "")
        takes = narrowed(best, why, when, text, active=active)
        device = resolved(self._connection, self._places, self.draft, change.device)
        note = why if takes is Takes.NEXT_BOOT else ""
        return Step(change, text, takes, note), Attach(device)

    def _detach(self, change: Detach, when: When) -> Step:
        here, part = self._here, self._tree.part(change.part)
        if part is None or part.detach is Takes.NEVER:
            found(here.next, change.part, here.table.cards)  # which raises
            raise InputError(f"{change.part} can't be detached")
        best = part.detach
        if best is Takes.BOTH and not (part.there_now and part.there_next):
            best = Takes.LIVE if part.there_now else Takes.NEXT_BOOT
        text = wording.detached(part)
        takes = narrowed(best, part.detach_why, when, text, active=here.active)
        note = part.detach_why if takes is Takes.NEXT_BOOT else ""
        if part.kind is PartKind.DISK and not note:
            note = "its file stays"
        return Step(change, text, takes, note)


def lost(here: Situation, change: Assign) -> str:
    """What is gone for good once that setting is another."""
    if change.key == "tpm" and change.value == "off" and has_tpm(here.next):
        return f"{SEALED}, unless it gets a TPM again: its state stays until the VM is deleted"
    if change.key == "tpm.version" and has_tpm(here.next):
        return f"{SEALED}, unless it gets this version again: each has a state of its own"
    if change.key in ANEW and is_uefi(here.next) and change.value != Firmware.BIOS:
        return "boot entries and keys of your own in its UEFI variables are lost: they begin anew"
    return ""


def _check_target(draft: Draft, value: object) -> None:
    ceiling = ceiling_bytes(draft.now if draft.now is not None else draft.next)
    if isinstance(value, int) and value > ceiling:
        raise InputError(
            f"the balloon can't leave it {size(value, digits=2)}",
            why=f"its memory is {size(ceiling, digits=2)}",
            hint="Set memory, for the next boot.",
        )


def _check_grows(here: Situation, key: str, value: object) -> None:
    known = here.sizes.get(key.split(".")[1], 0)
    if isinstance(value, int) and value < known:
        raise InputError(
            f"{key} can't be {size(value, digits=2)}",
            why=f"it is {size(known, digits=2)}, and what is cut off a disk is lost",
        )


def _plugs(device: Device) -> tuple[Takes, str]:
    """When a device that comes is there at the best, and why not before."""
    if isinstance(device, SharedFolder):
        return Takes.NEXT_BOOT, "libvirt shares no folder with a guest that runs already"
    if isinstance(device, NewConsole):
        return Takes.NEXT_BOOT, "consoles are given to a guest when it starts"
    if isinstance(device, NewDisk) and (
        device.kind is DiskKind.CDROM or device.bus not in _PLUGGED
    ):
        return Takes.NEXT_BOOT, "that bus takes no disks while the guest runs"
    return Takes.BOTH, ""


def narrowed(best: Takes, why: str, when: When, text: str, *, active: bool) -> Takes:
    """When a change takes effect, as far as it is wanted. Raises where that never is."""
    if best is Takes.NEVER:
        kind = StateError if why in (OFF, RUNS) else None
        raise (kind or UnsupportedError)(f"{text}: that can't be", why=why)
    if when is When.LIVE:
        if best is Takes.NEXT_BOOT:
            hint = "Leave out --live: it is then there at the next boot."
            raise UnsupportedError(f"{text}: that can't be live", why=why, hint=hint)
        return Takes.LIVE
    if when is When.NEXT_BOOT:
        if best is Takes.LIVE:
            why = "it is gone with the power"
            raise UnsupportedError(f"{text}: that is live only", why=why)
        return Takes.NEXT_BOOT
    return best if active else Takes.NEXT_BOOT


def differences(before: Hardware, after: Hardware) -> list[Assign]:
    """What it takes to come from one to the other, as far as settings go."""
    found = []
    for part in before.parts:
        for entry in part.entries:
            other = after.entry(entry.key)
            settable = entry.takes not in (Takes.NEVER, Takes.LIVE)
            if other is not None and settable and other.next != entry.next:
                found.append(Assign(entry.key, other.next))
    known = {entry.key for part in before.parts for entry in part.entries}
    for part in after.parts:
        if before.part(part.id) is not None:
            found += [
                Assign(entry.key, entry.next)
                for entry in part.entries
                if entry.key not in known and entry.takes is not Takes.NEVER
            ]
    return found
