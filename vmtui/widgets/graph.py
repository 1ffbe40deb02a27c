"""Meters and braille graphs, as plain strings of a given size."""

from __future__ import annotations

from collections.abc import Sequence

from rich.segment import Segment

from vmtui.theming import Ink
from vmtui.widgets.lines import Line

FULL = "▰"
EMPTY = "▱"

# The dots of a braille cell from the bottom up, left and right column.
_LEFT = (0x40, 0x04, 0x02, 0x01)
_RIGHT = (0x80, 0x20, 0x10, 0x08)
_BLANK = 0x2800


def meter(fraction: float | None, width: int, ink: Ink, colour: str) -> Line:
    """A bar of `width` cells; None is an empty stretch without a bar."""
    if fraction is None or width <= 0:
        return [Segment(" " * max(0, width))]
    clamped = min(1.0, max(0.0, fraction))
    filled = round(clamped * width)
    # What is more than nothing shows as something.
    filled = max(filled, 1 if clamped > 0.005 else 0)
    return [
        Segment(FULL * filled, getattr(ink, colour)),
        Segment(EMPTY * (width - filled), ink.faint),
    ]


def braille(
    values: Sequence[float | None], width: int, height: int, *, top: float = 100.0
) -> list[str]:
    """The newest values at the right, two to a cell, on a fixed scale 0..`top`.

    A known 0 draws the lowest dot, so that an idle VM is flat and a gap (None) is a gap.
    """
    dots = _dots(values, width * 2, height * 4, top)
    rows = []
    for row in range(height):
        below = (height - 1 - row) * 4
        cells = (
            _cell(dots[column] - below, dots[column + 1] - below)
            for column in range(0, width * 2, 2)
        )
        rows.append("".join(cells))
    return rows


def _dots(values: Sequence[float | None], columns: int, limit: int, top: float) -> list[int]:
    shown = list(values[-columns:]) if columns else []
    heights = [
        0 if value is None else max(1, min(limit, round(value / top * limit))) for value in shown
    ]
    return [0] * (columns - len(heights)) + heights


def _cell(left: int, right: int) -> str:
    bits = sum(_LEFT[: max(0, min(4, left))]) + sum(_RIGHT[: max(0, min(4, right))])
    return chr(_BLANK + bits) if bits else " "
