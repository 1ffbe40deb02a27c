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
_EPSILON = 1e-9
_NOTHING = array("f", [_NAN])


class Track:
    """The figures of one VM or host, in rings of slots; a slot without a value holds NaN."""

    __slots__ = ("_coarse", "_figures", "_fine", "_last", "_weight_s")

    def __init__(self, figures: int) -> None:
        self._figures = figures
        self._fine = array("f", [_NAN]) * (FINE_SLOTS * figures)
        self._coarse: array[float] | None = None  # made when the first slot of it is full
        self._last = -1  # the newest slot, counted from the clock's zero
        self._weight_s = 0.0  # the part of the newest slot that is measured

    def add(self, from_s: float, to_s: float, values: Sequence[float | None]) -> None:
        """`values`, in the order of the figures, hold from `from_s` to `to_s` (monotonic)."""
        end = int(to_s / FINE_S)
        row = array("f", [_NAN if value is None else value for value in values])
        if end <= self._last:
            if end == self._last:
                self._blend(row, to_s - max(from_s, end * FINE_S))
            return
        start = max(int(from_s / FINE_S) + 1, end - FINE_SLOTS + 1)
        start = min(start, end)
        if self._last >= 0:
            start = max(start, self._last + 1)
            if start > self._last + 1:
                self._clear(self._last + 1, start)
        for slot in range(start, end + 1):
            self._put(slot, row)
        self._last = end
        self._weight_s = to_s - max(from_s, end * FINE_S)

    def _blend(self, row: array[float], weight_s: float) -> None:
        """One more value in the newest slot, where samples come more than once a second."""
        whole_s = self._weight_s + weight_s
        if weight_s <= 0 or whole_s <= 0:
            return
        share = weight_s / whole_s
        place = self._last % FINE_SLOTS * self._figures
        for index, new in enumerate(row):
            old = self._fine[place + index]
            if old != old:  # noqa: PLR0124 (NaN)
                self._fine[place + index] = new
            elif new == new:  # noqa: PLR0124
                self._fine[place + index] = old + (new - old) * share
        self._weight_s = whole_s

    def _clear(self, start: int, end: int) -> None:
        empty = array("f", [_NAN]) * self._figures
        # A gap longer than what is kept leaves nothing of it. The ring is left at a boundary of
        # the thinned one, so that no mean is made of slots of two laps.
        fresh = (end // _PER_COARSE - COARSE_SLOTS - 1) * _PER_COARSE
        if fresh > start:
            self._fine = array("f", [_NAN]) * (FINE_SLOTS * self._figures)
            start = fresh
        for slot in range(start, end):
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
        for figure in range(self._figures):
            self._coarse[place + figure] = self._mean(coarse, figure)

    def _mean(self, coarse: int, figure: int) -> float:
        # Ten slots that begin at a multiple of ten never cross the ring's end.
        first = coarse * _PER_COARSE % FINE_SLOTS * self._figures + figure
        fine = self._fine[first : first + _PER_COARSE * self._figures : self._figures]
        known = [value for value in fine if value == value]  # noqa: PLR0124 (NaN)
        return sum(known) / len(known) if known else _NAN

    def window(self, figure: int, end_s: float, span_s: float, columns: int) -> list[float | None]:
        """`columns` means over a span that ends with the column in which `end_s` is; None: a gap.

        The borders of the columns are multiples of their width since the clock's zero, wherever
        the span ends: a graph moves by whole columns, and a column that is past does not change
        as long as it is drawn from the same ring.
        """
        step_s = span_s / columns
        newest = math.floor(end_s / step_s + _EPSILON)
        oldest_fine_s = (self._last - FINE_SLOTS + 1) * FINE_S
        fine, coarse = self._fine[figure :: self._figures], _NOTHING
        if (newest - columns + 1) * step_s < oldest_fine_s:
            coarse = self._whole_hour(figure)
        found: list[float | None] = []
        for column in range(newest - columns + 1, newest + 1):
            if column * step_s >= oldest_fine_s:
                known = _known(fine, _slots(column, step_s / FINE_S), self._last)
            else:
                slots = _slots(column, step_s / COARSE_S)
                known = _known(coarse, slots, self._last // _PER_COARSE)
            found.append(sum(known) / len(known) if known else None)
        return found

    def _whole_hour(self, figure: int) -> array[float]:
        """The thinned ring of one figure with its newest slot, which is not complete yet."""
        if self._coarse is None:
            ring = array("f", [_NAN]) * COARSE_SLOTS
        else:
            ring = self._coarse[figure :: self._figures]
        newest = self._last // _PER_COARSE
        fine = self._fine[figure :: self._figures]
        known = _known(fine, range(newest * _PER_COARSE, self._last + 1), self._last)
        ring[newest % COARSE_SLOTS] = sum(known) / len(known) if known else _NAN
        return ring


def _known(ring: array[float], slots: range, newest: int) -> list[float]:
    """What is known of `slots` in a ring whose newest slot is `newest`."""
    kept = len(ring)
    slots = range(max(slots.start, newest - kept + 1, 0), min(slots.stop, newest + 1))
    return [value for slot in slots if (value := ring[slot % kept]) == value]


def _slots(column: int, width: float) -> range:
    """The slots that begin in a column `width` slots wide, or the one that it is part of."""
    first = math.ceil(column * width - _EPSILON)
    end = math.ceil((column + 1) * width - _EPSILON)
    if first < end:
        return range(first, end)
    within = math.floor(column * width + _EPSILON)
    return range(within, within + 1)


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
        """Means of `figure` in `columns` equal parts of the `span_s` up to `end_s`; None: a gap."""
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
