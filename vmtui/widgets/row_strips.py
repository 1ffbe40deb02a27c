"""How the header, a row and the text of an empty VM table look, as strips of a given width."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from vmtui.theming import Ink
from vmtui.widgets.clock import Clock
from vmtui.widgets.columns import GAP, Cell, Column
from vmtui.widgets.lines import Line, fit
from vmtui.widgets.rows import Rows

GUTTER = 3
"""Cells before the first column: cursor, mark, blank."""

Columns = Sequence[tuple[Column, int]]


def header_strip(columns: Columns, rows: Rows, ink: Ink, width: int) -> Strip:
    """The titles, with an arrow at the column that rows are sorted by."""
    line: Line = [Segment(" " * GUTTER)]
    for column, cells in columns:
        title, style = column.title, ink.quiet
        if column is rows.column:
            arrow = "▼" if rows.descending else "▲"
            title, style = f"{title} {arrow}".strip(), ink.accent
        line += [Segment(fit(title, cells, right=column.right), style), Segment(" " * GAP)]
    return Strip(line).adjust_cell_length(width).apply_style(ink.base)


def row_strip(
    columns: Columns, rows: Rows, index: int, *, ink: Ink, clock: Clock, width: int
) -> Strip:
    """The row at `index`."""
    row = rows.shown[index]
    here = index == rows.index
    cell = Cell(row, rows.label(row), ink, clock)
    line: Line = [
        Segment("▸" if here else " ", ink.accent),
        Segment("✓" if row.ref in rows.marks else " ", ink.warn),
        Segment(" "),
    ]
    for column, cells in columns:
        line += [*column.draw(cell, cells), Segment(" " * GAP)]
    ground = ink.cursor if here else ink.base
    if ground.reverse:
        # A terminal's own colours, reversed, would become grounds of all kinds.
        line = [Segment(segment.text) for segment in line]
    elif row.stalled:
        line = [Segment(segment.text, _greyed(segment.style, ink)) for segment in line]
    return Strip(line).adjust_cell_length(width).apply_style(ground)


def _greyed(style: Style | None, ink: Ink) -> Style | None:
    # The state keeps its colour: it says why the rest is grey.
    return style if style in (ink.bad, ink.accent, ink.warn) else ink.quiet


def empty_strip(
    texts: Sequence[tuple[str, str]], y: int, height: int, width: int, ink: Ink
) -> Strip:
    """Line `y` of the text in the middle of an empty table."""
    first = max(0, (height - len(texts)) // 2)
    if not first <= y < first + len(texts):
        return Strip.blank(width, ink.base)
    text, style = texts[y - first]
    text = fit(text, min(width, cell_len(text)))
    indent = " " * ((width - cell_len(text)) // 2)
    line = [Segment(indent), Segment(text, getattr(ink, style))]
    return Strip(line).adjust_cell_length(width).apply_style(ink.base)
