"""Meters, tiny bars and braille graphs, as plain strings of a given size."""

from __future__ import annotations

from collections.abc import Sequence

from rich.segment import Segment

from vmtui.theming import Ink
from vmtui.widgets.lines import Line

FULL = "▰"
EMPTY = "▱"
LEVELS = "▁▂▃▄▅▆▇█"
CLIPPED = "▴"
"""In the top line of a graph: it goes on above."""

CLIP_TOLERANCE = 1.02
"""What rounding and jitter add to a full load is not marked."""

# The dots of a braille cell from the bottom up, left and right column.
_LEFT = (0x40, 0x04, 0x02, 0x01)
_RIGHT = (0x80, 0x20, 0x10, 0x08)
_CELLS = tuple(
    tuple(
        chr(0x2800 + sum(_LEFT[:left]) + sum(_RIGHT[:right])) if left or right else " "
        for right in range(5)
    )
    for left in range(5)
)


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


def tiny_bars(fractions: Sequence[float | None]) -> str:
    """One cell for each; a blank where it is not known."""
    return "".join(
        " " if f is None else LEVELS[max(0, min(len(LEVELS) - 1, int(f * len(LEVELS))))]
        for f in fractions
    )


def braille(
    values: Sequence[float | None],
    width: int,
    height: int,
    *,
    top: float = 100.0,
    mark_clipped: bool = False,
) -> list[str]:
    """The newest values at the right, two to a cell, on a fixed scale 0..`top`.

    A known 0 draws the lowest dot, so that an idle VM is flat and a gap (None) is a gap.
    """
    dots = _dots(values, width * 2, height * 4, top)
    rows = []
    for row in range(height):
        below = (height - 1 - row) * 4
        level = [min(4, max(0, dot - below)) for dot in dots]
        rows.append(
            "".join(
                _CELLS[left][right] for left, right in zip(level[::2], level[1::2], strict=True)
            )
        )
    if mark_clipped and rows:
        rows[0] = _marked(rows[0], values, width, top)
    return rows


def _dots(values: Sequence[float | None], columns: int, limit: int, top: float) -> list[int]:
    shown = values[-columns:] if columns else []
    heights = [
        0 if value is None else max(1, min(limit, round(value / top * limit))) for value in shown
    ]
    return [0] * (columns - len(heights)) + heights


def _marked(row: str, values: Sequence[float | None], width: int, top: float) -> str:
    above = top * CLIP_TOLERANCE
    cells = list(row)
    for back, value in enumerate(reversed(values[-2 * width :])):
        if value is not None and value > above:
            cells[width - 1 - back // 2] = CLIPPED
    return "".join(cells)
