"""The hardware of the demo fleet: as it runs and as it is stored, changed by plans."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import replace

from vmtui.backends.base import ProgressSink
from vmtui.backends.demo_definition import (
    Definition,
    applied,
    defined,
    undoing,
)
from vmtui.backends.demo_machine import UNWILLING, Machine, base_of, described, diff_of, tree
from vmtui.backends.demo_refusals import Situation
from vmtui.backends.demo_rules import step
from vmtui.backends.demo_text import changes_of, text_of
from vmtui.errors import StateError, read_only
from vmtui.hardware.changes import (
    Assign,
    Attach,
    Change,
    ChangePlan,
    DefinitionText,
    Detach,
    Done,
    Language,
    Outcome,
    Step,
    When,
)
from vmtui.hardware.devices import HostBus, HostDevice, NewDisk
from vmtui.hardware.tree import Hardware, Takes
from vmtui.model import VM, EventKind, VMId
from vmtui.progress import Progress, no_progress
from vmtui.units import size

COMPUTED_AT_ONCE = 50
"""VMs that are looked at before other work gets its turn."""

HOST_DEVICES = (
    HostDevice(HostBus.USB, "046d:0825", "Logitech Webcam C270"),
    HostDevice(HostBus.USB, "1050:0407", "Yubico YubiKey"),
    HostDevice(
        HostBus.USB,
        "046d:c31c",
        "Logitech Keyboard K120",
        used_by="usbhid",
        unavailable="it is the keyboard of this host",
    ),
    HostDevice(HostBus.PCI, "0000:01:00.0", "NVIDIA GA106", group=14, used_by="vfio-pci"),
    HostDevice(HostBus.PCI, "0000:01:00.1", "NVIDIA GA106 audio", group=14, used_by="vfio-pci"),
    HostDevice(
        HostBus.PCI,
        "0000:02:00.0",
        "Samsung NVMe SSD",
        group=15,
        used_by="nvme",
        unavailable="the host's root file system is on it",
    ),
)


class DemoHardware:
    """What the demo's backend answers about the hardware of VMs."""

    _read_only: bool
    _vms: dict[VMId, VM]

    def __init__(self) -> None:
        super().__init__()
        self._machines: dict[VMId, Machine] = {}

    async def vm(self, vm: VMId) -> VM:
        """One VM."""
        raise NotImplementedError

    def host_room(self) -> tuple[int, int]:
        """The host's CPUs, and the bytes of its memory."""
        raise NotImplementedError

    def balloon_target(self, vm: VM) -> tuple[int, int | None]:
        """What the balloon leaves the guest, and what it was asked to leave it."""
        raise NotImplementedError

    async def ask_memory(self, vm: VMId, target_bytes: int) -> None:
        """Move the balloon."""
        raise NotImplementedError

    def _tell(self, kind: EventKind, vm: VMId) -> None:
        raise NotImplementedError

    async def in_turns(self, vms: Sequence[VMId]) -> AsyncIterator[VM]:
        """Those that are there, while other work gets its turn.

        A real backend waits for answers; this one computes them.
        """
        for place, vm_id in enumerate(vms, 1):
            if vm_id in self._vms:
                yield self._vms[vm_id]
            if place % COMPUTED_AT_ONCE == 0:
                await asyncio.sleep(0)

    def machine(self, vm: VM) -> Machine:
        """Its hardware, made up at first sight."""
        known = self._machines.get(vm.id)
        if known is None:
            stored = defined(vm)
            known = self._machines[vm.id] = Machine(stored if vm.state.active else None, stored)
        return known

    def powered(self, vm: VM) -> VM:
        """The VM after its power went on or off: on, it has what is stored."""
        machine = self._machines.get(vm.id)
        if machine is None:
            return vm
        if vm.state.active and machine.now is None:
            spent = {**machine.stored.values, "boot.once": None}
            stored = replace(machine.stored, values=spent)
            machine = Machine(stored, stored)
        elif not vm.state.active:
            machine = Machine(None, machine.stored)
        self._machines[vm.id] = machine
        return described(vm, machine)

    # -- Configures --------------------------------------------------------------------------

    async def hardware(self, vm: VMId) -> Hardware:
        """All parts, in the order of the settings."""
        found = await self.vm(vm)
        machine = self.machine(found)
        situation = self._situation(found, machine.stored)
        return tree(found, machine, situation, self.balloon_target(found))

    def _situation(self, vm: VM, after: Definition) -> Situation:
        cpus, memory_bytes = self.host_room()
        others = [other for other in self._vms.values() if other.id != vm.id]
        users = {address: other.name for other in others for address in self._addresses(other)}
        now = self.machine(vm).now
        taken = frozenset(other.name for other in others)
        return Situation(now is not None, now, after, cpus, memory_bytes, users, taken)

    def _addresses(self, vm: VM) -> Iterable[str]:
        """Of what only one VM can have; whose hardware is not made up yet has its disks."""
        machine = self._machines.get(vm.id)
        if machine is None:
            return [disk.source for disk in vm.disks if disk.source]
        fitted = machine.stored.devices.values()
        return filter(None, (_address(one.device) for one in fitted))

    async def plan(self, vm: VMId, changes: Sequence[Change], when: When = When.AUTO) -> ChangePlan:
        """Each change on top of those before it, judged by what all come to."""
        found = await self.vm(vm)
        stored = self.machine(found).stored
        situation = self._situation(found, stored)
        for change in changes:  # what it comes to, as far as the changes make sense at all
            if _makes_sense(change, situation.after):
                situation = replace(situation, after=applied(situation.after, change))
        before = self.machine(found).now if when is When.LIVE else None
        before = before or stored
        steps: list[Step] = []
        after = stored
        for change in changes:
            steps.append(step(change, before, situation, when))
            before = applied(before, change)
            if steps[-1].takes is not Takes.LIVE:
                after = applied(after, change)
        return ChangePlan(
            vm, found.name, when, tuple(steps), diff_of(found.name, stored, after), base_of(stored)
        )

    async def change(self, plan: ChangePlan, progress: ProgressSink = no_progress) -> Outcome:
        """Store, then do what is live; a guest that does not let go keeps its device."""
        found = await self.vm(plan.vm)
        if self._read_only:
            raise read_only(f"changing {found.name}")
        machine = self.machine(found)
        if base_of(machine.stored) != plan.base:
            raise StateError(
                f"{found.name} was changed meanwhile",
                why="the plan was made from another definition",
                hint="Look at it again.",
            )
        done: list[Done] = []
        undo: list[Change] = []
        for place, each in enumerate(plan.steps):
            progress(Progress(each.text, place / len(plan.steps)))
            await asyncio.sleep(0)  # where a cancellation that came meanwhile takes effect
            base = machine.now if each.takes is Takes.LIVE and machine.now else machine.stored
            undo = [*self._undoing(found, base, each.change), *undo]
            machine, ended = await self._do(found, machine, each)
            done.append(ended)
        self._machines[plan.vm] = machine
        self._vms[plan.vm] = described(self._vms[plan.vm], machine)
        self._tell(EventKind.CHANGED, plan.vm)
        return Outcome(tuple(done), tuple(undo))

    def _undoing(self, vm: VM, base: Definition, change: Change) -> tuple[Change, ...]:
        if isinstance(change, Assign) and change.key == "memory.target":
            actual, target = self.balloon_target(vm)
            return (Assign(change.key, target or actual),)
        return undoing(base, change)

    async def _do(self, vm: VM, machine: Machine, each: Step) -> tuple[Machine, Done]:
        change = each.change
        if isinstance(change, Assign) and change.key == "memory.target":
            assert isinstance(change.value, int)
            await self.ask_memory(vm.id, change.value)
            return machine, Done(each, reached=f"asked for {size(change.value)}")
        if each.takes in (Takes.NEXT_BOOT, Takes.BOTH):
            machine = replace(machine, stored=applied(machine.stored, change))
        if each.takes is Takes.NEXT_BOOT or machine.now is None:
            return machine, Done(each)
        if isinstance(change, Detach) and vm.name == UNWILLING:
            return machine, Done(each, problem="the guest did not let go of it within 10 s")
        machine = replace(machine, now=applied(machine.now, change))
        cpus = isinstance(change, Assign) and change.key == "cpus" and change.value
        return machine, Done(each, reached=f"the guest has {cpus}" if cpus else "")

    async def definition(self, vm: VMId) -> DefinitionText:
        """As TOML."""
        stored = self.machine(await self.vm(vm)).stored
        return DefinitionText(Language.TOML, text_of(stored), base_of(stored))

    async def plan_text(
        self, vm: VMId, edited: DefinitionText, when: When = When.AUTO
    ) -> ChangePlan:
        """The changes between what is stored and the text."""
        found = await self.vm(vm)
        stored = self.machine(found).stored
        if base_of(stored) != edited.base:
            raise StateError(f"{found.name} was changed meanwhile", hint="Edit it again.")
        return await self.plan(vm, changes_of(stored, edited.text), when)

    # -- HostDevices -------------------------------------------------------------------------

    async def host_devices(self) -> Sequence[HostDevice]:
        """Some of all kinds, with the VMs that have them."""
        users = {
            fitted.device.address: vm.name
            for vm in self._vms.values()
            for fitted in self.machine(vm).stored.devices.values()
            if isinstance(fitted.device, HostDevice)
        }
        return tuple(
            replace(device, used_by=users[device.address], unavailable="that VM has it")
            if device.address in users
            else device
            for device in HOST_DEVICES
        )


def _makes_sense(change: Change, definition: Definition) -> bool:
    if isinstance(change, Assign):
        return change.key in definition.values
    return isinstance(change, Attach) or change.part in definition.devices


def _address(device: object) -> str:
    if isinstance(device, NewDisk):
        return str(device.path or "")
    return device.address if isinstance(device, HostDevice) else ""
