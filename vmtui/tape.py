"""The moments of a recording one after the other, from any place on."""

from __future__ import annotations

import asyncio
import math
from bisect import bisect_right
from dataclasses import dataclass

from vmtui.frames import Moment
from vmtui.recording import Part, Recording


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Before a moment of the recording: its part, and how many moments of that come before it."""

    part: int
    index: int


class Tape:
    """A recording and the place where it is read; one part at a time is in memory."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self.place = Place(0, 0)
        self._loaded: tuple[int, list[Moment]] = (-1, [])

    @property
    def part(self) -> Part:
        """The part of the next moment."""
        return self.recording.parts[self.place.part]

    @property
    def next_part_s(self) -> float:
        """When the part after this one begins."""
        following = self.recording.parts[self.place.part + 1 :][:1]
        return following[0].at_s if following else math.inf

    async def _moments(self, part: int) -> list[Moment]:
        if self._loaded[0] != part:
            self._loaded = (part, await asyncio.to_thread(self.recording.moments, part))
        return self._loaded[1]

    async def peek(self) -> Moment | None:
        """The next moment; None at the end."""
        while True:
            moments = await self._moments(self.place.part)
            if self.place.index < len(moments):
                return moments[self.place.index]
            if self.place.part + 1 == len(self.recording.parts):
                return None
            self.place = Place(self.place.part + 1, 0)

    def advance(self) -> None:
        """Go on behind the next moment."""
        self.place = Place(self.place.part, self.place.index + 1)

    async def find(self, at_s: float) -> Place:
        """Behind the last moment that is not after `at_s`."""
        part = self.recording.index_at(at_s)
        shift_s = self.recording.parts[part].shift_s
        moments = await self._moments(part)
        return Place(part, bisect_right(moments, at_s, key=lambda moment: moment.at_s + shift_s))

    async def back(self, moments: int) -> Place:
        """So many moments before this place, or the beginning."""
        place = self.place
        for _ in range(moments):
            while place.index == 0 and place.part > 0:
                place = Place(place.part - 1, len(await self._moments(place.part - 1)))
            place = Place(place.part, max(0, place.index - 1))
        return place

    async def time_of(self, place: Place) -> float:
        """When the last moment before `place` was."""
        part = self.recording.parts[place.part]
        moments = await self._moments(place.part)
        return moments[place.index - 1].at_s + part.shift_s if place.index else part.at_s
