"""The words of the status line: what to know at the left; marks and column sets at the right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.segment import Segment
from textual import events
from textual.message import Message

from vmtui.column_sets import ColumnSet
from vmtui.widgets.lines import Line, Lines, fit, length, spread

SETS_FROM = 40
"""Cells below which the column sets are left out: the filter is being typed."""


@dataclass(frozen=True, slots=True)
class Told:
    """What is said at the left: `text` in the ink of that name is cut where room is short."""

    head: str = ""
    text: str = ""
    tail: str = ""
    ink: str = "warn"
    head_ink: str = "quiet"


class StatusWords(Lines):
    """The line without the input."""

    class Chosen(Message):
        """A set of columns was clicked."""

        def __init__(self, column_set: ColumnSet) -> None:
            super().__init__()
            self.column_set = column_set

    def __init__(self, keys: Mapping[ColumnSet, str]) -> None:
        super().__init__()
        self._keys = keys
        self._told = Told()
        self._right: Sequence[tuple[str, str]] = ()
        self._active = ColumnSet.SUMMARY
        self._spans: list[tuple[int, int, ColumnSet]] = []

    def show(self, told: Told, right: Sequence[tuple[str, str]], active: ColumnSet) -> None:
        """Say other things; at the right, texts and the names of their inks."""
        self._told, self._right, self._active = told, right, active
        self.redraw()

    def paint(self) -> Sequence[Line]:
        """Left and right; the sets are named in full where there is room for that."""
        width, told = self.size.width, self._told
        right: Line = [Segment(text, getattr(self.ink, ink)) for text, ink in self._right]
        fixed = cell_len(told.head) + cell_len(told.tail) + length(right) + 2
        sets = self._sets(brief=False)
        if fixed + cell_len(told.text) + length(sets) > width:
            sets = self._sets(brief=True) if width >= SETS_FROM else []
        room = max(0, width - fixed - length(sets))
        left: Line = [
            Segment(told.head, getattr(self.ink, told.head_ink)),
            Segment(fit(told.text, min(room, cell_len(told.text))), getattr(self.ink, told.ink)),
            Segment(told.tail, self.ink.quiet),
        ]
        self._spans = []
        x = width - length(sets)
        for column_set, segment in zip(ColumnSet, sets, strict=False):
            self._spans.append((x, x + segment.cell_length, column_set))
            x += segment.cell_length
        return [spread(left, [*right, *sets], width)]

    def _sets(self, *, brief: bool) -> Line:
        """One segment for each set."""
        line: Line = []
        for column_set in ColumnSet:
            active = column_set is self._active
            word = "" if brief and not active else f" {column_set.label}"
            style = self.ink.selected if active else self.ink.quiet
            line.append(Segment(f" {self._keys[column_set]}{word} ", style))
        return line

    def on_click(self, event: events.Click) -> None:
        """Choose the set that was clicked."""
        for left, right, column_set in self._spans:
            if left <= event.x < right:
                self.post_message(self.Chosen(column_set))
