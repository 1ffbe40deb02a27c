"""Making a VM like another one: what is copied, what is leaned on, and what has to be its own."""

from __future__ import annotations

import asyncio
import shutil
import uuid
from dataclasses import replace
from pathlib import Path

import msgspec

from vmtui.backends.base import Progress, ProgressSink
from vmtui.backends.kvm import cloud, disks, firmware, ports, swtpm, tpm_making
from vmtui.backends.kvm.creating import new_mac, refuse_name
from vmtui.backends.kvm.definition import Definition
from vmtui.backends.kvm.hardware import DiskDefinition, NicDefinition
from vmtui.backends.kvm.machine import Machine
from vmtui.errors import InputError, OperationError
from vmtui.files import not_writable
from vmtui.model import DiskKind, VMId
from vmtui.parts import CloudInit
from vmtui.whole import whole_in_thread


async def clone(
    source: Machine,
    name: str,
    *,
    linked: bool,
    cloud_init: CloudInit | None,
    taken: set[int],
    progress: ProgressSink,
) -> VMId:
    """Make the clone, off: all or nothing. `source` is off, and nobody else changes it meanwhile.

    Without `cloud_init` the seed is made anew from what that of `source` was made from.
    """
    definition = source.definition
    if definition is None:
        raise InputError(f"{source.name} can't be cloned", why=source.problem)
    refuse_name(source.store, name)
    _refuse(source, definition, linked)
    await asyncio.to_thread(disks.check_bases, source.name, definition.disk, "cloned")
    kept, image_user = cloud.read(source.folder)
    orders = cloud_init or kept
    vm_id = str(uuid.uuid4())
    async with source.store.staged(name) as folder:
        drives = await _drives(source, definition, folder, linked, progress)
        if orders is not None:
            progress(Progress("making the cloud-init seed", stage="seed"))
            await cloud.write(folder, orders, name=name, instance_id=vm_id, image_user=image_user)
            drives.append(disks.seed_drive())
        else:
            progress(Progress(_same_inside(source.name), stage="seed"))
        await _firmware(source, folder, progress)
        chip = swtpm.chip_of(definition, folder)
        if chip is not None:
            progress(Progress("making a new TPM: what the other's keeps is not in it", stage="TPM"))
            await tpm_making.prepare(name, chip)
        made = msgspec.structs.replace(_unbound(definition, taken), uuid=vm_id, disk=tuple(drives))
        await source.store.write(folder, made)
    return VMId(vm_id)


def _unbound(definition: Definition, taken: set[int]) -> Definition:
    """Without what is of one VM only, or of what was done with it."""
    return msgspec.structs.replace(
        definition,
        nic=tuple(_nic(nic, taken) for nic in definition.nic),
        throwaway=False,
        boot_id="",
        boot_once="",
        protected=False,
        autostart=False,
        vsock=0,
    )


def _same_inside(name: str) -> str:
    return (
        f"warning: without cloud-init the clone has the machine-id and the host keys of {name}; "
        "make it new ones before both run in one network"
    )


def _refuse(source: Machine, definition: Definition, linked: bool) -> None:
    if linked and definition.throwaway:
        raise InputError(
            f"{source.name} can't have a linked clone",
            why="it is thrown away once it was on",
            hint="Make a full clone.",
        )
    for disk in definition.disk:
        if not disk.read_only and disk.kind is DiskKind.DISK and Path(disk.file).is_absolute():
            raise InputError(
                f"{source.name} can't be cloned",
                why=f"its disk {disk.file} is not in its folder, and two VMs can't write to it",
                hint="Move the disk into the VM's folder, and say so in vm.toml.",
            )


async def _drives(
    source: Machine, definition: Definition, folder: Path, linked: bool, progress: ProgressSink
) -> list[DiskDefinition]:
    """All but the seed, which is made anew."""
    return [
        await _drive(source, disk, folder, linked, progress)
        for disk in definition.disk
        if disk.file != disks.SEED
    ]


async def _drive(
    source: Machine, disk: DiskDefinition, folder: Path, linked: bool, progress: ProgressSink
) -> DiskDefinition:
    path = source.folder / disk.file
    if Path(disk.file).is_absolute():
        return disk  # a medium, or another file that nobody writes to
    if not disk.file:
        return disk  # an empty tray
    target = folder / disk.file
    if disk.read_only or disk.kind is DiskKind.CDROM:
        await _copy_file(path, target)
        return disk
    if not linked:
        await disks.copy(path, disk.format, disk.base, target, progress)
        return msgspec.structs.replace(disk, format="qcow2", base=())
    progress(Progress("making the disk", stage="disk"))
    size_bytes = disks.capacity_bytes(path, disk.format)
    if size_bytes is None:
        raise OperationError(f"{path} can't be leaned on", why="it does not say how large it is")
    base = disks.base_of(path.absolute(), disk.format, vm=source.id)
    await disks.lean(target, base, size_bytes)
    return msgspec.structs.replace(disk, format="qcow2", base=(base, *disk.base))


async def _firmware(source: Machine, folder: Path, progress: ProgressSink) -> None:
    variables = source.folder / firmware.VARIABLES
    if variables.exists():
        progress(Progress("copying the UEFI variables", stage="firmware"))
        await _copy_file(variables, folder / variables.name)


async def _copy_file(source: Path, target: Path) -> None:
    try:
        await whole_in_thread(shutil.copyfile, source, target)
        await whole_in_thread(target.chmod, 0o600)
    except OSError as error:
        raise not_writable(target.parent, error) from error


def _nic(nic: NicDefinition, taken: set[int]) -> NicDefinition:
    """Its own MAC, and its own ports of this machine: both VMs may run at once."""
    anew = [replace(forward, host_port=0) for forward in nic.forwards]
    return ports.forwarded(msgspec.structs.replace(nic, mac=new_mac()), anew, taken)
