"""A deterministic fleet in memory: for `--demo`, screenshots, interface tests and scale tests."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from urllib.parse import parse_qsl

from vmtui.backends.base import Feature
from vmtui.backends.demo_around import DemoAround
from vmtui.backends.demo_console import DemoConsoles
from vmtui.backends.demo_display import DemoDisplays
from vmtui.backends.demo_load import Load, host_counters, vm_counters
from vmtui.backends.demo_making import DemoMaking
from vmtui.backends.demo_trash import DemoTrash, refuse_protected
from vmtui.counters import Counters, HostCounters, Stalled
from vmtui.errors import InputError, NoSuchVMError, StateError, read_only
from vmtui.model import (
    ACTIVE_STATES,
    INACTIVE_STATES,
    VM,
    Accel,
    Disk,
    DiskKind,
    Event,
    EventKind,
    Firmware,
    Host,
    Nic,
    Power,
    State,
    VMId,
)
from vmtui.units import GIB, MIB

HOST_CPUS = 16
HOST_MEMORY_BYTES = 64 * GIB
GUEST_BOOT_S = 0.05
"""How long a demo guest takes to react to a shutdown or a reboot."""

RECENT_S = 0.02
"""Counters of a VM that are no older are not computed again."""

_NAMESPACE = uuid.UUID("6b1c6f0e-7d1f-4f52-9d8c-5a0f6ce2b2f1")

# name, state, vCPUs, memory in MiB, TPM, firmware, what it does
_CAST = (
    ("web-01", State.RUNNING, 4, 4096, False, Firmware.BIOS,
     Load(0.61, 0.004, 40, 80, 0.0008, 3.1e6, 12e6, balloon_bytes=GIB)),
    ("win11", State.RUNNING, 4, 8192, True, Firmware.SECURE_BOOT,
     Load(0.08, 0.001, 12, 4, 0.0021, 2e3, 1e3, used=0.7)),
    ("ci-runner", State.RUNNING, 4, 4096, False, Firmware.UEFI,
     Load(2.4, 0.16, 310, 450, 0.0052, 0.4e6, 0.1e6, used=0.8)),
    ("postgres", State.RUNNING, 2, 8192, False, Firmware.UEFI,
     Load(0.42, 0.011, 820, 1400, 0.0006, 0.9e6, 2.2e6, used=0.6)),
    ("pihole", State.RUNNING, 1, 512, False, Firmware.BIOS,
     Load(0.01, 0.0005, 0.2, 1.5, 0.0009, 9e3, 11e3, used=0.3)),
    ("k3s-a", State.RUNNING, 4, 6144, False, Firmware.UEFI,
     Load(0.9, 0.02, 22, 160, 0.031, 0.2e6, 0.25e6, used=0.55)),
    ("build", State.PAUSED, 8, 16384, False, Firmware.BIOS, Load(0.0, 0.0, 0, 0)),
    ("old-db", State.OFF, 2, 4096, False, Firmware.BIOS, Load(0.02)),
    ("scratch", State.OFF, 1, 1024, False, Firmware.BIOS, Load(0.02)),
    ("router", State.RUNNING, 2, 1024, False, Firmware.BIOS,
     Load(0.15, 0.002, 0.1, 0.8, 0.0007, 14e6, 14e6, used=0.2)),
    ("mail", State.SAVED, 2, 2048, False, Firmware.BIOS, Load(0.02)),
    ("legacy-xp", State.CRASHED, 1, 1024, False, Firmware.BIOS, Load(0.02)),
)  # fmt: skip

# What each operation needs, and the state that it leads to.
_POWER: dict[Power, tuple[frozenset[State], State]] = {
    Power.START: (INACTIVE_STATES, State.RUNNING),
    Power.SHUTDOWN: (frozenset({State.RUNNING, State.STOPPING}), State.OFF),
    Power.STOP: (ACTIVE_STATES, State.OFF),
    Power.REBOOT: (frozenset({State.RUNNING}), State.RUNNING),
    Power.RESET: (ACTIVE_STATES, State.RUNNING),
    Power.PAUSE: (frozenset({State.RUNNING}), State.PAUSED),
    Power.RESUME: (frozenset({State.PAUSED, State.SUSPENDED}), State.RUNNING),
}


class DemoBackend(DemoAround, DemoTrash, DemoMaking, DemoConsoles, DemoDisplays):
    """`demo:`, or `demo:?vms=N` for N VMs (0 for none) and `&host=NAME` for another host."""

    features = (
        Feature.CREATE
        | Feature.DELETE
        | Feature.SHUTDOWN
        | Feature.REBOOT
        | Feature.RESET
        | Feature.PAUSE
        | Feature.LOG
        | Feature.CONSOLE
        | Feature.DISPLAY
        | Feature.POINTER
        | Feature.CLONE
        | Feature.SANDBOX
        | Feature.CONFIGURE
        | Feature.BALLOON
        | Feature.TPM
        | Feature.VARIABLES
        | Feature.PASSTHROUGH
        | Feature.TRASH
    )

    def __init__(
        self,
        uri: str = "demo:",
        *,
        read_only: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self.uri = uri
        self._read_only = read_only
        self._clock = clock
        self._started_s = clock()
        options = dict(parse_qsl(uri.partition("?")[2]))
        self._host_name = options.get("host", "sirius")
        wanted = options.get("vms", str(len(_CAST)))
        if not wanted.isdecimal() or int(wanted) > 100_000:
            raise InputError(f"{uri!r}: vms has to be a number up to 100000")
        self._loads: dict[VMId, Load] = {}
        self._ran: dict[VMId, tuple[float, float | None]] = {}  # seconds so far, going on since
        self._epochs: dict[VMId, int] = {}
        self._recent: dict[VMId, Counters] = {}  # the host's figures are made of the same
        self._vms = {vm.id: vm for vm in (self._cast(i) for i in range(int(wanted)))}
        self._listeners: list[asyncio.Queue[Event]] = []
        self._reactions: set[asyncio.Task[None]] = set()

    def _cast(self, index: int) -> VM:
        name, state, vcpus, memory_mib, tpm, firmware, load = _CAST[index % len(_CAST)]
        if index >= len(_CAST):
            name = f"{name}-{index // len(_CAST):03}"
        vm_id = VMId(str(uuid.uuid5(_NAMESPACE, f"{self._host_name}/{name}")))
        self._loads[vm_id] = replace(load, phase=uuid.UUID(vm_id).int % 628 / 100)
        self._epochs[vm_id] = 0
        self._ran[vm_id] = (0.0, self._started_s if state is State.RUNNING else None)
        return VM(
            id=vm_id,
            name=name,
            state=state,
            vcpus=vcpus,
            memory_bytes=memory_mib * MIB,
            accel=Accel.KVM,
            firmware=firmware,
            tpm=tpm,
            started_at_s=time.time() - 3600 * (1 + index % 50) if state.active else None,
            addresses=(f"192.168.122.{10 + index % 200}",) if state is State.RUNNING else (),
            disks=(
                Disk("vda", DiskKind.DISK, f"/vms/{name}/disk.qcow2", "qcow2", 20 * GIB),
                Disk("sda", DiskKind.CDROM, None, read_only=True),
            ),
            nics=(Nic(f"52:54:00:00:{index >> 8 & 255:02x}:{index & 255:02x}", "network default"),),
            image="debian-12",
            consoles=("serial0", "virtio0") if name == "router" else ("serial0",),
            displays=1,
            description="A VM of the demo fleet: it exists in memory only.",
        )

    # -- connection --------------------------------------------------------------------------

    async def open(self) -> None:
        """Nothing to connect to."""

    async def close(self) -> None:
        """End what pretends to run."""
        for reaction in tuple(self._reactions):
            reaction.cancel()
        await asyncio.gather(*self._reactions, return_exceptions=True)

    async def host(self) -> Host:
        """A host of 16 CPUs and 64 GiB."""
        return Host(self._host_name, HOST_CPUS, HOST_MEMORY_BYTES, "demo", Accel.KVM)

    async def host_counters(self) -> HostCounters:
        """A host that does what its VMs do, and a little more."""
        at_s = self._clock()
        active = [self._counters(vm, at_s) for vm in self._vms.values() if vm.state.active]
        return host_counters(at_s, at_s - self._started_s, HOST_CPUS, HOST_MEMORY_BYTES, active)

    async def vms(self) -> Sequence[VM]:
        """The cast."""
        return tuple(self._vms.values())

    async def vm(self, vm: VMId) -> VM:
        """One of the cast."""
        try:
            return self._vms[vm]
        except KeyError:
            raise NoSuchVMError.named(vm) from None

    async def counters(self, vms: Sequence[VMId]) -> Mapping[VMId, Counters | Stalled]:
        """Smooth loads with a phase of their own for each VM."""
        found: dict[VMId, Counters | Stalled] = {}
        for vm_id in vms:
            vm = self._vms.get(vm_id)
            if vm is None or not vm.state.active:
                continue
            found[vm_id] = self._counters(vm, self._clock())
        return found

    def _counters(self, vm: VM, at_s: float) -> Counters:
        known = self._recent.get(vm.id)
        if known is None or at_s - known.at_s > RECENT_S:
            known = self._recent[vm.id] = self._computed(vm, at_s)
        return known

    def _computed(self, vm: VM, at_s: float) -> Counters:
        ran_s, since_s = self._ran[vm.id]
        ran_s += at_s - since_s if since_s is not None else 0.0
        epoch = str(self._epochs[vm.id])
        actual, target = self.balloon_target(vm)
        load = replace(self._loads[vm.id], balloon_bytes=vm.memory_bytes - actual)
        return vm_counters(
            vm, load, ran_s=ran_s, at_s=at_s, epoch=epoch, unix_s=time.time(), target_bytes=target
        )

    async def events(self) -> AsyncIterator[Event]:
        """What `power`, `create` and `delete` did."""
        queue: asyncio.Queue[Event] = asyncio.Queue()
        self._listeners.append(queue)
        try:
            while True:
                yield await queue.get()
        finally:
            self._listeners.remove(queue)

    def _tell(self, kind: EventKind, vm: VMId) -> None:
        for queue in self._listeners:
            queue.put_nowait(Event(kind, vm))

    # -- changes -----------------------------------------------------------------------------

    async def power(self, vm: VMId, op: Power) -> None:
        """Change the state; a shutdown takes the guest a moment."""
        before = await self.vm(vm)
        if self._read_only:
            raise read_only(f"{op.value} of {before.name}")
        allowed, after = _POWER[op]
        if before.state not in allowed:
            raise StateError(f"can't {op.value} {before.name}", why=f"it is {before.state.value}")
        if op in (Power.STOP, Power.RESET):
            refuse_protected(before, "forced off" if op is Power.STOP else "reset")
        if op is Power.SHUTDOWN:
            self._set_state(vm, State.STOPPING)
            reaction = asyncio.create_task(self._shut_down(vm))
            self._reactions.add(reaction)
            reaction.add_done_callback(self._reactions.discard)
            return
        if op in (Power.START, Power.RESET):
            self._epochs[vm] += 1
            self._ran[vm] = (0.0, None)
        self._set_state(vm, after)
        if op in (Power.START, Power.RESET, Power.REBOOT):
            if op is not Power.START:
                self._tell(EventKind.RESET, vm)
            self.boot_guests(vm)

    async def _shut_down(self, vm: VMId) -> None:
        await asyncio.sleep(GUEST_BOOT_S)
        if vm in self._vms and self._vms[vm].state is State.STOPPING:
            self._set_state(vm, State.OFF)

    def _set_state(self, vm: VMId, state: State) -> None:
        self._recent.pop(vm, None)
        old = self._vms[vm]
        if old.throwaway and not state.active:
            self.left(vm)
            return
        started = old.started_at_s if old.state.active else time.time()
        ran_s, since_s = self._ran[vm]
        if since_s is not None:
            ran_s += self._clock() - since_s
        runs = state in (State.RUNNING, State.STOPPING)
        self._ran[vm] = (ran_s, self._clock() if runs else None)
        self._vms[vm] = self.powered(
            replace(
                old,
                state=state,
                started_at_s=started if state.active else None,
                addresses=old.addresses if state.active else (),
            )
        )
        if not state.active:
            self.stop_guests(vm)
            self.deflate(vm)
        self._tell(EventKind.CHANGED, vm)

    def joined(self, vm: VM) -> None:
        """A VM was made."""
        self._loads[vm.id] = Load(0.02)
        self._epochs[vm.id] = 0
        self._ran[vm.id] = (0.0, None)
        self._vms[vm.id] = vm
        self._tell(EventKind.ADDED, vm.id)

    def left(self, vm: VMId) -> None:
        """A VM is gone."""
        self.stop_guests(vm)
        del self._vms[vm]
        self._tell(EventKind.REMOVED, vm)

    def unix_s(self) -> float:
        """The time of day."""
        return time.time()

    def host_room(self) -> tuple[int, int]:
        """The host's CPUs, and the bytes of its memory."""
        return HOST_CPUS, HOST_MEMORY_BYTES

    # -- Logs --------------------------------------------------------------------------------

    async def log(self, vm: VMId, *, limit_bytes: int = 65536) -> str:
        """Two lines, as a hypervisor would."""
        name = (await self.vm(vm)).name
        return f"demo: {name} was defined in memory\ndemo: no hypervisor runs it\n"[-limit_bytes:]

    async def console_history(self, vm: VMId, name: str = "", *, limit_bytes: int = 65536) -> bytes:
        """What a console printed."""
        return (await self.guest(vm, name)).history[-limit_bytes:]
