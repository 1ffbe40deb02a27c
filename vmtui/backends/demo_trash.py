"""Deleting VMs of the demo fleet, for good or into a trash that empties itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from vmtui.backends.abilities import Trashed
from vmtui.backends.base import DeletePlan, Doomed, Kept
from vmtui.backends.demo_load import Load
from vmtui.errors import InputError, NoSuchVMError, RefusedError, StateError, read_only
from vmtui.hardware.changes import SEALED
from vmtui.model import VM, Firmware, State, VMId

KEPT_S = 30 * 86400.0
TPM_BYTES, VARIABLES_BYTES = 7_412, 540_672


@dataclass(frozen=True, slots=True)
class _Thrown:
    """What comes back with a VM."""

    entry: Trashed
    vm: VM
    load: Load


class DemoTrash:
    """What the demo's backend answers about VMs that go."""

    _read_only: bool
    _vms: dict[VMId, VM]
    _loads: dict[VMId, Load]

    def __init__(self) -> None:
        super().__init__()
        self._thrown: dict[VMId, _Thrown] = {}

    async def vm(self, vm: VMId) -> VM:
        """One VM."""
        raise NotImplementedError

    def unix_s(self) -> float:
        """The time of day."""
        raise NotImplementedError

    def left(self, vm: VMId) -> None:
        """A VM is gone."""
        raise NotImplementedError

    def joined(self, vm: VM) -> None:
        """A VM is there."""
        raise NotImplementedError

    async def delete_plan(self, vm: VMId) -> DeletePlan:
        """Its disks, variables and TPM state; the image stays."""
        found = await self.vm(vm)
        doomed = [
            Doomed("disk", disk.source, disk.capacity_bytes, sparable=True)
            for disk in found.disks
            if disk.source and not disk.read_only
        ]
        if found.firmware not in (None, Firmware.BIOS):
            doomed.append(
                Doomed("UEFI variables", f"/vms/{found.name}/efivars.fd", VARIABLES_BYTES)
            )
        if found.tpm:
            state = f"/vms/{found.name}/tpm"
            doomed.append(Doomed("TPM state", state, TPM_BYTES, SEALED, sparable=True))
        kept = [
            Kept(disk.source, "read-only") for disk in found.disks if disk.source and disk.read_only
        ]
        if found.image:
            kept.append(Kept(found.image, "the image it was made from"))
        return DeletePlan(vm, found.name, tuple(doomed), tuple(kept), force_off=found.state.active)

    async def delete(self, vm: VMId, plan: DeletePlan) -> None:
        """Take it out of the cast."""
        found = await self.vm(vm)
        if self._read_only:
            raise read_only(f"deleting {found.name}")
        refuse_protected(found, "deleted")
        if found.state.active and not plan.force_off:
            raise StateError(f"can't delete {found.name}", why=f"it is {found.state.value}")
        if plan.to_trash:
            now_s = self.unix_s()
            size_bytes = sum(each.size_bytes or 0 for each in plan.doomed if not each.spared)
            entry = Trashed(vm, found.name, now_s, now_s + KEPT_S, size_bytes)
            self._thrown[vm] = _Thrown(entry, found, self._loads[vm])
        self.left(vm)

    async def trashed(self) -> Sequence[Trashed]:
        """The last deleted first."""
        entries = [thrown.entry for thrown in self._thrown.values()]
        return sorted(entries, key=lambda entry: -entry.deleted_at_s)

    async def restore(self, vm: VMId) -> None:
        """As it was, off."""
        thrown = self._in_trash(vm, "restoring")
        if thrown.vm.name in {other.name for other in self._vms.values()}:
            raise InputError(
                f"{thrown.vm.name} can't come back",
                why="another VM has that name now",
                hint="Rename that one first.",
            )
        del self._thrown[vm]
        self.joined(replace(thrown.vm, state=State.OFF, started_at_s=None, addresses=()))
        self._loads[vm] = thrown.load

    async def purge(self, vm: VMId) -> None:
        """Gone for good."""
        self._in_trash(vm, "purging")
        del self._thrown[vm]

    def _in_trash(self, vm: VMId, verb: str) -> _Thrown:
        thrown = self._thrown.get(vm)
        if thrown is None:
            raise NoSuchVMError.named(vm, [t.vm.name for t in self._thrown.values()])
        if self._read_only:
            raise read_only(f"{verb} {thrown.vm.name}")
        return thrown


def refuse_protected(vm: VM, done: str) -> None:
    """Raise if it may not be deleted or forced off."""
    if vm.protected:
        raise RefusedError(
            f"{vm.name} is not {done}", why="it is protected", hint="Unprotect it: protected=off."
        )
