"""Noticing what guests and other vmtui processes do: folders, processes and QEMU's events."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from vmtui.backends.kvm import swtpm
from vmtui.backends.kvm.machine import Machine
from vmtui.backends.kvm.monitor import Monitor
from vmtui.errors import VmtuiError
from vmtui.model import Event, EventKind, VMId

LOOK_INTERVAL_S = 0.25
"""How often folders are looked at, and VMs whose monitors are all taken are asked."""

RETRY_MONITOR_S = 2.0

ENDING_TOGETHER_S = 1.0
"""QEMU ends its swtpm before itself; one that ends alone has left it."""

_OF_INTEREST = {
    "STOP", "RESUME", "SHUTDOWN", "POWERDOWN", "RESET", "SUSPEND", "WAKEUP", "GUEST_PANICKED",
    "BLOCK_IO_ERROR",
}  # fmt: skip


class Watch:
    """Tells every change of `machines` to `tell`, and to `ended` those whose QEMU has ended.

    `look` adds and drops machines.
    """

    def __init__(
        self,
        machines: dict[str, Machine],
        look: Callable[[], Awaitable[list[Event]]],
        tell: Callable[[Event], None],
        ended: Callable[[Machine], None],
    ) -> None:
        self._machines = machines
        self._look = look
        self._tell = tell
        self._ended = ended
        self._listeners: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Watch until cancelled."""
        try:
            while True:
                for event in await self._look():
                    self._tell(event)
                for name in self._listeners.keys() - self._machines.keys():
                    self._listeners.pop(name).cancel()
                for machine in tuple(self._machines.values()):
                    if machine.active and machine.name not in self._listeners:
                        self._listeners[machine.name] = asyncio.create_task(
                            self._listen(machine), name=f"watch {machine.name}"
                        )
                await asyncio.sleep(LOOK_INTERVAL_S)
        finally:
            for listener in self._listeners.values():
                listener.cancel()
            await asyncio.gather(*self._listeners.values(), return_exceptions=True)
            self._listeners.clear()

    async def _listen(self, machine: Machine) -> None:
        """Follow one running VM until its QEMU has ended."""
        name, vm_id = machine.name, machine.id
        process = machine.process
        assert process is not None
        ended = asyncio.create_task(process.exited())
        follow = asyncio.create_task(self._follow(machine, vm_id))
        tpm = asyncio.create_task(self._mind_tpm(machine, vm_id))
        try:
            await asyncio.wait({ended, follow}, return_when=asyncio.FIRST_COMPLETED)
            await ended
        finally:
            for task in (ended, follow, tpm):
                task.cancel()
            await asyncio.gather(ended, follow, tpm, return_exceptions=True)
            monitor, machine.monitor = machine.monitor, None
            if monitor is not None:
                await monitor.close()
            if self._listeners.get(name) is asyncio.current_task():
                del self._listeners[name]
            self._tell(Event(EventKind.CHANGED, vm_id, "ended"))
        self._ended(machine)

    async def _mind_tpm(self, machine: Machine, vm_id: VMId) -> None:
        if machine.tpm is not None:
            await machine.tpm.exited()
            await asyncio.sleep(ENDING_TOGETHER_S)
        if machine.tpm_lost:
            self._tell(Event(EventKind.CHANGED, vm_id, swtpm.LOST))

    async def _follow(self, machine: Machine, vm_id: VMId) -> None:
        next_try_s = 0.0
        while machine.active:
            if time.monotonic() >= next_try_s:
                next_try_s = time.monotonic() + RETRY_MONITOR_S
                try:
                    machine.monitor = await Monitor.keep(machine.name, machine.place)
                except VmtuiError:
                    machine.monitor = None
                if machine.monitor is not None:
                    await self._follow_events(machine, machine.monitor, vm_id)
                    continue
            if await machine.refresh_state():
                self._tell(Event(EventKind.CHANGED, vm_id))
            await asyncio.sleep(LOOK_INTERVAL_S)

    async def _follow_events(self, machine: Machine, monitor: Monitor, vm_id: VMId) -> None:
        async for name, data in monitor.events(on_ready=lambda: self._ask(machine, vm_id)):
            if name not in _OF_INTEREST:
                continue
            if name == "POWERDOWN":
                machine.stopping_since_s = time.monotonic()
            elif name in ("RESET", "SHUTDOWN"):
                machine.stopping_since_s = None
            await machine.refresh_state()
            kind = EventKind.RESET if name == "RESET" else EventKind.CHANGED
            self._tell(Event(kind, vm_id, f"{name} {data.get('reason', '')}".strip()))

    async def _ask(self, machine: Machine, vm_id: VMId) -> None:
        if await machine.refresh_state():
            self._tell(Event(EventKind.CHANGED, vm_id))
