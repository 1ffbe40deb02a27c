"""Widgets made of whole lines, of which only those that changed are drawn again."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from rich.cells import cell_len, chop_cells, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.content import Content
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from vmtui.theming import Ink, ink_of

Line = list[Segment]


def fit(text: str, width: int, *, right: bool = False) -> str:
    """`text` in exactly `width` cells: padded, or cut with an ellipsis."""
    if width <= 0:
        return ""
    missing = width - cell_len(text)
    if missing < 0:
        # A wide character that is cut in half leaves a blank cell.
        return set_cell_size(text, width - 1) + "…"
    return " " * missing + text if right else text + " " * missing


def fit_end(text: str, width: int) -> str:
    """`text` in at most `width` cells, cut at its start so that its end stays."""
    if cell_len(text) <= width:
        return text
    return "…" + chop_cells(text[::-1], width - 1)[0][::-1] if width > 1 else ""


def wrapped(text: str, width: int) -> list[str]:
    """`text` in lines of at most `width` cells, broken between words where that is possible."""
    if cell_len(text) == len(text):
        return textwrap.wrap(text, width)
    # textwrap counts characters, of which wide ones would go beyond the end of their line.
    return [line.plain.rstrip() for line in Content(text).wrap(width)]


def cut(line: Line, width: int) -> Strip:
    """`line` in at most `width` cells; an ellipsis where there would have been more."""
    strip = Strip(line)
    if strip.cell_length <= width or cell_len(strip.text.rstrip()) <= width:
        return strip.crop(0, width)
    kept = strip.crop(0, max(0, width - 1))
    style = next((segment.style for segment in reversed(list(kept)) if segment.style), None)
    return Strip([*kept, Segment("…"[:width], style)])


def length(line: Sequence[Segment]) -> int:
    """The cells that a line takes."""
    return sum(segment.cell_length for segment in line)


def spread(left: Line, right: Line, width: int) -> Line:
    """`left` at the left and `right` at the right of a line of `width` cells."""
    room = width - length(right)
    return [*cut(left, max(0, room)).adjust_cell_length(max(0, room)), *right]


def key_words(keys: Sequence[tuple[str, str, bool]], ink: Ink) -> Line:
    """Keys and their words for a border; faint is what can't be done."""
    line: Line = []
    for key, word, can in keys:
        line.append(Segment(key, ink.accent if can else ink.off))
        line.append(Segment(f" {word}  ", ink.quiet if can else ink.off))
    return line[:-1]


class Lines(Widget):
    """A widget that paints all its lines at once and refreshes those that differ."""

    DEFAULT_CSS = """
    Lines { width: 1fr; height: 1; }
    """

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id, classes=classes)
        self._strips: list[Strip] = []

    @property
    def ink(self) -> Ink:
        """The inks of the theme of this moment."""
        return ink_of(self.app)

    def paint(self) -> Sequence[Line]:
        """The lines; missing ones are blank, longer ones are cut with an ellipsis."""
        raise NotImplementedError

    def ground(self) -> Style:
        """What is below all lines."""
        return self.ink.base

    def on_mount(self) -> None:
        """Follow the theme."""
        signal = self.app.theme_changed_signal
        signal.subscribe(self, lambda _theme: self.redraw())

    def on_resize(self) -> None:
        """Paint for the new size."""
        self.redraw()

    def redraw(self) -> None:
        """Paint, and refresh what differs."""
        width, height = self.size
        if not width or not height:
            return
        ground = self.ground()
        fresh = [
            cut(line, width).adjust_cell_length(width).apply_style(ground)
            for line in self.paint()[:height]
        ]
        blank = Strip.blank(width, ground)
        fresh += [blank] * (height - len(fresh))
        before, self._strips = self._strips, fresh
        if len(before) != len(fresh):
            self.refresh()
            return
        changed = [y for y in range(height) if before[y] != fresh[y]]
        if changed:
            self.refresh(*(Region(0, y, width, 1) for y in changed))

    def render_line(self, y: int) -> Strip:
        """The painted line."""
        if y < len(self._strips):
            return self._strips[y]
        return Strip.blank(self.size.width, self.ground())


class Panel(Lines):
    """Lines in a rounded border with a title of segments in it."""

    focused_border = False

    def title(self) -> Line:
        """What stands in the upper border."""
        return []

    def corner(self) -> Line:
        """What stands at the right of the upper border."""
        return []

    def body(self, width: int, height: int) -> Sequence[Line]:
        """The lines inside the border."""
        raise NotImplementedError

    def paint(self) -> Sequence[Line]:
        """Border, title and body."""
        width, height = self.size
        edge = self.ink.accent if self.focused_border else self.ink.line
        edge = edge + Style(bold=False)
        inner = max(0, width - 4)
        title, corner = self.title(), self.corner()
        corner_width = length(corner) + 2 if corner else 0
        title = list(cut(title, max(0, width - 6 - corner_width)))
        top = [Segment("╭─", edge)]
        if title:
            top += [Segment(" ", edge), *title, Segment(" ", edge)]
        rest = width - length(top) - corner_width - 2
        top.append(Segment("─" * max(0, rest), edge))
        if corner:
            top += [Segment(" ", edge), *corner, Segment(" ", edge)]
        top.append(Segment("─╮", edge))
        lines: list[Line] = [top]
        room = inner and height > 2
        body = list(self.body(inner, height - 2))[: height - 2] if room else []
        for row in range(max(0, height - 2)):
            content = cut(body[row] if row < len(body) else [], inner).adjust_cell_length(inner)
            lines.append([Segment("│ ", edge), *content, Segment(" │", edge)])
        if height > 1:
            lines.append([Segment("╰" + "─" * (width - 2) + "╯", edge)])
        return lines
