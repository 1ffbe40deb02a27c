"""Memory by the balloon: asked for above a floor, and followed to what the guest makes of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import Enum

from vmtui.backends.abilities import Balloons, Configures
from vmtui.backends.base import Feature, Progress, ProgressSink, no_progress
from vmtui.counters import Counters, GuestMemory
from vmtui.errors import InputError, RefusedError, UnsupportedError, read_only
from vmtui.fleet import Fleet
from vmtui.hardware.around import Balloon
from vmtui.metrics import LATE_S
from vmtui.model import Event
from vmtui.units import MIB, plain, size
from vmtui.views import VMRef

TOLERANCE_BYTES = MIB
"""Guests count in pages, hypervisors in KiB; nearer than this is reached."""

STILL_S = 5.0
"""A guest that has come no nearer for so long has stopped."""

LEAST_BYTES = 64 * MIB
"""The floor of a guest that tells nothing of its memory."""

RESERVE_LEAST_BYTES = 64 * MIB
RESERVE_SHARE = 8
"""A guest keeps this part of its ceiling available, beside what it uses, unless told otherwise."""

LOOK_S = (0.01, 0.2)
"""Between two looks, while it moves and while it does not: QEMU itself tells once a second only."""

LOOK_SHARE = 4
"""A pause is at least so many times as long as a look took."""


class Compliance(Enum):
    """What a guest made of a request."""

    REACHED = "reached"
    STILL = "stopped"  # it came no nearer for STILL_S
    NO_DRIVER = "no driver"
    SUPERSEDED = "superseded"  # somebody asked for something else meanwhile


@dataclass(frozen=True, slots=True)
class Complied:
    """How a request ended: what it has now, and after how long."""

    compliance: Compliance
    target_bytes: int
    actual_bytes: int
    took_s: float

    def told(self, name: str) -> str:
        """The same in words."""
        name, has, asked = plain(name), size(self.actual_bytes, digits=2), self._asked
        match self.compliance:
            case Compliance.REACHED:
                return f"{name} has {has} after {self.took_s:.2f} s"
            case Compliance.NO_DRIVER:
                return f"{name} stays at {has}: asked for {asked}, but its guest has no driver"
            case Compliance.SUPERSEDED:
                return f"{name} is at {has}: somebody asked for something else than {asked}"
        stood = f"came no nearer for {STILL_S:.0f} s"
        return f"{name} is at {has}: asked for {asked}, it {stood}, after {self.took_s:.2f} s"

    @property
    def _asked(self) -> str:
        return size(self.target_bytes, digits=2)


@dataclass(frozen=True, slots=True)
class Floor:
    """The least that a guest may be asked to leave itself, and why."""

    size_bytes: int
    why: str


def balloons(fleet: Fleet, ref: VMRef) -> Balloons:
    """The backend that has the VM, if it has balloons. Raises UnsupportedError."""
    connection = fleet.connection(ref.uri)
    backend = connection.backend
    if not isinstance(backend, Balloons) or Feature.BALLOON not in backend.features:
        raise UnsupportedError(f"{connection.label} has no balloons")
    return backend


async def floor(fleet: Fleet, ref: VMRef) -> Floor:
    """The highest of the one that was set, and what the guest uses and a reserve beside it."""
    least = Floor(LEAST_BYTES, "no guest gets along with less")
    found = await asyncio.gather(_set_floor(fleet, ref), _own_floor(fleet, ref))
    return max([least, *filter(None, found)], key=lambda one: one.size_bytes)


async def _set_floor(fleet: Fleet, ref: VMRef) -> Floor | None:
    backend = fleet.backend(ref)
    if not isinstance(backend, Configures) or Feature.CONFIGURE not in backend.features:
        return None
    entry = (await backend.hardware(ref.id)).entry("memory.floor")
    if entry is None or not isinstance(entry.next, int):
        return None
    return Floor(entry.next, "memory.floor is set to that")


async def _own_floor(fleet: Fleet, ref: VMRef) -> Floor | None:
    sample = (await fleet.backend(ref).counters([ref.id])).get(ref.id)
    if not isinstance(sample, Counters) or sample.memory is None or sample.memory.guest is None:
        return None
    vm = fleet.vm(ref)
    reserve_bytes = vm.balance.reserve_bytes if vm.balance else None
    if reserve_bytes is None:
        reserve_bytes = max(RESERVE_LEAST_BYTES, vm.memory_bytes // RESERVE_SHARE)
    return need(sample.memory.guest, reserve_bytes)


def need(guest: GuestMemory, reserve_bytes: int) -> Floor | None:
    """What a guest needs by its own figures; None where they are old or missing."""
    old_s = guest.period_s + max(guest.period_s / 2, LATE_S)
    if guest.total_bytes is None or guest.available_bytes is None or (guest.age_s or 0) > old_s:
        return None
    used = max(0, guest.total_bytes - guest.available_bytes)
    why = f"the guest uses {size(used)}, and keeps {size(reserve_bytes)} in reserve"
    return Floor(used + reserve_bytes, why)


async def check(fleet: Fleet, ref: VMRef, target_bytes: int, *, below_floor: bool = False) -> None:
    """Whether the guest may be asked to leave itself that much; giving back always may be.

    Raises InputError above its ceiling, RefusedError below its floor unless `below_floor`, and
    what `Balloons.balloon` raises.
    """
    name = fleet.vm(ref).name
    now = await balloons(fleet, ref).balloon(ref.id)
    if target_bytes > now.ceiling_bytes:
        raise InputError(
            f"{name} can't have {size(target_bytes)}",
            why=f"its ceiling is {size(now.ceiling_bytes)}",
            hint=f"More, from its next boot on: vmtui set {name} memory=SIZE",
        )
    if below_floor or target_bytes >= now.actual_bytes:
        return
    least = await floor(fleet, ref)
    if target_bytes < least.size_bytes:
        raise RefusedError(
            f"{name} is not asked to do with {size(target_bytes)}",
            why=f"its floor is {size(least.size_bytes)}: {least.why}",
            hint=f"All the same: vmtui balloon {name} SIZE --below-floor",
        )


async def ask(fleet: Fleet, ref: VMRef, target_bytes: int, *, below_floor: bool = False) -> None:
    """Ask the guest to leave itself that much. Raises RefusedError, and as `check`."""
    if fleet.connection(ref.uri).read_only:
        raise read_only(f"the balloon of {fleet.vm(ref).name}")
    await check(fleet, ref, target_bytes, below_floor=below_floor)
    await balloons(fleet, ref).ask_memory(ref.id, target_bytes)


async def follow(
    fleet: Fleet,
    ref: VMRef,
    target_bytes: int,
    progress: ProgressSink = no_progress,
    *,
    still_s: float = STILL_S,
) -> Complied:
    """Watch the guest until it has what it was asked for, stops moving, or turns out unable to."""
    backend = balloons(fleet, ref)
    started_s = moved_s = time.monotonic()
    nearest: int | None = None
    async with _told_of(fleet, ref) as news:
        while True:
            asked_s = time.monotonic()
            now = await backend.balloon(ref.id)
            seen_s = time.monotonic()
            distance = abs(now.actual_bytes - target_bytes)
            if nearest is None or distance < nearest:
                nearest, moved_s = distance, seen_s
            if found := _ended(now, target_bytes, still=seen_s - moved_s > still_s):
                await fleet.connection(ref.uri).refresh(ref.id)
                return Complied(found, target_bytes, now.actual_bytes, seen_s - started_s)
            progress(Progress(f"balloon: {size(now.actual_bytes)} → {size(target_bytes)}"))
            moves = seen_s - moved_s < LOOK_S[1]
            await _pause(news, max(LOOK_S[not moves], LOOK_SHARE * (seen_s - asked_s)))


def _ended(now: Balloon, target_bytes: int, *, still: bool) -> Compliance | None:
    if abs(now.actual_bytes - target_bytes) <= TOLERANCE_BYTES:
        return Compliance.REACHED
    if now.target_bytes is not None and abs(now.target_bytes - target_bytes) > TOLERANCE_BYTES:
        return Compliance.SUPERSEDED
    if now.answers is False:
        return Compliance.NO_DRIVER
    return Compliance.STILL if still else None


@asynccontextmanager
async def _told_of(fleet: Fleet, ref: VMRef) -> AsyncIterator[asyncio.Event]:
    """Set when the backend tells of a change of the VM."""
    news = asyncio.Event()

    def happened(uri: str, event: Event) -> None:
        if uri == ref.uri and event.vm in (ref.id, None):
            news.set()

    unwatch = fleet.watch_events(happened)
    try:
        yield news
    finally:
        unwatch()


async def _pause(news: asyncio.Event, pause_s: float) -> None:
    try:
        async with asyncio.timeout(pause_s):
            await news.wait()
    except TimeoutError:
        pass
    news.clear()
