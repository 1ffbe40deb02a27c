"""What every domain is defined as, read once and kept until something may have changed it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from vmtui.backends.libvirt import listing
from vmtui.backends.libvirt.bridge import Bridge
from vmtui.backends.libvirt.domain_facts import Definition
from vmtui.backends.libvirt.listing import Seen
from vmtui.model import VM, State, VMId

TIMEOUT_S = 8.0


class Definitions:
    """From memory while nothing changed them; none is asked for twice at once."""

    def __init__(self) -> None:
        self.told_of_changes = False
        """Whether `outdated` is called for every change; else nothing is kept."""
        self._known: dict[VMId, Definition] = {}
        self._changes: dict[VMId, int] = {}  # goes up whenever one may be outdated
        self._reading: dict[VMId, asyncio.Future[Definition]] = {}

    def outdated(self, vm: VMId) -> None:
        """It may have changed."""
        self._changes[vm] = self._changes.get(vm, 0) + 1
        self._known.pop(vm, None)
        self._reading.pop(vm, None)

    async def all_of(self, bridge: Bridge, seen: Sequence[Seen]) -> list[Definition]:
        """Those of `seen`, in that order."""
        return await asyncio.gather(*(self.of(bridge, one) for one in seen))

    async def of(self, bridge: Bridge, seen: Seen) -> Definition:
        """One of them; one that can't be had in time is told as such."""
        known = self._known.get(seen.id)
        if known is not None:
            return known
        reading = self._reading.get(seen.id)
        if reading is None:
            changes = self._changes.get(seen.id, 0)
            reading = bridge.start(listing.define, seen)
            reading.add_done_callback(lambda done: self._read(seen.id, changes, done))
            self._reading[seen.id] = reading
        done, _ = await asyncio.wait({reading}, timeout=TIMEOUT_S)
        if done and reading.exception() is None:
            return reading.result()
        if not done:
            bridge.give_up(reading)
        problem = "its definition could not be read"
        return Definition(VM(seen.id, seen.name, State.OFF, 0, 0, problem=problem))

    def _read(self, vm: VMId, changes: int, reading: asyncio.Future[Definition]) -> None:
        if self._reading.get(vm) is reading:
            del self._reading[vm]
        fresh = self._changes.get(vm, 0) == changes
        told = fresh and self.told_of_changes
        if told and not reading.cancelled() and reading.exception() is None:
            self._known[vm] = reading.result()
