"""Which stretch of the past is drawn, and the axis that says so."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from vmtui.history import COARSE_S, COARSE_SLOTS, History
from vmtui.widgets.clock import Clock

SPANS_S = (60.0, 300.0, 900.0, 3600.0)
KEPT_S = COARSE_S * COARSE_SLOTS
_TICKS_S = (10, 15, 30, 60, 120, 300, 600, 900, 1800)
_AGE_CELLS, _TIME_CELLS = 9, 11
"""Ticks are at least this far apart, so that their labels do not touch."""


@dataclass(frozen=True, slots=True)
class Timeline:
    """A span of time. `end_s` (monotonic) is where it stands still; None follows the samples."""

    span_s: float = SPANS_S[1]
    end_s: float | None = None

    def zoomed(self, step: int) -> Timeline:
        """A shorter (positive) or longer span with the same end."""
        place = SPANS_S.index(self.span_s) - step
        return replace(self, span_s=SPANS_S[max(0, min(len(SPANS_S) - 1, place))])

    def panned(self, step: int, newest_s: float) -> Timeline:
        """A quarter of the span back (negative) or on; from the newest on it follows again."""
        end_s = (newest_s if self.end_s is None else self.end_s) + step * self.span_s / 4
        if end_s >= newest_s:
            return self.following()
        return replace(self, end_s=max(end_s, newest_s - KEPT_S + self.span_s / 4))

    def following(self) -> Timeline:
        """Back to now."""
        return replace(self, end_s=None)


@dataclass(frozen=True, slots=True)
class Past:
    """What a history holds of one host or VM in one stretch of time."""

    history: History
    key: Hashable
    end_s: float
    span_s: float

    def values(self, figures: Sequence[str], columns: int) -> list[float | None]:
        """The sum of `figures` in each column; what is not known is a gap."""
        windows = [
            self.history.window(
                self.key, figure, end_s=self.end_s, span_s=self.span_s, columns=columns
            )
            for figure in figures
        ]
        if len(windows) == 1:
            return windows[0]
        return [
            sum(value for value in column if value is not None)
            if any(value is not None for value in column)
            else None
            for column in zip(*windows, strict=True)
        ]


def span_text(span_s: float) -> str:
    """A span in words: `30 s`, `5 min`."""
    return f"{span_s:.0f} s" if span_s < 60 else f"{span_s / 60:g} min"


def axis(timeline: Timeline, clock: Clock, width: int) -> str:
    """The labels below graphs of `width` cells: ages, or times where the graphs stand still."""
    live = timeline.end_s is None
    least = _AGE_CELLS if live else _TIME_CELLS
    tick_s = next((s for s in _TICKS_S if width * s / timeline.span_s >= least), _TICKS_S[-1])
    end = ("now" if live else _time(timeline, clock, 0.0)) + "╵"
    ticks = (float(tick * tick_s) for tick in range(int(timeline.span_s // tick_s), 0, -1))
    line = ""
    for back_s in dict.fromkeys((timeline.span_s, *ticks)):
        left = round(width * (1 - back_s / timeline.span_s))
        text = f"╵-{span_text(back_s)}" if live else f"╵{_time(timeline, clock, back_s)}"
        if left >= len(line) + bool(line) and left + len(text) < width - len(end):
            line = line.ljust(left) + text
    return (line.ljust(width - len(end)) + end)[:width]


def _time(timeline: Timeline, clock: Clock, back_s: float) -> str:
    age_s = clock.monotonic_s() - (timeline.end_s or 0.0) + back_s
    return f"{clock.local() - timedelta(seconds=age_s):%H:%M:%S}"
