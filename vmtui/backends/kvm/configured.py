"""What the backend answers about a VM's hardware, and how that and its memory are changed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from vmtui.backends.base import ProgressSink, no_progress
from vmtui.backends.kvm.machine import Machine
from vmtui.backends.kvm.surrounded import Surrounded
from vmtui.deferred import deferred
from vmtui.errors import StateError, VmtuiError, read_only
from vmtui.hardware.when import When
from vmtui.model import Event, EventKind, VMId

if TYPE_CHECKING:
    from vmtui.backends.kvm import ballooning
    from vmtui.backends.kvm.configuring import doing, planning, tree
    from vmtui.hardware import changes as changing
    from vmtui.hardware.around import Balloon
    from vmtui.hardware.changes import Change, ChangePlan, DefinitionText, Outcome
    from vmtui.hardware.tree import Hardware
else:
    (ballooning,) = deferred("vmtui.backends.kvm", "ballooning")
    doing, planning, tree = deferred("vmtui.backends.kvm.configuring", "doing", "planning", "tree")
    (changing,) = deferred("vmtui.hardware", "changes")


class Configured(Surrounded):
    """The part of the backend that is about what QEMU is made of."""

    # -- Configures --------------------------------------------------------------------------

    async def hardware(self, vm: VMId) -> Hardware:
        """From `vm.toml`, from what QEMU was started with, and from QEMU."""
        machine = self._machines.find(vm)
        here = planning.situation(machine)
        balloon, why, plugged_bytes = None, "", None
        if machine.active:
            try:
                balloon = await ballooning.look(machine)
            except VmtuiError as error:
                why = error.what
            plugged_bytes = await ballooning.plugged_bytes(machine)
        seen = tree.Seen(balloon, why, plugged_bytes, await self._notes(machine))
        return tree.hardware(here, seen)

    async def plan(self, vm: VMId, changes: Sequence[Change], when: When = When.AUTO) -> ChangePlan:
        """Put together, found possible, and shown as a difference of `vm.toml`."""
        return (await self._prepared(self._machines.find(vm), changes, when)).plan

    async def change(self, plan: ChangePlan, progress: ProgressSink = no_progress) -> Outcome:
        """Store `vm.toml` whole, then tell QEMU, one step after the other."""
        async with self._changing(plan.vm, f"changing {plan.name}") as machine:
            ready = await self._again(machine, plan)
            outcome = await doing.carry_out(machine, ready, progress)
            if machine.active:
                outcome = await self._settled(machine, ready.draft.here.now, outcome)
        self._machines.tell_changes()
        return outcome

    async def definition(self, vm: VMId) -> DefinitionText:
        """`vm.toml` as it is."""
        text = self._store.text(self._machines.find(vm).name)
        return changing.DefinitionText(changing.Language.TOML, text, planning.text_base(text))

    async def plan_text(
        self, vm: VMId, edited: DefinitionText, when: When = When.AUTO
    ) -> ChangePlan:
        """What an edited `vm.toml` would change."""
        machine = self._machines.find(vm)
        if edited.base != planning.text_base(self._store.text(machine.name)):
            raise _changed_meanwhile(machine.name)
        ready = await planning.prepared_text(machine, self._known, edited.text, when)
        return ready.plan

    async def _prepared(
        self, machine: Machine, changes: Sequence[Change], when: When
    ) -> planning.Prepared:
        return await planning.prepared(machine, self._known, changes, when)

    async def _again(self, machine: Machine, plan: ChangePlan) -> planning.Prepared:
        """The plan made once more, of a VM that nobody else changes now. Raises StateError."""
        if plan.base != planning.base(machine, self._store.text(machine.name)):
            raise _changed_meanwhile(machine.name)
        if isinstance(plan, planning.EditedPlan):
            return await planning.prepared_text(machine, self._known, plan.text, plan.when)
        return await self._prepared(machine, plan.changes, plan.when)

    # -- Balloons ----------------------------------------------------------------------------

    async def balloon(self, vm: VMId) -> Balloon:
        """What it was asked for, and has, this moment."""
        return await ballooning.look(self._on(vm))

    async def ask_memory(self, vm: VMId, target_bytes: int) -> None:
        """Ask the guest to leave itself that much."""
        async with self._changing(vm, "asking a guest for memory"):
            await ballooning.ask(self._on(vm), target_bytes)

    def _on(self, vm: VMId) -> Machine:
        machine = self._machines.find(vm)
        if not machine.active:
            raise StateError(
                f"{machine.name} has no memory to move",
                why=f"it is {machine.state.value}",
                hint=f"Start it: vmtui start {machine.name}",
            )
        return machine

    @asynccontextmanager
    async def _changing(self, vm: VMId, what: str) -> AsyncIterator[Machine]:
        """The VM, which nobody else changes in the block."""
        name = self._machines.find(vm).name
        if self._read_only:
            raise read_only(what)
        async with self._store.locked(name):
            machine = self._machines.find(vm)
            await machine.refresh_state()
            yield machine
        self._machines.tell(Event(EventKind.CHANGED, vm))


def _changed_meanwhile(name: str) -> StateError:
    return StateError(
        f"{name} is not changed",
        why="it was changed by somebody else since that was planned",
        hint="Look at it again, and plan it anew.",
    )
