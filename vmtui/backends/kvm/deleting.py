"""What goes with a VM when it is deleted, and what stays."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from vmtui.backends.base import DeletePlan, Doomed, Kept
from vmtui.backends.kvm import cloud, disks, firmware, swtpm
from vmtui.backends.kvm.machine import Machine
from vmtui.errors import StateError

_NAMES = {
    firmware.VARIABLES: "UEFI variables",
    swtpm.STATE: "TPM state with the keys in it",
    cloud.KEPT: "cloud-init's orders",
}


def plan(machine: Machine) -> DeletePlan:
    """Everything in its folder goes; files elsewhere stay."""
    doomed, kept = tuple(_doomed(machine)), tuple(_kept(machine))
    return DeletePlan(machine.id, machine.name, doomed, kept, force_off=machine.active)


def check(machine: Machine, confirmed: DeletePlan) -> None:
    """Raise StateError if what would go is no longer what was confirmed."""
    if machine.active and not confirmed.force_off:
        raise StateError(f"can't delete {machine.name}", why=f"it is {machine.state.value}")
    if {item.name for item in _doomed(machine)} != {item.name for item in confirmed.doomed}:
        raise StateError(
            f"{machine.name} is not deleted",
            why="its disks changed since the deletion was confirmed",
            hint="Delete it again to see what it has now.",
        )


def _doomed(machine: Machine) -> Iterator[Doomed]:
    known = {"vm.toml"}
    for disk in machine.definition.disk if machine.definition else ():
        path = machine.folder / disk.file
        if path.parent == machine.folder:
            known.add(disk.file)
            what = "cloud-init seed" if disk.file == disks.SEED else "disk"
            yield Doomed(what, str(path), disks.own_file_bytes(path))
    with suppress(OSError):
        for path in sorted(machine.folder.iterdir()):
            if path.name not in known and not path.name.startswith(".vm.toml"):
                yield Doomed(_NAMES.get(path.name, "file"), str(path), disks.own_file_bytes(path))


def _kept(machine: Machine) -> Iterator[Kept]:
    for disk in machine.definition.disk if machine.definition else ():
        path = machine.folder / disk.file
        if path.parent != machine.folder:
            why = "read-only medium" if disk.read_only else "it is outside the VM's folder"
            yield Kept(str(path), why)
