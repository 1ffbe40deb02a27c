"""What goes with a VM when it is deleted, what stays, and what is chosen to stay after all."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from vmtui.backends.base import DeletePlan, Doomed, Kept
from vmtui.backends.kvm import cloud, disks, firmware, swtpm, trash
from vmtui.backends.kvm.hardware import DiskDefinition
from vmtui.backends.kvm.machine import Machine
from vmtui.errors import InputError, RefusedError, StateError

KEPT = "kept"
"""Beside the folder of all VMs: a folder a VM with what was spared when it was deleted."""

_DEFINITION = "vm.toml"
_VARIABLES = Path(firmware.VARIABLES).stem
"""Those of another firmware that the VM had begin like that too."""


def plan(machine: Machine) -> DeletePlan:
    """Everything in its folder goes; files elsewhere stay."""
    doomed, kept = tuple(_doomed(machine)), tuple(_kept(machine))
    return DeletePlan(
        machine.id,
        machine.name,
        doomed,
        kept,
        force_off=machine.active,
        spared_to=str(kept_folder(machine)),
    )


def refuse_protected(machine: Machine, what: str) -> None:
    """Raise RefusedError while the VM is protected from that."""
    if machine.definition is not None and machine.definition.protected:
        raise RefusedError(
            f"{what} of {machine.name} is refused",
            why="it is protected",
            hint=f"Take that off first: vmtui set {machine.name} protected=off",
        )


def check(machine: Machine, confirmed: DeletePlan) -> None:
    """Raise StateError if what would go is no longer what was confirmed."""
    refuse_protected(machine, "deletion")
    if machine.active and not confirmed.force_off:
        raise StateError(f"can't delete {machine.name}", why=f"it is {machine.state.value}")
    doomed = {item.name: item for item in _doomed(machine)}
    if doomed.keys() != {item.name for item in confirmed.doomed}:
        raise StateError(
            f"{machine.name} is not deleted",
            why="its disks changed since the deletion was confirmed",
            hint="Delete it again to see what it has now.",
        )
    for item in confirmed.doomed:
        if item.spared and not doomed[item.name].sparable:
            raise InputError(
                f"{item.name} can't be spared", why="it is of no use without the rest of the VM"
            )


async def remove(machine: Machine, confirmed: DeletePlan) -> None:
    """Remove the folder of a VM that is off, less what is spared: that moves beside the store.

    The folder moves there whole first, so whatever ends this half-way, nothing spared is lost.
    """
    spared = {Path(item.name).name for item in confirmed.doomed if item.spared}
    if not spared:
        await machine.store.remove(machine.name)
        return
    to = kept_folder(machine)
    await machine.store.move_out(machine.name, to)
    await asyncio.to_thread(_strip, to, spared | {_DEFINITION})


def kept_folder(machine: Machine) -> Path:
    """Where what is spared of a VM goes: its name, with a number where that is taken."""
    root = machine.store.root.parent / KEPT
    numbered = (root / f"{machine.name}-{number}" for number in range(2, 10_000))
    return next(path for path in (root / machine.name, *numbered) if not path.exists())


def _strip(folder: Path, spared: set[str]) -> None:
    for path in folder.iterdir():
        if path.name in spared:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _doomed(machine: Machine) -> Iterator[Doomed]:
    known = {_DEFINITION, trash.NOTE}
    for disk in machine.definition.disk if machine.definition else ():
        path = machine.folder / disk.file
        if disk.file and path.parent == machine.folder:
            known.add(disk.file)
            yield _doomed_disk(path, disk)
    with suppress(OSError):
        for path in sorted(machine.folder.iterdir()):
            if path.name not in known and not path.name.startswith(f".{_DEFINITION}"):
                yield _doomed_file(machine, path)


def _doomed_file(machine: Machine, path: Path) -> Doomed:
    key = machine.definition.tpm_key if machine.definition else ""
    what, warning, sparable = "file", "", True
    if path.name == swtpm.STATE:
        what, warning = "TPM state", "disk keys sealed in it are lost"
    elif path.name == key:
        what, warning = "TPM key", "without it the TPM's state can't be read, nor a backup of that"
    elif path.name.startswith(_VARIABLES) and path.suffix == ".fd":
        what, warning = "UEFI variables", "boot entries and keys of your own in them are lost"
    else:
        what = "cloud-init's orders" if path.name == cloud.KEPT else "file"
        sparable = False
    return Doomed(what, str(path), _size_bytes(path), warning, sparable=sparable)


def _doomed_disk(path: Path, disk: DiskDefinition) -> Doomed:
    size_bytes = disks.own_file_bytes(path)
    if disk.file == disks.SEED:
        return Doomed("cloud-init seed", str(path), size_bytes)
    # One that leans on others is nothing without them, and they need not wait for it.
    return Doomed("disk", str(path), size_bytes, sparable=not disk.base)


def _size_bytes(path: Path) -> int | None:
    if path.is_dir() and not path.is_symlink():
        return sum(disks.own_file_bytes(inner) or 0 for inner in path.rglob("*"))
    return disks.own_file_bytes(path)


def _kept(machine: Machine) -> Iterator[Kept]:
    definition = machine.definition
    if definition is None:
        return
    for disk in definition.disk:
        path = machine.folder / disk.file
        if disk.file and path.parent != machine.folder:
            why = "read-only medium" if disk.read_only else "it is outside the VM's folder"
            yield Kept(str(path), why)
    key = machine.folder / definition.tpm_key
    if definition.tpm_key and key.parent != machine.folder:
        yield Kept(str(key), "the key of its TPM's state, and of backups of that")
