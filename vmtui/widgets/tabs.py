"""The tabs of a VM's pane: their names, and how they stand in its border."""

from __future__ import annotations

from rich.segment import Segment

from vmtui.theming import Ink
from vmtui.widgets.lines import Line, fit, length
from vmtui.widgets.states import PENDING

OVERVIEW, CONSOLE, SCREEN, HARDWARE, LOG, FACTS = TABS = (
    "Overview",
    "Console",
    "Screen",
    "Hardware",
    "Log",
    "Facts",
)

LEAST_NAME = 8


class TabStrip:
    """A name and the tabs; it remembers where they are, for clicks."""

    def __init__(self) -> None:
        self.chosen = 0
        self._spans: list[tuple[int, int]] = [(0, 0)]

    @property
    def shown(self) -> str:
        """The tab that is chosen."""
        return TABS[self.chosen]

    @property
    def end(self) -> int:
        """The cell after the last tab."""
        return self._spans[-1][1]

    def at(self, x: int) -> int | None:
        """The tab in that cell of the border."""
        return next((i for i, (left, right) in enumerate(self._spans) if left <= x < right), None)

    def line(self, name: str, width: int, ink: Ink, *, pending: bool) -> Line:
        """What stands in the upper border of a pane of that width."""
        tabs = sum(len(tab) + 2 for tab in TABS)
        name = fit(name, min(length([Segment(name)]), max(LEAST_NAME, width - tabs - 10)))
        mark = f" {PENDING}" if pending else "  "
        line: Line = [Segment(name, ink.accent), Segment(mark, ink.warn)]
        self._spans = []
        for index, tab in enumerate(TABS):
            left = 3 + length(line)
            line.append(Segment(f" {tab} ", ink.selected if index == self.chosen else ink.quiet))
            self._spans.append((left, left + len(tab) + 2))
        return line
