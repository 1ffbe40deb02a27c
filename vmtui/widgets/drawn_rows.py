"""The rows of the VM table as they are on the screen: drawn again only for a reason."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from textual.strip import Strip

from vmtui.theming import Ink
from vmtui.views import VMView
from vmtui.widgets.clock import Clock, short_duration
from vmtui.widgets.columns import Cell, Column, Past, uptime_s
from vmtui.widgets.row_strips import row_strip
from vmtui.widgets.rows import Rows


@dataclass(frozen=True, slots=True)
class Layout:
    """How rows are drawn: what is the same for all of them."""

    columns: Sequence[tuple[Column, int]]
    ink: Ink
    width: int


@dataclass(frozen=True, slots=True)
class _Drawn:
    """A row, and what it was drawn from. Views are immutable: the same one looks the same."""

    row: VMView
    look: tuple[bool, bool, str, str]
    strip: Strip


class DrawnRows:
    """Strips by the place of their row, for one layout at a time."""

    def __init__(self, rows: Rows, clock: Clock, past: Past) -> None:
        self._rows = rows
        self._clock = clock
        self._past = past
        self._drawn: dict[int, _Drawn] = {}

    def clear(self) -> None:
        """Forget everything: the layout is another."""
        self._drawn.clear()

    def strip(self, index: int, layout: Layout) -> Strip:
        """The row at a place, as it was drawn last."""
        drawn = self._drawn.get(index)
        if drawn is None:
            drawn = self._drawn[index] = self._draw(index, layout, None)
        return drawn.strip

    def update(self, indexes: Iterable[int], layout: Layout) -> list[int]:
        """Keep these rows and no others, as they are now; gives the places that look different."""
        before, self._drawn = self._drawn, {}
        changed = []
        for index in indexes:
            old = before.get(index)
            new = self._drawn[index] = self._draw(index, layout, old)
            if new is not old and (old is None or new.strip != old.strip):
                changed.append(index)
        return changed

    def _draw(self, index: int, layout: Layout, before: _Drawn | None) -> _Drawn:
        row = self._rows.shown[index]
        here, marked = index == self._rows.index, row.ref in self._rows.marks
        look = (here, marked, *self._ages(row))
        if before is not None and before.row is row and before.look == look:
            return before
        cell = Cell(row, self._rows.label(row), layout.ink, self._clock, self._past)
        strip = row_strip(layout.columns, cell, here=here, marked=marked, width=layout.width)
        return _Drawn(row, look, strip)

    def _ages(self, row: VMView) -> tuple[str, str]:
        """What of a row changes with time alone."""
        stalled_s = None
        if row.stalled and row.sampled_at_s is not None:
            stalled_s = self._clock.monotonic_s() - row.sampled_at_s
        return short_duration(uptime_s(row, self._clock)), short_duration(stalled_s)
