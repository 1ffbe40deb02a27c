"""How a widget's cells become a picture: half blocks in them, or what the terminal draws itself."""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual.widget import Widget

from vmtui.graphics import (
    PLACEHOLDER_ROWS,
    Graphics,
    cell_pixels,
    kitty_deleted,
    kitty_sent,
    placeholders,
    sixel,
)
from vmtui.picture import RGB, Picture
from vmtui.widgets.framing import Framing, Shown
from vmtui.widgets.uncovered import is_uncovered

UPPER_HALF = "▀"

_NAMES = {
    Graphics.BLOCKS: "half blocks",
    Graphics.KITTY: "kitty graphics",
    Graphics.SIXEL: "sixels",
}
_NUMBER_BITS = 24
"""A picture's number is a colour to the terminal."""


@dataclass(frozen=True, slots=True)
class Drawing:
    """A picture that is ready to be put on a canvas."""

    shown: Shown
    graphics: Graphics
    data: str = ""  # what the terminal is sent, beside the cells


class Canvas:
    """The one of a widget. What the terminal draws goes to it beside Textual's own output.

    Below a dialog it is always half blocks: only cells can be dimmed and covered.
    """

    def __init__(self, widget: Widget) -> None:
        self._widget = widget
        self.wanted = Graphics.BLOCKS
        """What to draw with, where it can be."""
        self._drawing: Drawing | None = None
        self._after_paint = ""
        # Two numbers in turn: the old picture is seen until the new one is there.
        first = random.SystemRandom().randrange(256, 1 << _NUMBER_BITS - 1) * 2
        self._number, self._other = first, first + 1

    @property
    def shown(self) -> Shown | None:
        """What is on it."""
        return self._drawing.shown if self._drawing else None

    @property
    def name(self) -> str:
        """What it draws with."""
        return _NAMES[self._drawing.graphics if self._drawing else Graphics.BLOCKS]

    def prepared(self, framing: Framing, picture: Picture, columns: int, rows: int) -> Drawing:
        """A picture made ready; takes long, so it is called in a thread."""
        graphics = self.wanted if is_uncovered(self._widget) else Graphics.BLOCKS
        if graphics is Graphics.KITTY and rows <= PLACEHOLDER_ROWS:
            shown = framing.shown(picture, columns, rows, cell_pixels(_descriptor()), enlarge=False)
            return Drawing(shown, graphics, kitty_sent(shown.picture, self._other, *shown.cells))
        if graphics is Graphics.SIXEL:
            shown = framing.shown(picture, columns, rows, cell_pixels(_descriptor()))
            return Drawing(shown, graphics, sixel(shown.picture))
        shown = framing.shown(picture, columns, rows)
        shown.rows  # noqa: B018 (made here and kept)
        return Drawing(shown, Graphics.BLOCKS)

    def put(self, drawing: Drawing) -> Iterable[int] | None:
        """Show it; the lines of cells that have to be painted again for that, None for all."""
        before, self._drawing = self._drawing, drawing
        self._after_paint = ""
        if drawing.graphics is Graphics.KITTY:
            self._number, self._other = self._other, self._number
            self._write(drawing.data)
            self._after_paint = kitty_deleted(self._other)
            return None
        same = before is not None and before.graphics is drawing.graphics
        if not same or before is None or before.shown.covers != drawing.shown.covers:
            return None
        if drawing.graphics is Graphics.SIXEL:
            # Over the old one: with the cells painted in between it would flicker.
            self._after_paint = drawing.data
            self._painted()
            return ()
        return drawing.shown.differs_from(before.shown)

    def row(self, row: int, ground: Style) -> Sequence[Segment]:
        """The cells of one of the rows of what is shown, for painting."""
        drawing = self._drawing
        assert drawing is not None
        if drawing.graphics is Graphics.BLOCKS:
            return blocks(drawing.shown.rows[row])
        # The paint that asks is written before the loop goes on; what is drawn over it, after.
        asyncio.get_running_loop().call_soon(self._painted)
        columns = drawing.shown.cells[0]
        if drawing.graphics is Graphics.SIXEL:
            self._after_paint = drawing.data
            return [Segment(" " * columns, ground)]
        number = Color.from_rgb(*self._number.to_bytes(3, "big"))
        return [Segment(placeholders(row, columns), ground + Style(color=number))]

    def _painted(self) -> None:
        data, self._after_paint = self._after_paint, ""
        widget, drawing = self._widget, self._drawing
        if not data or drawing is None or not is_uncovered(widget):
            return
        if drawing.graphics is Graphics.SIXEL:
            column = widget.region.x + drawing.shown.left + 1
            row = widget.region.y + drawing.shown.top + 1
            data = f"\x1b7\x1b[{row};{column}H{data}\x1b8"
        self._write(data)

    def clear(self) -> None:
        """Nothing is shown."""
        if self._drawing is not None and self._drawing.graphics is Graphics.KITTY:
            self._write(kitty_deleted(self._number))
        self._drawing, self._after_paint = None, ""

    def _write(self, data: str) -> None:
        # Through Textual's own writer: what came past it could land within its sequences.
        driver = self._widget.app._driver
        if driver is not None:
            driver.write(data)


def _descriptor() -> int:
    return sys.__stderr__.fileno() if sys.__stderr__ else 2  # where Textual writes to


@lru_cache(maxsize=8192)
def _block_style(upper: RGB, lower: RGB) -> Style:
    return Style(color=Color.from_rgb(*upper), bgcolor=Color.from_rgb(*lower))


def blocks(row: list[tuple[RGB, RGB]]) -> list[Segment]:
    """A row of half blocks; cells of the same colours are one segment."""
    segments: list[Segment] = []
    at = 0
    while at < len(row):
        end = at + 1
        while end < len(row) and row[end] == row[at]:
            end += 1
        segments.append(Segment(UPPER_HALF * (end - at), _block_style(*row[at])))
        at = end
    return segments
