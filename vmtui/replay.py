"""Replays a recording through a fleet: position, speed, pause, steps and jumps."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from vmtui.alarms import Thresholds
from vmtui.backends.base import Endpoint
from vmtui.backends.replay import ReplayBackend
from vmtui.fleet import Fleet
from vmtui.frames import Moment
from vmtui.recording import Recording
from vmtui.retelling import Retelling
from vmtui.tape import Place, Tape
from vmtui.views import FleetView

SPEEDS = (1, 4, 16)

HOUR_S = 3600.0
FINE_S = 330.0
"""How far back from where a jump ends every sample is read again, for graphs at full resolution;
the rest of the hour is read once a part."""

GAP_S = 10.0
"""Longer stretches in which nothing was recorded are skipped."""


class ReplayFleet(Fleet):
    """A fleet whose connections are told what was recorded of them."""

    def __init__(
        self,
        recording: Recording,
        *,
        thresholds: Thresholds | None = None,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        endpoints = [
            Endpoint(ReplayBackend(uri), label) for uri, label in _connections(recording).items()
        ]
        self.quiet = False
        """While many moments are read at once, none of them is shown."""
        super().__init__(endpoints, read_only=True, thresholds=thresholds)
        for connection in self.connections:
            connection.recorded = True
        self.player = Player(recording, self, now_s)

    def supervise(self) -> None:
        """Play in the background until `close`."""
        self._supervisors = [asyncio.create_task(self.player.run(), name="replay")]

    def _changed(self) -> None:
        if not self.quiet:
            super()._changed()

    def view(self) -> FleetView:
        """The picture of the moment that is replayed."""
        return replace(super().view(), at_s=self.player.position_s)

    def show(self) -> None:
        """Publish a view of this moment."""
        self._changed()


def _connections(recording: Recording) -> dict[str, str]:
    """URIs and labels of all connections that were ever recorded."""
    found: dict[str, str] = {}
    for part in recording.parts:
        for uri, label in part.began.connections:
            found.setdefault(uri, label)
    return found


class Player:
    """Feeds the connections of a fleet; whoever holds the keys tells it where to go."""

    def __init__(
        self, recording: Recording, fleet: ReplayFleet, now_s: Callable[[], float]
    ) -> None:
        self._recording = recording
        self._tape = Tape(recording)
        self._fleet = fleet
        self._now_s = now_s
        self._retelling = Retelling(fleet.connections)
        self._played_s: float | None = None  # the time of the last moment
        self._at_s = recording.parts[0].at_s
        self._since_s = now_s()  # when it was there
        self._due_s = self._at_s  # the time of the next moment
        self._jump: float | Place | None = None
        self._steps = 0
        self._asked = asyncio.Event()
        self.paused = False
        self.ended = False
        self.speed = SPEEDS[0]
        self.end_s = recording.end_s

    # -- where it is -------------------------------------------------------------------------

    @property
    def position_s(self) -> float:
        """The time of the recording now (monotonic)."""
        if self.paused or self.ended:
            return self._at_s
        passed_s = (self._now_s() - self._since_s) * self.speed
        return max(self._at_s, min(self._at_s + passed_s, self._due_s))

    @property
    def unix_s(self) -> float:
        """The wall clock then."""
        return self._recording.unix_s(self.position_s)

    def local(self) -> datetime:
        """The same for people, in this machine's time zone."""
        return datetime.fromtimestamp(self.unix_s)

    def text(self) -> str:
        """Position, end and how it goes on."""
        end = datetime.fromtimestamp(self._recording.unix_s(self.end_s))
        how = "■" if self.ended else "‖" if self.paused else "▸"
        speed = f" {self.speed}×" if self.speed != 1 else ""
        return f"replay {self.local():%H:%M:%S} / {end:%H:%M:%S} {how}{speed}"

    def _stand_at(self, at_s: float) -> None:
        self._at_s, self._since_s = at_s, self._now_s()

    # -- what is asked of it -----------------------------------------------------------------

    def toggle(self) -> None:
        """Pause, or go on; at the end, from the beginning."""
        if self.ended:
            self.begin()
            self.paused = False
        else:
            self._stand_at(self.position_s)
            self.paused = not self.paused
        self._ask()

    def step(self, by: int) -> None:
        """So many moments on, or back, and pause there."""
        self._stand_at(self.position_s)
        self.paused = True
        self._steps += by
        self._ask()

    def seek(self, by_s: float) -> None:
        """Jump on or back in time."""
        first_s = self._recording.parts[0].at_s
        self._jump_to(min(max(self.position_s + by_s, first_s), self.end_s))

    def begin(self) -> None:
        """Jump to the first moment."""
        self._jump_to(self._recording.parts[0].at_s)

    def end(self) -> None:
        """Jump to the last moment."""
        self._jump_to(self.end_s)

    def _jump_to(self, at_s: float) -> None:
        self._jump = at_s
        self._steps = 0
        self._stand_at(at_s)
        self._ask()

    def next_speed(self) -> None:
        """The next faster speed; after the fastest, the slowest."""
        self._stand_at(self.position_s)
        self.speed = SPEEDS[(SPEEDS.index(self.speed) + 1) % len(SPEEDS)]
        self._ask()

    def _ask(self) -> None:
        self._asked.set()
        self._fleet.show()

    # -- playing -----------------------------------------------------------------------------

    async def run(self) -> None:
        """Play, and do what is asked, until cancelled."""
        while True:
            self._asked.clear()
            if self._steps < 0:
                self._jump, self._steps = await self._tape.back(-self._steps), 0
            if self._jump is not None:
                jump, self._jump = self._jump, None
                await self._go(jump)
                continue
            due = await self._due()
            if due is None or (self.paused and not self._steps):
                self._steps = 0
                self._fleet.show()
                await self._asked.wait()
            elif self._steps or await self._waited():
                self._steps = max(0, self._steps - 1)
                self._feed(due)
                self._stand_at(self._due_s)

    async def _due(self) -> Moment | None:
        """The next moment; None: there is no more."""
        due = await self._tape.peek()
        self.ended = due is None
        if due is None:
            self._stand_at(self.end_s)
        else:
            self._due_s = due.at_s + self._tape.part.shift_s
        return due

    async def _waited(self) -> bool:
        """Whether it is time for the next moment; not if something else is asked before."""
        if self._due_s - self._at_s > GAP_S:
            self._stand_at(self._due_s)
        passed_s = self._now_s() - self._since_s
        try:
            async with asyncio.timeout((self._due_s - self._at_s) / self.speed - passed_s):
                await self._asked.wait()
        except TimeoutError:
            return True
        return False

    def _feed(self, moment: Moment) -> None:
        """Play the next moment."""
        part = self._tape.part
        if self._tape.place.index == 0:
            self._retelling.begin(part)
        self._tape.advance()
        self._played_s = moment.at_s + part.shift_s
        self._retelling.tell(moment)

    # -- jumping -----------------------------------------------------------------------------

    async def _go(self, to: float | Place) -> None:
        """Read what comes before `to` as far as it is shown, unless asked elsewhere meanwhile."""
        target = await self._tape.find(to) if isinstance(to, float) else to
        target = max(target, Place(0, 1))
        at_s = await self._tape.time_of(target)
        stand_s = to if isinstance(to, float) else at_s
        self._stand_at(stand_s)
        self._fleet.quiet = True
        try:
            near = self._played_s is not None and 0 <= at_s - self._played_s <= FINE_S
            if not near or target < self._tape.place:
                self._fleet.history.clear()
                self._retelling.forget()
                self._tape.place = Place(self._tape.recording.index_at(at_s - HOUR_S), 0)
            if await self._read_until(target, at_s - FINE_S):
                self._stand_at(stand_s)
        finally:
            self._fleet.quiet = False
            self._fleet.show()

    async def _read_until(self, target: Place, fine_from_s: float) -> bool:
        """Whether it got there; not if asked elsewhere meanwhile."""
        tape = self._tape
        while tape.place < target:
            moment = await tape.peek()
            if self._jump is not None:
                self._played_s = None
                return False
            if moment is None or not tape.place < target:
                break
            self._feed(moment)
            if tape.place.part < target.part and tape.next_part_s < fine_from_s:
                tape.place = Place(tape.place.part + 1, 0)
            await asyncio.sleep(0)
        return True
