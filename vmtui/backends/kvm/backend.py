"""`kvm:`: the seam's answers from the store of VMs and their QEMU processes."""

from __future__ import annotations

import asyncio
import platform
import random
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from contextlib import suppress

import psutil

from vmtui.backends import local_host
from vmtui.backends.base import (
    Console,
    DeletePlan,
    Doomed,
    Feature,
    Kept,
    ProgressSink,
    Viewer,
)
from vmtui.backends.kept_output import ALL
from vmtui.backends.kvm import console as consoles
from vmtui.backends.kvm import disks, display, firmware, lifecycle, program, swtpm
from vmtui.backends.kvm.accel import prove
from vmtui.backends.kvm.definition import VERSION, Definition, NicDefinition, memory_text
from vmtui.backends.kvm.files import tail
from vmtui.backends.kvm.gauge import ANSWER_WAIT_S, Gauge
from vmtui.backends.kvm.machine import Machine
from vmtui.backends.kvm.store import Store
from vmtui.backends.kvm.watch import Watch
from vmtui.counters import Counters, HostCounters, Stalled
from vmtui.errors import InputError, NoSuchVMError, StateError, read_only
from vmtui.images import micro
from vmtui.keyboards import known
from vmtui.model import (
    VM,
    Event,
    EventKind,
    Firmware,
    Host,
    Power,
    VMId,
)
from vmtui.picture import Picture
from vmtui.spec import BootKind, VMSpec, name_problem


class KvmBackend:
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
    )

    def __init__(self, *, read_only: bool = False, store: Store | None = None) -> None:
        self._read_only = read_only
        self._store = store or Store()
        self._machines: dict[str, Machine] = {}
        self._gauges: dict[VMId, Gauge] = {}
        self._listeners: list[asyncio.Queue[Event]] = []

    # -- connection --------------------------------------------------------------------------

    async def open(self) -> None:
        """Find the store. Raises OperationError when it can't be used."""
        self._store.prepare()
        self._store.sweep()

    async def close(self) -> None:
        """Let go of everything; VMs go on."""
        for gauge in self._gauges.values():
            await gauge.close()
        self._gauges.clear()
        for machine in self._machines.values():
            await machine.close()
        self._machines.clear()

    async def host(self) -> Host:
        """This machine."""
        proof = await prove()
        return Host(
            name=platform.node(),
            cpus=psutil.cpu_count() or 1,
            memory_bytes=psutil.virtual_memory().total,
            hypervisor=await program.version(),
            accel=proof.accel,
            accel_reason=proof.reason,
        )

    async def host_counters(self) -> HostCounters:
        """This machine's figures."""
        return local_host.read()

    # -- listing -----------------------------------------------------------------------------

    def _rescan(self) -> list[Event]:
        """Bring the machines in line with the store; what changed."""
        events = []
        names = set(self._store.names())
        for name in self._machines.keys() - names:
            machine = self._machines.pop(name)
            machine.forget_process()
            events.append(Event(EventKind.REMOVED, machine.id))
        for name in sorted(names):
            if name not in self._machines:
                self._machines[name] = Machine(self._store, name)
                self._machines[name].reload()
                events.append(Event(EventKind.ADDED, self._machines[name].id))
                continue
            machine = self._machines[name]
            before = machine.id
            if machine.reload():
                if machine.id != before:
                    events.append(Event(EventKind.REMOVED, before))
                events.append(Event(EventKind.CHANGED, machine.id))
        return events

    async def vms(self) -> Sequence[VM]:
        """All folders of the store, each running one asked for its state."""
        self._rescan()
        await asyncio.gather(*(self._refresh(machine) for machine in self._machines.values()))
        return tuple(machine.vm() for machine in self._machines.values())

    async def vm(self, vm: VMId) -> VM:
        """One of them."""
        machine = self._machine(vm)
        await self._refresh(machine)
        return machine.vm()

    async def _refresh(self, machine: Machine) -> None:
        # One that hangs is waited for by its gauge, and by nobody else.
        gauge = self._gauges.get(machine.id)
        if gauge is None or not gauge.hangs:
            await machine.refresh_state()

    def _machine(self, vm: VMId) -> Machine:
        for event in self._rescan():
            self._tell(event)
        for machine in self._machines.values():
            if machine.id == vm:
                return machine
        raise NoSuchVMError.named(vm, sorted(self._machines))

    async def counters(self, vms: Sequence[VMId]) -> Mapping[VMId, Counters | Stalled]:
        """From /proc and from QEMU; what QEMU does not answer at once is taken the next time."""
        wanted = set(vms)
        if not wanted <= {machine.id for machine in self._machines.values()}:
            self._rescan()
        found = [m for m in self._machines.values() if m.id in wanted and m.process is not None]
        gauges = {machine.id: self._gauge(machine) for machine in found}
        for gone in self._gauges.keys() - {machine.id for machine in self._machines.values()}:
            await self._gauges.pop(gone).close()
        asked = [task for gauge in gauges.values() if (task := gauge.ask())]
        if asked:
            await asyncio.wait(asked, timeout=ANSWER_WAIT_S)
        samples = ((vm_id, gauge.read()) for vm_id, gauge in gauges.items())
        return {vm_id: sample for vm_id, sample in samples if sample is not None}

    def _gauge(self, machine: Machine) -> Gauge:
        assert machine.process is not None
        gauge = self._gauges.get(machine.id)
        if gauge is None or gauge.process is not machine.process:
            may_arm = not self._read_only
            gauge = self._gauges[machine.id] = Gauge(machine, machine.process, may_arm=may_arm)
        return gauge

    async def events(self) -> AsyncIterator[Event]:
        """Changes by this process, by others and by guests."""
        queue: asyncio.Queue[Event] = asyncio.Queue()
        self._listeners.append(queue)
        watch = asyncio.create_task(Watch(self._machines, self._rescan, self._tell).run())
        try:
            while True:
                arrival = asyncio.ensure_future(queue.get())
                await asyncio.wait({arrival, watch}, return_when=asyncio.FIRST_COMPLETED)
                if watch.done():
                    arrival.cancel()
                    await watch  # raises why the store can't be watched
                    return
                yield arrival.result()
        finally:
            self._listeners.remove(queue)
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)

    def _tell(self, event: Event) -> None:
        for queue in self._listeners:
            queue.put_nowait(event)

    # -- changes -----------------------------------------------------------------------------

    async def power(self, vm: VMId, op: Power) -> None:
        """One operation at a time for each VM, also among processes."""
        name = self._machine(vm).name
        if self._read_only:
            raise read_only(f"{op.value} of {name}")
        async with self._store.locked(name):
            machine = self._machine(vm)  # it may have changed while the lock was awaited
            await machine.refresh_state()
            lifecycle.check_state(machine, op)
            if op is Power.START:
                await lifecycle.start(machine)
            elif op is Power.STOP:
                await lifecycle.stop(machine)
                machine.reload()
            elif op is not Power.REBOOT:
                await lifecycle.ask(machine, op)
        if op is Power.REBOOT:
            # Not under the lock: a guest that takes its time must stay open to a reset.
            await lifecycle.reboot(machine)
        self._tell(Event(EventKind.CHANGED, vm))

    async def create(self, spec: VMSpec, progress: ProgressSink) -> VMId:
        """Make the folder with all that is in it, then show it: all or nothing."""
        if self._read_only:
            raise read_only(f"creating {spec.name}")
        problem = name_problem(spec.name, self._store.names())
        if problem:
            raise InputError(f"{spec.name or 'the VM'} can't be made", why=problem)
        if spec.boot.kind is BootKind.MICRO:
            await micro.ensure(lambda _: None)
        if spec.firmware is not Firmware.BIOS:
            firmware.choose(spec.firmware)  # refused now rather than at the first start
        vm_id = str(uuid.uuid4())
        async with self._store.staged(spec.name) as folder:
            definition = Definition(
                version=VERSION,
                uuid=vm_id,
                vcpus=spec.vcpus,
                memory=memory_text(spec.memory_bytes),
                boot=spec.boot.kind,
                image=spec.boot.label,
                firmware=spec.firmware,
                tpm=spec.tpm,
                accel=spec.accel,
                description=spec.description,
                disk=await disks.make(spec, folder, progress),
                nic=(NicDefinition(_new_mac()),),
            )
            if spec.tpm:
                await swtpm.set_up(folder)
            await self._store.write(folder, definition)
        for event in self._rescan():
            self._tell(event)
        return VMId(vm_id)

    async def delete_plan(self, vm: VMId) -> DeletePlan:
        """Everything in its folder; files elsewhere stay."""
        machine = self._machine(vm)
        return DeletePlan(
            vm,
            machine.name,
            tuple(_doomed(machine)),
            tuple(_kept(machine)),
            force_off=machine.active,
        )

    async def delete(self, vm: VMId, plan: DeletePlan) -> None:
        """Power it off if the plan says so, then remove its folder."""
        name = self._machine(vm).name
        if self._read_only:
            raise read_only(f"deleting {name}")
        async with self._store.locked(name):
            machine = self._machine(vm)
            if machine.active and not plan.force_off:
                raise StateError(f"can't delete {name}", why=f"it is {machine.state.value}")
            if {d.name for d in _doomed(machine)} != {d.name for d in plan.doomed}:
                raise StateError(
                    f"{name} is not deleted",
                    why="its disks changed since the deletion was confirmed",
                    hint="Delete it again to see what it has now.",
                )
            await lifecycle.stop(machine)
            await machine.close()
            await self._store.remove(name)
        for event in self._rescan():
            self._tell(event)

    # -- Consoles ----------------------------------------------------------------------------

    async def console(
        self, vm: VMId, name: str = "", *, force: bool = False, history_bytes: int = 0
    ) -> Console:
        """Attach to a console's socket."""
        if self._read_only:
            raise read_only(f"the console of {self._machine(vm).name}")
        machine = self._active(vm, "attach to")
        return await consoles.attached(machine, name, force=force, history_bytes=history_bytes)

    async def watch_console(self, vm: VMId, name: str = "", *, history_bytes: int = 0) -> Console:
        """From QEMU's log of the console, disturbing nobody."""
        return consoles.watched(self._active(vm, "watch"), name, history_bytes=history_bytes)

    async def resize_console(self, vm: VMId, name: str, columns: int, rows: int) -> bool:
        """For virtio consoles, where this QEMU can."""
        machine = self._active(vm, "resize the console of")
        if self._read_only:
            raise read_only(f"the console of {machine.name}")
        return await consoles.resized(machine, name, columns, rows)

    async def console_output(self, vm: VMId, name: str = "") -> AsyncGenerator[bytes, None]:
        """From QEMU's log of the console: all since the start, disturbing nobody."""
        console = await self.watch_console(vm, name, history_bytes=ALL)
        try:
            while data := await console.read():
                yield data
        finally:
            await console.close()

    def _active(self, vm: VMId, verb: str) -> Machine:
        machine = self._machine(vm)
        if not machine.active:
            raise StateError(
                f"can't {verb} {machine.name}",
                why=f"it is {machine.state.value}",
                hint=f"Start it: vmtui start {machine.name}",
            )
        return machine

    # -- Displays ----------------------------------------------------------------------------

    async def picture(self, vm: VMId) -> Picture:
        """QEMU's own drawing of the screen."""
        return await display.picture(self._active(vm, "show the screen of"))

    async def press(self, vm: VMId, keys: Sequence[str], *, hold_ms: int = 20) -> None:
        """Keys of the machine's keyboard."""
        await display.press(self._listening(vm), known(keys), hold_ms)

    async def point(self, vm: VMId, x: float, y: float, buttons: frozenset[str]) -> None:
        """The machine's tablet."""
        await display.point(self._listening(vm), x, y, buttons)

    async def viewer(self, vm: VMId) -> Viewer:
        """QEMU's VNC socket."""
        return display.viewer(self._active(vm, "view"))

    def _listening(self, vm: VMId) -> Machine:
        if self._read_only:
            raise read_only(f"input to {self._machine(vm).name}")
        return self._active(vm, "type to")

    # -- Logs --------------------------------------------------------------------------------

    async def log(self, vm: VMId, *, limit_bytes: int = 65536) -> str:
        """What QEMU said, its command line first."""
        runtime = self._machine(vm).place.runtime
        return tail(runtime / "qemu.log", limit_bytes).decode(errors="replace")

    async def console_history(self, vm: VMId, name: str = "", *, limit_bytes: int = 65536) -> bytes:
        """What a console printed since the last start."""
        machine = self._machine(vm)
        return tail(consoles.files(machine, name).log, limit_bytes)


def _doomed(machine: Machine) -> Iterator[Doomed]:
    known = {"vm.toml"}
    for disk in machine.definition.disk if machine.definition else ():
        path = machine.folder / disk.file
        if path.parent == machine.folder:
            known.add(disk.file)
            yield Doomed("disk", str(path), disks.own_file_bytes(path))
    names = {firmware.VARIABLES: "UEFI variables", swtpm.STATE: "TPM state with the keys in it"}
    with suppress(OSError):
        for path in sorted(machine.folder.iterdir()):
            if path.name not in known and not path.name.startswith(".vm.toml"):
                yield Doomed(names.get(path.name, "file"), str(path), disks.own_file_bytes(path))


def _kept(machine: Machine) -> Iterator[Kept]:
    for disk in machine.definition.disk if machine.definition else ():
        path = machine.folder / disk.file
        if path.parent != machine.folder:
            why = "read-only medium" if disk.read_only else "it is outside the VM's folder"
            yield Kept(str(path), why)


def _new_mac() -> str:
    # 52:54:00 is the prefix that QEMU guests customarily have.
    tail_bytes = random.SystemRandom().randbytes(3)
    return "52:54:00:" + ":".join(f"{byte:02x}" for byte in tail_bytes)
