"""Changes of VMs: each over a connection of its own while it lasts, one at a time for each VM."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from vmtui.backends.libvirt.bridge import Bridge
from vmtui.errors import BusyError
from vmtui.model import VMId

T = TypeVar("T")

AT_ONCE = 4
IDLE_KEPT = 1

Work = Callable[[Bridge], Awaitable[T]]


class Changes:
    """Connections for what may take long, so that a change that hangs holds up nothing else."""

    def __init__(self, connect: Callable[[], Awaitable[Bridge]]) -> None:
        self._connect = connect
        self._idle: list[Bridge] = []
        self._used: set[Bridge] = set()
        self._under_way: dict[VMId, list[str]] = {}
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._closed = False
        self._closing: set[asyncio.Task[None]] = set()

    def busy(self, vm: VMId) -> bool:
        """Whether something is done to that VM."""
        return vm in self._under_way

    def check(self, vm: VMId, what: str, name: str) -> None:
        """Raise BusyError while something else is done to that VM."""
        if vm in self._under_way:
            raise BusyError(
                f"can't {what} {name}", why=f"{self._under_way[vm][0]} of it is still under way"
            )

    def start(self, vm: VMId, what: str, work: Work[T], *, urgent: bool = False) -> asyncio.Task[T]:
        """Do it, whether or not somebody goes on waiting for it. `urgent`: at once."""
        self._under_way.setdefault(vm, []).append(what)
        task = asyncio.create_task(self._run(work, urgent=urgent), name=f"{what} {vm}")
        task.add_done_callback(lambda done: self._ended(vm, what, done))
        return task

    async def _run(self, work: Work[T], *, urgent: bool) -> T:
        if urgent:
            return await self.over_own(work)
        async with self._slots:
            return await self.over_own(work)

    def _ended(self, vm: VMId, what: str, task: asyncio.Task[T]) -> None:
        self._under_way[vm].remove(what)
        if not self._under_way[vm]:
            del self._under_way[vm]
        if not task.cancelled():
            task.exception()  # whoever waited may have gone: then nobody asks how it ended

    async def over_own(self, work: Work[T]) -> T:
        """Do it over a connection that nothing else uses meanwhile."""
        bridge = self._idle.pop() if self._idle else await self._connect()
        self._used.add(bridge)
        try:
            return await work(bridge)
        finally:
            self._used.discard(bridge)
            usable = bridge.lost is None and not bridge.busy and not self._closed
            if usable and len(self._idle) < IDLE_KEPT:
                self._idle.append(bridge)
            else:
                # Not awaited: a cancellation here would deny work that has been done.
                closing = asyncio.create_task(bridge.close())
                self._closing.add(closing)
                closing.add_done_callback(self._closing.discard)

    async def close(self) -> None:
        """Let go of all connections; a change that is being made goes on in libvirt."""
        self._closed = True
        bridges = [*self._idle, *self._used]
        self._idle.clear()
        await asyncio.gather(*(bridge.close() for bridge in bridges), *self._closing)
