"""When a VM that crashed is started again: by whoever watches it, a little later each time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

from vmtui.backends.kvm.machine import Machine
from vmtui.errors import VmtuiError
from vmtui.model import Event, EventKind, State, VMId

FIRST_WAIT_S = 5.0
"""systemd, which is told to wait as long for those that it started, comes first by its lock."""

LONGEST_WAIT_S = 300.0
TRIES = 5
CALM_S = 600.0
"""A VM that ran for so long starts counting anew."""


def wait_s(crashes_s: Sequence[float], now_s: float) -> float | None:
    """How long to wait before the next start, by the times of the crashes seen; None: give up.

    Twice as long each time, while they follow each other within CALM_S.
    """
    recent = 0
    later_s = now_s
    for crash_s in reversed(crashes_s):
        if later_s - crash_s > CALM_S:
            break
        recent, later_s = recent + 1, crash_s
    if recent > TRIES:
        return None
    return min(LONGEST_WAIT_S, FIRST_WAIT_S * (1 << max(0, recent - 1)))


class Restarts:
    """Starts the VMs that crash while this process watches them, where their definition says so.

    Of several vmtui that see it, the first that has the VM's lock does it; to the others it runs.
    """

    def __init__(
        self, start: Callable[[VMId], Awaitable[None]], tell: Callable[[Event], None]
    ) -> None:
        self._start = start
        self._tell = tell
        self._crashes_s: dict[VMId, list[float]] = {}
        self._waiting: dict[VMId, asyncio.Task[None]] = {}

    def ended(self, machine: Machine) -> None:
        """A VM's QEMU has ended, in whichever way."""
        definition, vm = machine.definition, machine.id
        if machine.state is not State.CRASHED or definition is None or vm in self._waiting:
            return
        if definition.restart != "on-crash" or definition.throwaway:
            return
        now_s = time.monotonic()
        crashes_s = self._crashes_s.setdefault(vm, [])
        crashes_s.append(now_s)
        delay_s = wait_s(crashes_s, now_s)
        if delay_s is None:
            said = f"crashed {TRIES + 1} times in a row: it is not started again"
            self._tell(Event(EventKind.CHANGED, vm, said))
            return
        self._tell(Event(EventKind.CHANGED, vm, f"crashed: started again in {delay_s:.0f} s"))
        self._waiting[vm] = asyncio.create_task(self._later(machine, vm, delay_s))

    async def _later(self, machine: Machine, vm: VMId, delay_s: float) -> None:
        try:
            await asyncio.sleep(delay_s)
            if machine.state is State.CRASHED:  # nobody else has started it meanwhile
                await self._start(vm)
        except VmtuiError as error:
            self._tell(Event(EventKind.CHANGED, vm, f"not started again: {error.what}"))
        finally:
            del self._waiting[vm]

    async def close(self) -> None:
        """Start no more."""
        tasks = list(self._waiting.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
