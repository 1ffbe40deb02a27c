"""How a row of a terminal looks, as a strip: the guest's colours on the theme's ground."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from rich.cells import cell_len
from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual.filter import ANSIToTruecolor, LineFilter
from textual.strip import Strip
from textual.widget import Widget

from vmtui.terminal.cells import Colour, Row
from vmtui.terminal.cells import Style as GuestStyle
from vmtui.widgets.uncovered import is_uncovered

# An emulator's rows hold no control characters; this is the last gate before the outer terminal.
# What changes the direction of writing would show other text than there is.
_HARMFUL = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def own_colours(widget: Widget, filters: Sequence[LineFilter]) -> Sequence[LineFilter]:
    """The filters without the one that replaces the colours of the user's terminal by others.

    Below a dialog they are replaced: only known colours can be dimmed.
    """
    if not is_uncovered(widget):
        return filters
    return [each for each in filters if not isinstance(each, ANSIToTruecolor)]


def row_strip(row: Row, width: int, ground: Style, *, reverse: bool = False) -> Strip:
    """`row` in exactly `width` cells; `reverse`: the whole screen is inverse."""
    segments = [Segment(harmless(run.text), outer_style(run.style, ground, reverse)) for run in row]
    blank = ground + Style(reverse=True) if reverse else ground
    return Strip(segments).adjust_cell_length(width, blank)


def harmless(text: str) -> str:
    """`text` with nothing in it that the outer terminal would obey."""
    if text.isascii() and text.isprintable():
        return text
    return _HARMFUL.sub("\ufffd", text)


@lru_cache(maxsize=4096)
def outer_style(style: GuestStyle, ground: Style, reverse: bool = False) -> Style:
    """A guest's style on the theme's ground."""
    return ground + Style(
        color=_outer_colour(style.foreground),
        bgcolor=_outer_colour(style.background),
        bold=style.bold or None,
        dim=style.faint or None,
        italic=style.italic or None,
        underline=style.underline or None,
        blink=style.blink or None,
        strike=style.strike or None,
        reverse=(style.inverse != reverse) or None,
    )


def _outer_colour(colour: Colour) -> Color | None:
    if colour is None:
        return None
    # An index below 16 stays one: those are the colours that the user's own terminal defines.
    return Color.from_ansi(colour) if isinstance(colour, int) else Color.from_rgb(*colour)


def cells_of(row: Row) -> list[str]:
    """The text of each cell; the second one of a wide character is empty."""
    cells: list[str] = []
    for run in row:
        text = harmless(run.text)
        if text.isascii():
            cells += text
            continue
        for character in text:
            width = cell_len(character)
            if not width and cells:
                cells[-1] += character
            else:
                cells += [character, *[""] * (width - 1)]
    return cells


def marked(strip: Strip, spans: Iterable[tuple[int, int, Style]]) -> Strip:
    """`strip` with other styles on some of its cells: each from a column up to another."""
    width = strip.cell_length
    for first, end, style in spans:
        last = min(end, width)
        if not 0 <= first < last:
            continue
        left, middle, right = strip.divide([first, last, width])
        over = [Segment(s.text, (s.style or Style.null()) + style) for s in middle]
        strip = Strip([*left, *over, *right], width)
    return strip
