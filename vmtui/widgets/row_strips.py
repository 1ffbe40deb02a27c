"""How the header, a row and the text of an empty VM table look, as strips of a given width."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from vmtui.theming import Ink
from vmtui.widgets.columns import GAP, Cell, Column
from vmtui.widgets.lines import Line, fit
from vmtui.widgets.rows import Rows
from vmtui.widgets.states import ALARM

GUTTER = 4
"""Cells before the first column: cursor, mark, alarm, blank."""

Columns = Sequence[tuple[Column, int]]


def header_strip(columns: Columns, rows: Rows, ink: Ink, width: int) -> Strip:
    """The titles, with an arrow at the column that rows are sorted by."""
    line: Line = []
    before = GUTTER
    for column, cells in columns:
        arrow = "" if column is not rows.column else "▼" if rows.descending else "▲"
        style = ink.accent if arrow else ink.quiet
        if column.right:
            # The arrow stands in the gap: a title needs no room for it.
            title = fit(f"{arrow}{column.title}", cells + 1, right=True)
            line += [Segment(" " * (before - 1)), Segment(title, style)]
        else:
            title = fit(f"{column.title} {arrow}".rstrip(), cells)
            line += [Segment(" " * before), Segment(title, style)]
        before = GAP
    return Strip(line).adjust_cell_length(width).apply_style(ink.base)


def column_at(columns: Columns, x: int) -> Column | None:
    """The column that has that cell of the header."""
    left = GUTTER
    for column, cells in columns:
        if left <= x < left + cells + GAP:
            return column
        left += cells + GAP
    return None


def row_strip(columns: Columns, cell: Cell, *, here: bool, marked: bool, width: int) -> Strip:
    """One row; `here`: the cursor is on it."""
    ink = cell.ink
    line: Line = [
        Segment("▸" if here else " ", ink.accent),
        Segment("✓" if marked else " ", ink.warn),
        Segment(ALARM if cell.alarmed else " ", ink.bad),
    ]
    gap = _BLANK
    for column, cells in columns:
        line.append(gap)
        line += column.draw(cell, cells)
        gap = _GAP
    line.append(_BLANK)  # exactly the width, as a rule: no strip is made twice
    ground = ink.cursor if here else ink.base
    if ground.reverse:
        # A terminal's own colours, reversed, would become grounds of all kinds.
        line = [Segment(segment.text) for segment in line]
    elif cell.row.stalled:
        line = [Segment(segment.text, _greyed(segment.style, ink)) for segment in line]
    return Strip(line).adjust_cell_length(width).apply_style(ground)


_BLANK = Segment(" ")
_GAP = Segment(" " * GAP)


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
