"""The last five minutes of every host and VM second by second, and the last hour thinned.

Values lie in slots of time, not in a list of samples: a rate fills the slots of the interval that
it is of, so that graphs of different connections share one axis, the integral of a graph is what
the counter counted, and what was not measured is a gap.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Hashable, Sequence

FINE_S = 1.0
FINE_SLOTS = 300
COARSE_S = 10.0
COARSE_SLOTS = 360
_PER_COARSE = int(COARSE_S / FINE_S)
_NAN = math.nan


class Track:
    """The figures of one VM or host, in rings of slots; a slot without a value holds NaN."""

    __slots__ = ("_coarse", "_figures", "_fine", "_last")

    def __init__(self, figures: int) -> None:
        self._figures = figures
        self._fine = array("f", [_NAN]) * (FINE_SLOTS * figures)
        self._coarse: array[float] | None = None  # made when the first slot of it is full
        self._last = -1  # the newest slot, counted from the clock's zero

    def add(self, from_s: float, to_s: float, values: Sequence[float | None]) -> None:
        """`values`, in the order of the figures, hold from `from_s` to `to_s` (monotonic)."""
        end = int(to_s / FINE_S)
        if end <= self._last:
            return
        start = max(int(from_s / FINE_S) + 1, end - FINE_SLOTS + 1)
        start = min(start, end)
        if self._last >= 0:
            start = max(start, self._last + 1)
            self._clear(self._last + 1, start)
        row = array("f", [_NAN if value is None else value for value in values])
        for slot in range(start, end + 1):
            self._put(slot, row)
        self._last = end

    def _clear(self, start: int, end: int) -> None:
        empty = array("f", [_NAN]) * self._figures
        # A gap longer than what is kept leaves nothing of it.
        fresh = max(start, end - COARSE_SLOTS * _PER_COARSE)
        for slot in range(fresh, end):
            self._put(slot, empty)

    def _put(self, slot: int, row: array[float]) -> None:
        if slot % _PER_COARSE == 0:
            self._thin(slot // _PER_COARSE - 1)
        place = slot % FINE_SLOTS * self._figures
        self._fine[place : place + self._figures] = row

    def _thin(self, coarse: int) -> None:
        """Keep the means of ten slots that are complete now."""
        if self._coarse is None:
            self._coarse = array("f", [_NAN]) * (COARSE_SLOTS * self._figures)
        place = coarse % COARSE_SLOTS * self._figures
        slots = range(coarse * _PER_COARSE, (coarse + 1) * _PER_COARSE)
        for figure in range(self._figures):
            fine = [self._fine[s % FINE_SLOTS * self._figures + figure] for s in slots]
            known = [value for value in fine if value == value]  # noqa: PLR0124 (NaN)
            self._coarse[place + figure] = sum(known) / len(known) if known else _NAN

    def window(self, figure: int, end_s: float, span_s: float, columns: int) -> list[float | None]:
        """`columns` means over the `span_s` before `end_s`, oldest first; None is a gap."""
        fine = span_s <= FINE_SLOTS * FINE_S and end_s - span_s >= (
            (self._last - FINE_SLOTS + 1) * FINE_S
        )
        slot_s = FINE_S if fine else COARSE_S
        end = int(end_s / slot_s) + (1 if fine else 0)
        step_s = span_s / columns
        found: list[float | None] = []
        for column in range(columns):
            low = end - (span_s - column * step_s) / slot_s
            high = end - (span_s - (column + 1) * step_s) / slot_s
            first, last = math.floor(low + 1e-9), math.ceil(high - 1e-9)
            known = [
                value
                for slot in range(first, max(last, first + 1))
                if (value := self._at(slot, figure, fine=fine)) == value
            ]
            found.append(sum(known) / len(known) if known else None)
        return found

    def _at(self, slot: int, figure: int, *, fine: bool) -> float:
        if fine:
            if not self._last - FINE_SLOTS < slot <= self._last:
                return _NAN
            return self._fine[slot % FINE_SLOTS * self._figures + figure]
        newest = (self._last + 1) // _PER_COARSE - 1
        if slot > newest:
            return self._unthinned(slot, figure)
        if self._coarse is None or slot <= newest - COARSE_SLOTS:
            return _NAN
        return self._coarse[slot % COARSE_SLOTS * self._figures + figure]

    def _unthinned(self, coarse: int, figure: int) -> float:
        """The newest slot of the hour, which is not complete yet."""
        slots = range(coarse * _PER_COARSE, (coarse + 1) * _PER_COARSE)
        known = [v for s in slots if (v := self._at(s, figure, fine=True)) == v]
        return sum(known) / len(known) if known else _NAN


class History:
    """Tracks by URI (hosts) and by VMRef, each with named figures."""

    def __init__(self) -> None:
        self._tracks: dict[Hashable, tuple[Track, dict[str, int]]] = {}

    def add(
        self,
        key: Hashable,
        from_s: float,
        to_s: float,
        figures: Sequence[str],
        values: Sequence[float | None],
    ) -> None:
        """Values of `figures`, always the same ones for a key, over an interval."""
        if key not in self._tracks:
            index = {figure: place for place, figure in enumerate(figures)}
            self._tracks[key] = (Track(len(figures)), index)
        self._tracks[key][0].add(from_s, to_s, values)

    def window(
        self, key: Hashable, figure: str, *, end_s: float, span_s: float, columns: int
    ) -> list[float | None]:
        """Means of `figure` in `columns` equal parts of the `span_s` before `end_s`."""
        if key not in self._tracks:
            return [None] * columns
        track, index = self._tracks[key]
        return track.window(index[figure], end_s, span_s, columns)

    def forget(self, key: Hashable) -> None:
        """Drop all of `key`."""
        self._tracks.pop(key, None)

    def clear(self) -> None:
        """Drop everything."""
        self._tracks.clear()
