"""What every domain is defined as, read once and kept until something may have changed it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from vmtui.backends.libvirt import listing
from vmtui.backends.libvirt.bridge import Bridge
from vmtui.backends.libvirt.domain_facts import Definition
from vmtui.backends.libvirt.listing import Seen
from vmtui.model import VM, State, VMId

TIMEOUT_S = 8.0

RENEW_AFTER_S = 20.0
"""libvirt has no event for most that is changed of the next boot alone."""
RENEWED_AT_ONCE = 16
"""For each listing: of a thousand VMs all would be too much."""


class Definitions:
    """From memory while nothing changed them; none is asked for twice at once."""

    def __init__(self) -> None:
        self.told_of_changes = False
        """Whether `outdated` is called for every change; else nothing is kept."""
        self._known: dict[VMId, Definition] = {}
        self._read_at_s: dict[VMId, float] = {}
        self._changes: dict[VMId, int] = {}  # goes up whenever one may be outdated
        self._reading: dict[VMId, asyncio.Future[Definition]] = {}

    def outdated(self, vm: VMId) -> None:
        """It may have changed."""
        self._changes[vm] = self._changes.get(vm, 0) + 1
        self._known.pop(vm, None)
        self._reading.pop(vm, None)

    async def all_of(self, bridge: Bridge, seen: Sequence[Seen]) -> list[Definition]:
        """Those of `seen`, in that order; the oldest are read anew for the next time."""
        for one in self._oldest(seen):
            self._read_anew(bridge, one)
        return await asyncio.gather(*(self.of(bridge, one) for one in seen))

    async def of(self, bridge: Bridge, seen: Seen) -> Definition:
        """One of them; one that can't be had in time is told as such."""
        known = self._known.get(seen.id)
        if known is not None:
            return known
        reading = self._reading.get(seen.id) or self._begin(bridge, seen)
        done, _ = await asyncio.wait({reading}, timeout=TIMEOUT_S)
        if done and reading.exception() is None:
            return reading.result()
        if not done:
            bridge.give_up(reading)
        problem = "its definition could not be read"
        return Definition(VM(seen.id, seen.name, State.OFF, 0, 0, problem=problem))

    def _oldest(self, seen: Sequence[Seen]) -> list[Seen]:
        now_s = time.monotonic()
        known = [one for one in seen if one.id in self._known and one.id not in self._reading]
        old = [one for one in known if now_s - self._read_at_s[one.id] > RENEW_AFTER_S]
        return sorted(old, key=lambda one: self._read_at_s[one.id])[:RENEWED_AT_ONCE]

    def _read_anew(self, bridge: Bridge, seen: Seen) -> None:
        """What is known stays until it is there."""
        reading = self._begin(bridge, seen)

        def give_up() -> None:
            if not reading.done():
                bridge.give_up(reading)

        asyncio.get_running_loop().call_later(TIMEOUT_S, give_up)

    def _begin(self, bridge: Bridge, seen: Seen) -> asyncio.Future[Definition]:
        changes = self._changes.get(seen.id, 0)
        reading = bridge.start(listing.define, seen)
        reading.add_done_callback(lambda done: self._read(seen.id, changes, done))
        self._reading[seen.id] = reading
        return reading

    def _read(self, vm: VMId, changes: int, reading: asyncio.Future[Definition]) -> None:
        if self._reading.get(vm) is reading:
            del self._reading[vm]
        fresh = self._changes.get(vm, 0) == changes
        told = fresh and self.told_of_changes
        if told and not reading.cancelled() and reading.exception() is None:
            self._known[vm] = reading.result()
            self._read_at_s[vm] = time.monotonic()
