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

    def check(self, vm: VMId, what: str, name: str) -> None:
        """Raise BusyError while something else is done to that VM."""
        if vm in self._under_way:
            raise BusyError(
                f"can't {what} {name}", why=f"{self._under_way[vm][0]} of it is still under way"
            )

    def start(self, vm: VMId, what: str, work: Work[T], *, urgent: bool = False) -> asyncio.Task[T]:
        """Do it, whether or not somebody goes on waiting for it. `urgent`: at once."""
        task = asyncio.create_task(self._run(vm, what, work, urgent=urgent), name=f"{what} {vm}")
        task.add_done_callback(_seen)
        return task

    async def _run(self, vm: VMId, what: str, work: Work[T], *, urgent: bool) -> T:
        under_way = self._under_way.setdefault(vm, [])
        under_way.append(what)
        try:
            if urgent:
                return await self.over_own(work)
            async with self._slots:
                return await self.over_own(work)
        finally:
            under_way.remove(what)
            if not under_way:
                self._under_way.pop(vm, None)

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


def _seen(task: asyncio.Task[T]) -> None:
    # Whoever waited may have gone: then nobody asks how it ended.
    if not task.cancelled():
        task.exception()
