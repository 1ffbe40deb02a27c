"""`kvm:`: the seam's answers from the store of VMs and their QEMU processes."""

from __future__ import annotations

import asyncio
import platform
from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import psutil

from vmtui.backends.abilities import TRASH_DAYS
from vmtui.backends.base import DeletePlan, Feature, ProgressSink
from vmtui.backends.kvm import leaning, program
from vmtui.backends.kvm.machine import Machine, last_run_ended
from vmtui.backends.kvm.reachable import Reachable
from vmtui.backends.kvm.restarting import Restarts
from vmtui.backends.kvm.store import Store
from vmtui.deferred import deferred
from vmtui.errors import StateError, read_only
from vmtui.model import VM, Event, EventKind, Host, Power, State, VMId
from vmtui.parts import CloudInit
from vmtui.spec import Limits, VMSpec

if TYPE_CHECKING:
    from vmtui.backends import local_host
    from vmtui.backends.kvm import (
        accel,
        agent,
        autostart,
        cloning,
        creating,
        deleting,
        lifecycle,
        limits,
    )
    from vmtui.backends.kvm import gauge as gauging
    from vmtui.backends.kvm.gauge import Gauge
    from vmtui.counters import Counters, HostCounters, Stalled
    from vmtui.images.library import Library
else:
    accel, agent, autostart, cloning, creating, deleting, gauging, lifecycle, limits = deferred(
        "vmtui.backends.kvm",
        *("accel", "agent", "autostart", "cloning", "creating", "deleting", "gauge", "lifecycle"),
        "limits",
    )
    (local_host,) = deferred("vmtui.backends", "local_host")


class KvmBackend(Reachable):
    """VMs of this user on this machine, without a daemon."""

    uri = "kvm:"
    features = (
        Feature.CREATE
        | Feature.DELETE
        | Feature.SHUTDOWN
        | Feature.REBOOT
        | Feature.RESET
        | Feature.PAUSE
        | Feature.CONSOLE
        | Feature.LOG
        | Feature.DISPLAY
        | Feature.POINTER
        | Feature.CLONE
        | Feature.SANDBOX
        | Feature.CONFIGURE
        | Feature.BALLOON
        | Feature.TPM
        | Feature.VARIABLES
        | Feature.TRASH
        | Feature.PASSTHROUGH
    )

    def __init__(
        self,
        *,
        read_only: bool = False,
        store: Store | None = None,
        library: Library | None = None,
        trash_days: float = TRASH_DAYS,
    ) -> None:
        super().__init__(store or Store(), read_only=read_only, trash_days=trash_days)
        self._library = library
        self._gauges: dict[VMId, Gauge] = {}
        start = partial(self.power, op=Power.START, only=State.CRASHED)
        self._restarts = Restarts(start, self._machines.tell)

    # -- connection --------------------------------------------------------------------------

    async def open(self) -> None:
        """Find the store. Raises OperationError when it can't be used."""
        self._store.prepare()
        self._store.sweep()
        if not self._read_only:
            await self._trash.sweep()
        self._machines.scan()
        await self._machines.clear_away()

    async def close(self) -> None:
        """Let go of everything; VMs go on."""
        await self._restarts.close()
        for gauge in self._gauges.values():
            await gauge.close()
        self._gauges.clear()
        await self._machines.close()

    async def host(self) -> Host:
        """This machine."""
        proof = await accel.prove()
        return Host(
            name=platform.node(),
            cpus=psutil.cpu_count() or 1,
            memory_bytes=psutil.virtual_memory().total,
            hypervisor=await program.version(),
            accel=proof.accel,
            accel_reason=proof.reason,
            problem="" if program.installed() else program.NOT_INSTALLED,
            here=True,
        )

    async def host_counters(self) -> HostCounters:
        """This machine's figures."""
        return local_host.read()

    # -- listing -----------------------------------------------------------------------------

    async def vms(self) -> Sequence[VM]:
        """All folders of the store, each running one asked for its state."""
        self._machines.scan()
        await self._machines.clear_away()
        await asyncio.gather(*(self._refresh(machine) for machine in self._machines))
        return tuple(map(self._machines.shown, self._machines))

    async def vm(self, vm: VMId) -> VM:
        """One of them."""
        machine = self._machines.find(vm)
        await self._refresh(machine)
        return self._machines.shown(machine)

    async def _refresh(self, machine: Machine) -> None:
        # One that hangs is waited for by its gauge, and by nobody else.
        gauge = self._gauges.get(machine.id)
        if gauge is None or not gauge.hangs:
            await machine.refresh_state()

    async def counters(self, vms: Sequence[VMId]) -> Mapping[VMId, Counters | Stalled]:
        """From /proc and from QEMU; what QEMU does not answer at once is taken the next time."""
        wanted = set(vms)
        if not wanted <= {machine.id for machine in self._machines}:
            self._machines.scan()
        found = [m for m in self._machines if m.id in wanted and m.process is not None]
        gauges = {machine.id: self._gauge(machine) for machine in found}
        for gone in self._gauges.keys() - {machine.id for machine in self._machines}:
            await self._gauges.pop(gone).close()
        asked = [task for gauge in gauges.values() if (task := gauge.ask())]
        if asked:
            await asyncio.wait(asked, timeout=gauging.ANSWER_WAIT_S)
        samples = ((vm_id, gauge.read()) for vm_id, gauge in gauges.items())
        return {vm_id: sample for vm_id, sample in samples if sample is not None}

    def _gauge(self, machine: Machine) -> Gauge:
        assert machine.process is not None
        gauge = self._gauges.get(machine.id)
        if gauge is None or gauge.process is not machine.process:
            gauge = gauging.Gauge(machine, machine.process, may_arm=not self._read_only)
            self._gauges[machine.id] = gauge
        return gauge

    def events(self) -> AsyncIterator[Event]:
        """Changes by this process, by others and by guests. What crashes may be started again."""
        if self._read_only:
            return self._machines.events()
        return self._machines.events(self._restarts.ended)

    # -- changes -----------------------------------------------------------------------------

    async def power(self, vm: VMId, op: Power, *, only: State | None = None) -> None:
        """One operation at a time for each VM, also among processes; nothing if not `only` so."""
        name = self._machines.find(vm).name
        if self._read_only:
            raise read_only(f"{op.value} of {name}")
        async with self._store.locked(name):
            machine = self._machines.find(vm)  # it may have changed while the lock was awaited
            await machine.refresh_state()
            if only not in (None, machine.state):
                return
            lifecycle.check_state(machine, op)
            told = ""
            if op is Power.START:
                leaning.refuse_leaned_on(self._known, machine, "start")
                ports, cpus = self._machines.ports(machine), await self._tuned(machine)
                told = "; ".join(await lifecycle.start(machine, ports, cpus))
            elif op is Power.STOP:
                deleting.refuse_protected(machine, "force off")
                await lifecycle.stop(machine)
                await self._machines.throw_away(machine)
            elif op is not Power.REBOOT:
                await lifecycle.ask(machine, op)
        if op is Power.REBOOT:
            # Not under the lock: a guest that takes its time must stay open to a reset.
            await lifecycle.reboot(machine)
        self._machines.tell(Event(EventKind.CHANGED, vm, told))

    async def create(self, spec: VMSpec, progress: ProgressSink) -> VMId:
        """Make the folder with all that is in it, then show it: all or nothing."""
        if self._read_only:
            raise read_only(f"creating {spec.name}")
        self._machines.scan()
        vm = await creating.create(
            self._store, self._library, spec, self._machines.ports(), progress
        )
        self._machines.tell_changes()
        return vm

    async def preview(self, spec: VMSpec) -> str:
        """The command line that would start it."""
        self._machines.scan()
        return await creating.preview(self._store, self._library, spec, self._machines.ports())

    async def limits(self) -> Limits:
        """What this machine has for a new one."""
        memory = psutil.virtual_memory()
        return Limits(
            taken_names=frozenset(self._store.names()),
            host_cpus=psutil.cpu_count(),
            host_memory_bytes=memory.total,
            free_bytes=await asyncio.to_thread(limits.free_bytes, self._store.root),
            missing=await asyncio.to_thread(limits.lacking),
        )

    async def clone(
        self,
        vm: VMId,
        name: str,
        *,
        linked: bool,
        cloud_init: CloudInit | None,
        progress: ProgressSink,
    ) -> VMId:
        """Make the folder of another, while nobody else can start or change this one."""
        source = self._machines.find(vm).name
        if self._read_only:
            raise read_only(f"cloning {source}")
        async with self._store.locked(source):
            machine = self._machines.find(vm)
            if machine.active:
                raise StateError(
                    f"can't clone {source}",
                    why=f"it is {machine.state.value}",
                    hint=f"Shut it down first: vmtui shutdown {source}",
                )
            made = await cloning.clone(
                machine,
                name,
                linked=linked,
                cloud_init=cloud_init,
                taken=self._machines.ports(),
                progress=progress,
            )
        self._machines.tell_changes()
        return made

    async def agent_answers(self, vm: VMId) -> bool:
        """Whether its guest agent is there now."""
        return await agent.answers(self._machines.find(vm).place.agent)

    async def images_in_use(self) -> Mapping[str, tuple[str, ...]]:
        """By an image's name in the library, the names of the VMs that can't be without it."""
        self._machines.scan()
        return leaning.images_in_use(self._known)

    async def delete_plan(self, vm: VMId) -> DeletePlan:
        """Everything in its folder; files elsewhere stay. StateError if others lean on it."""
        machine = self._machines.find(vm)
        leaning.refuse_leaned_on(self._known, machine, "delete")
        return deleting.plan(machine)

    async def delete(self, vm: VMId, plan: DeletePlan) -> None:
        """Power it off if the plan says so, then remove its folder or put it into the trash."""
        name = self._machines.find(vm).name
        if self._read_only:
            raise read_only(f"deleting {name}")
        async with self._store.locked(name):
            machine = self._machines.find(vm)
            leaning.refuse_leaned_on(self._known, machine, "delete")
            deleting.check(machine, plan)
            await lifecycle.stop(machine)
            await machine.close()
            await last_run_ended(machine)
            if plan.to_trash:
                await self._trash.put(machine)
            else:
                await deleting.remove(machine, plan)
            if machine.definition and machine.definition.autostart:
                await asyncio.to_thread(autostart.follow, name, autostart=False)
        self._machines.tell_changes()
