"""A deterministic fleet in memory: for `--demo`, screenshots, interface tests and scale tests."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from urllib.parse import parse_qsl

from vmtui import boot_time
from vmtui.backends.base import Feature
from vmtui.backends.demo_around import DemoAround
from vmtui.backends.demo_cast import CAST, member
from vmtui.backends.demo_console import DemoConsoles
from vmtui.backends.demo_display import DemoDisplays
from vmtui.backends.demo_load import Load, host_counters, vm_counters
from vmtui.backends.demo_making import DemoMaking
from vmtui.backends.demo_merging import DemoMerging
from vmtui.backends.demo_trash import DemoTrash, refuse_protected
from vmtui.counters import Counters, HostCounters, Stalled
from vmtui.errors import InputError, NoSuchVMError, StateError, read_only
from vmtui.model import (
    ACTIVE_STATES,
    INACTIVE_STATES,
    VM,
    Accel,
    Event,
    EventKind,
    Host,
    Power,
    State,
    VMId,
)
from vmtui.units import GIB

HOST_CPUS = 16
HOST_MEMORY_BYTES = 64 * GIB
GUEST_BOOT_S = 0.05
"""How long a demo guest takes to react to a shutdown or a reboot."""

RECENT_S = 0.02
"""Counters of a VM that are no older are not computed again."""

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


class DemoBackend(DemoAround, DemoMerging, DemoTrash, DemoMaking, DemoConsoles, DemoDisplays):
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
        wanted = options.get("vms", str(len(CAST)))
        if not wanted.isdecimal() or int(wanted) > 100_000:
            raise InputError(f"{uri!r}: vms has to be a number up to 100000")
        self._loads: dict[VMId, Load] = {}
        self._ran: dict[VMId, tuple[float, float | None]] = {}  # seconds so far, going on since
        self._epochs: dict[VMId, int] = {}
        self._recent: dict[VMId, Counters] = {}  # the host's figures are made of the same
        self._vms: dict[VMId, VM] = {}
        for index in range(int(wanted)):
            self._enter(*member(index, self._host_name, boot_time.unix_s()))
        self._listeners: list[asyncio.Queue[Event]] = []
        self._reactions: set[asyncio.Task[None]] = set()

    def _enter(self, vm: VM, load: Load) -> None:
        self._vms[vm.id], self._loads[vm.id], self._epochs[vm.id] = vm, load, 0
        self._ran[vm.id] = (0.0, self._started_s if vm.state is State.RUNNING else None)

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
        everyone = self.in_turns(list(self._vms))
        active = [self._counters(vm, at_s) async for vm in everyone if vm.state.active]
        up_s = at_s - self._started_s
        figures = host_counters(at_s, up_s, HOST_CPUS, HOST_MEMORY_BYTES, active)
        return replace(figures, ksm=self.merged(active))

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
        asked = self.in_turns(vms)
        return {vm.id: self._counters(vm, self._clock()) async for vm in asked if vm.state.active}

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
        held = vm.memory_bytes - actual
        load = replace(self._loads[vm.id], balloon_bytes=held, merges=self.shares_pages)
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
        started = old.started_at_s if old.state.active else boot_time.unix_s()
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
        for known in (self._vms, self._loads, self._epochs, self._ran):
            del known[vm]
        self._recent.pop(vm, None)
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
