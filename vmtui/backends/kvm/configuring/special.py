"""Settings that are more than a key of `vm.toml`, such as the name, sizes and the firmware."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import msgspec

from vmtui.backends.kvm import ballooning, disks, firmware, leaning, swtpm, variables
from vmtui.backends.kvm.configuring import live_drives
from vmtui.backends.kvm.configuring.coming import free_port
from vmtui.backends.kvm.configuring.drafting import Draft
from vmtui.backends.kvm.definition import Definition
from vmtui.backends.kvm.hardware import PLUGGABLE
from vmtui.backends.kvm.machine import Machine
from vmtui.errors import InputError, RefusedError, StateError, UnsupportedError
from vmtui.files import at_home
from vmtui.hardware.changes import Assign, When
from vmtui.hardware.settings import setting
from vmtui.hardware.tree import Takes
from vmtui.model import DiskKind, Firmware
from vmtui.parts import DiskBus
from vmtui.spec import name_problem
from vmtui.units import size
from vmtui.whole import whole_in_thread

TPM_KEY = "tpm.key"
TRAY_BUSES = (DiskBus.SATA, DiskBus.SCSI)

Special = Callable[[Draft, Assign], Awaitable[None]]


async def name(draft: Draft, change: Assign) -> None:
    """Another name: of its folder, which only a VM that is off can change."""
    here, wanted = draft.here, str(change.value)
    refused = f"{here.name} can't be named {wanted}"
    if here.active:
        raise StateError(
            refused, why="it is running", hint=f"Shut it down first: vmtui shutdown {here.name}"
        )
    others = [other for other in draft.machine.store.names() if other != here.name]
    if problem := name_problem(wanted, others):
        raise InputError(refused, why=problem)
    leaning.refuse_leaned_on(draft.known, draft.machine, "rename")
    draft.rename = wanted
    draft.add(change, here.name, Takes.NEXT_BOOT, "", Assign("name", here.name))


async def target(draft: Draft, change: Assign) -> None:
    """What the balloon is to leave the guest: live only."""
    here = draft.here
    if not here.active or draft.when is When.NEXT_BOOT:
        raise StateError(
            f"the balloon of {here.name} can't be asked",
            why="a target is for a VM that runs" if not here.active else "it is live only",
            hint="Its ceiling is the setting memory, its floor memory.floor.",
        )
    assert isinstance(change.value, int)
    ballooning.check(draft.machine, change.value)
    ballooning.check_floor(draft.machine, change.value)
    before = (await ballooning.look(draft.machine)).actual_bytes
    undo = Assign(change.key, before)
    draft.add(change, before, Takes.LIVE, "", undo, live=partial(_ask, target_bytes=change.value))


async def _ask(machine: Machine, target_bytes: int) -> str:
    await ballooning.ask(machine, target_bytes)
    return "the guest was asked"


async def disk_size(draft: Draft, change: Assign) -> None:
    """A drive that grows: its file does, and the guest is told."""
    here, part = draft.here, setting(change.key).part_of(change.key)
    named = here.drive(part)
    disk = here.disk_now(named) or here.disk_then(named)
    if disk is None or disk.kind is DiskKind.CDROM or disk.read_only:
        raise InputError(f"{part} of {here.name} can't grow", why="nothing is written to it")
    path = here.folder / disk.file
    before, wanted = disks.capacity_bytes(path, disk.format), change.value
    assert isinstance(wanted, int)
    if before is not None and wanted < before:
        raise RefusedError(
            f"{part} of {here.name} is not made smaller",
            why=f"it has {size(before, digits=2)}, and what is at its end would be lost",
            hint="Attach a smaller disk, and copy to it in the guest.",
        )
    if wanted % 512:
        raise InputError(f"{change.key} can't be that", why="a disk has whole sectors of 512 bytes")
    note = "a disk can't be made smaller again"
    if not here.active:
        leaning.refuse_leaned_on(draft.known, draft.machine, "change the disk of")
        make = partial(disks.grow, path, disk.format, wanted)
        draft.add(change, before, Takes.NEXT_BOOT, note, None, make=make)
        return
    if here.running is None or draft.when is When.NEXT_BOOT:
        raise UnsupportedError(
            f"{part} of {here.name} can't grow at its next boot",
            why="QEMU has the file open",
            hint="Let it grow live, or while the VM is off.",
        )
    grows = partial(live_drives.resize_disk, name=part, size_bytes=wanted)
    draft.add(change, before, Takes.BOTH, note, None, live=grows)


async def disk_source(draft: Draft, change: Assign) -> None:
    """Another medium in a tray, or none."""
    text = str(change.value or "")
    path = await asyncio.to_thread(_medium, text) if text else ""
    if path is None:
        raise InputError(f"{change.key} can't be {text}", why="there is no such file")
    draft.assign(Assign(change.key, path))


def _medium(text: str) -> str | None:
    path = at_home(text).absolute()
    return str(path) if path.is_file() else None


async def disk_bus(draft: Draft, change: Assign) -> None:
    """Another bus: a drive that becomes a card gets a port for it."""
    part = setting(change.key).part_of(change.key)
    before = draft.disks[part]
    if before is not None and before.kind is DiskKind.CDROM and change.value not in TRAY_BUSES:
        buses = " or ".join(TRAY_BUSES)
        raise InputError(f"{change.key} can't be {change.value}", why=f"a tray is on {buses}")
    draft.assign(change)
    disk = draft.disks[part]
    if disk is not None and disk.bus in PLUGGABLE and not disk.port:
        draft.disks[part] = msgspec.structs.replace(disk, port=free_port(draft))


async def firmware_kind(draft: Draft, change: Assign) -> None:
    """Another firmware, or another set of keys: its variables begin anew, the old ones stay."""
    here, before = draft.here, draft.then
    draft.assign(change)
    after = draft.then
    if change.key == "firmware.keys" and after.firmware is not Firmware.SECURE_BOOT:
        raise InputError("keys can be enrolled with Secure Boot only", hint="Set firmware first.")
    if after.firmware is not Firmware.BIOS:
        firmware.choose(after.firmware, keys=after.firmware_keys)
    await variables.refuse_conversion(here.name, before, here.folder, after.firmware)
    path, aside, back = (
        here.folder / file
        for file in (firmware.VARIABLES, _kept_variables(before), _kept_variables(after))
    )
    if aside == back or not await asyncio.to_thread(lambda: path.exists() or back.exists()):
        return
    if here.active:
        raise StateError(
            f"the firmware of {here.name} can't be changed while it runs",
            why="its variables are in use, and begin anew with another firmware",
            hint=f"Shut it down first: vmtui shutdown {here.name}",
        )
    work = draft.works.pop()
    note = f"it has variables of its own; those of before stay, as {aside.name}"
    draft.works.append(
        replace(
            work,
            step=replace(work.step, note=note),
            make=partial(whole_in_thread, _swap, path, aside, back),
            unmake=partial(_swap, path, back, aside),
        )
    )


def _kept_variables(definition: Definition) -> str:
    """Under which name the variables of another firmware are kept."""
    bare = definition.firmware is Firmware.SECURE_BOOT and not definition.firmware_keys
    kind = f"{definition.firmware.value}{'-without-keys' if bare else ''}"
    return f"{Path(firmware.VARIABLES).stem}-{kind}.fd"


def _swap(path: Path, aside: Path, back: Path) -> None:
    if path.exists():
        path.rename(aside)
    if back.exists():
        back.rename(path)


async def tpm(draft: Draft, change: Assign) -> None:
    """One that is taken out leaves its state, which waits for it."""
    draft.assign(change)
    if change.value == "off" and draft.here.stored.tpm:
        work = draft.works.pop()
        note = "its state stays, for when it has a TPM again"
        draft.works.append(replace(work, step=replace(work.step, note=note)))


async def tpm_encrypted(draft: Draft, change: Assign) -> None:
    """A key for the state of a TPM, beside its folder; a path elsewhere is for vm.toml to say."""
    here, before = draft.here, bool(draft.then.tpm_key)
    chip = swtpm.chip_of(draft.then, here.folder) or swtpm.removed_chip(draft.then, here.folder)
    if chip is not None and chip.state.exists() and bool(change.value) != before:
        raise RefusedError(
            f"the TPM of {here.name} stays {'' if before else 'not '}encrypted",
            why="that is chosen once: its state is there already",
            hint="Clear the TPM first; disk keys sealed in it are lost with that.",
        )
    key = draft.then.tpm_key or TPM_KEY
    draft.then = msgspec.structs.replace(draft.then, tpm_key=key if change.value else "")
    draft.add(change, before, Takes.NEXT_BOOT, "", Assign(change.key, before))


SPECIAL: dict[str, Special] = {
    "name": name,
    "memory.target": target,
    "disk.*.size": disk_size,
    "disk.*.source": disk_source,
    "disk.*.bus": disk_bus,
    "firmware": firmware_kind,
    "firmware.keys": firmware_kind,
    "tpm": tpm,
    "tpm.encrypted": tpm_encrypted,
}
