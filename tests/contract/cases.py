"""The backends that the contract is held against, each with what it needs to be tested.

A further backend is one entry: a `BackendCase` made by a fixture, and its name in CASES.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

import pytest

from vmtui.backends.base import Backend, Feature, no_progress
from vmtui.model import Event, EventKind, Power, State, VMId
from vmtui.spec import VMSpec

CASES = (
    "demo",
    "test_driver",
    pytest.param("kvm", marks=pytest.mark.slow),
    pytest.param("session", marks=pytest.mark.slow),
    pytest.param("system", marks=pytest.mark.slow),
)
"""Names of fixtures without their `_case`."""

CONFIGURING = (
    "demo",
    pytest.param("kvm", marks=pytest.mark.slow),
    pytest.param("session", marks=pytest.mark.slow),
    pytest.param("system", marks=pytest.mark.slow),
)
"""Those that implement Configures and Balloons."""

B = TypeVar("B", bound=Backend)

SETTLE_S = 10.0
EVENT_LIMIT_S = 1.0
BOOT_LIMIT_S = 60.0


@dataclass
class BackendCase:
    """One backend under test."""

    connect: Callable[[bool], Backend]
    """A new unopened client of the same place; the argument is `read_only`."""
    spec: Callable[[str], VMSpec]
    """A VM to make; with a real guest, one that boots the micro image and has a disk."""
    has_real_guest: bool = False
    shares_vms: bool = True
    """Whether a second client sees the VMs of the first."""
    paths_left: Callable[[], set[str]] = field(default=set)
    """Everything on disk that belongs to VMs (shared parts excluded)."""
    outside: Callable[[str], str] = str
    """Where this process finds a file that the backend names."""


async def until(
    reached: Callable[[], Awaitable[bool]] | Callable[[], bool],
    limit_s: float = SETTLE_S,
    what: str = "",
) -> None:
    """Wait for a condition. Fails when it does not come true in time."""
    deadline_s = time.monotonic() + limit_s
    while True:
        result = reached()
        if await result if isinstance(result, Awaitable) else result:
            return
        if time.monotonic() > deadline_s:
            pytest.fail(f"not within {limit_s} s: {what or reached}")
        await asyncio.sleep(0.01)


async def in_state(backend: Backend, vm: VMId, *states: State, limit_s: float = SETTLE_S) -> None:
    """Wait until the VM is in one of the states."""

    async def reached() -> bool:
        return (await backend.vm(vm)).state in states

    await until(reached, limit_s, f"{vm} in {states}")


class Listener:
    """Collects the events of one backend."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.events: list[Event] = []

    async def _listen(self) -> None:
        async for event in self._backend.events():
            self.events.append(event)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Listener]:
        """Listens inside the `async with`."""
        task = asyncio.create_task(self._listen())
        # The first step of the task is what subscribes.
        for _ in range(3):
            await asyncio.sleep(0)
        try:
            yield self
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def sees(self, vm: VMId, *kinds: EventKind) -> None:
        """One of `kinds` about that VM (or a resync) comes in time; forgets what came."""

        def seen() -> bool:
            return any(
                event.kind is EventKind.RESYNC or (event.vm == vm and event.kind in kinds)
                for event in self.events
            )

        await until(seen, EVENT_LIMIT_S, f"{kinds} of {vm} in {self.events}")
        self.events.clear()


async def made(backend: Backend, spec: VMSpec) -> VMId:
    """A new VM."""
    return await backend.create(spec, no_progress)


async def wiped(backend: Backend, vm: VMId) -> None:
    """Off and deleted, whatever it is doing."""
    plan = await backend.delete_plan(vm)
    await backend.delete(vm, plan)


@contextlib.asynccontextmanager
async def opened(backend: B) -> AsyncIterator[B]:
    """Open; what is left in it is removed at the end."""
    await backend.open()
    try:
        yield backend
    finally:
        await asyncio.gather(*(wiped(backend, vm.id) for vm in await backend.vms()))
        await backend.close()


def offered(backend: Backend) -> tuple[Power, ...]:
    """The power operations that the backend says it has."""
    needs = {
        Power.SHUTDOWN: Feature.SHUTDOWN,
        Power.REBOOT: Feature.REBOOT,
        Power.RESET: Feature.RESET,
        Power.PAUSE: Feature.PAUSE,
        Power.RESUME: Feature.PAUSE,
    }
    return tuple(op for op in Power if needs.get(op, Feature.NONE) in backend.features)
