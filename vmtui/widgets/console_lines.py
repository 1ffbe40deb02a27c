"""The lines above and below a console: what it is and how, and keys that are not the guest's."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import on
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import Input

from vmtui.consoles import Attachment, OpenConsole
from vmtui.units import plain
from vmtui.widgets.lines import Line, Lines, fit, length

# symbol and the name of the ink
ATTACHMENTS: dict[Attachment, tuple[str, str]] = {
    Attachment.ATTACHING: ("◌", "warn"),
    Attachment.ATTACHED: ("●", "good"),
    Attachment.WATCHING: ("◐", "warn"),
    Attachment.HELD: ("▲", "warn"),
    Attachment.DETACHED: ("○", "quiet"),
    Attachment.OFF: ("○", "quiet"),
    Attachment.LOST: ("○", "bad"),
    Attachment.FAILED: ("✗", "bad"),
}

UNSEEN = "•"
"""Marks a console that printed something since it was looked at."""


class ConsoleTop(Lines):
    """Name, attachment, size and log of the console in front, and the others that are open."""

    def __init__(self) -> None:
        super().__init__()
        self._label = ""
        self._front: OpenConsole | None = None
        self._open: list[tuple[str, OpenConsole, bool]] = []
        self._armed = 0

    def show(
        self,
        name: str,
        console: OpenConsole,
        open_: Iterable[tuple[str, OpenConsole, bool]],
        armed: int,
    ) -> None:
        """Take over the console in front, all open ones, and into how many one types.

        With each that is open: whether it printed what was not seen.
        """
        self._label, self._front, self._open = name, console, list(open_)
        self._armed = armed
        self.redraw()

    def ground(self) -> Style:
        """Red while typing goes to several."""
        if self._armed:
            return self.ink.bar + Style(color=self.ink.base.bgcolor, bgcolor=self.ink.bad.color)
        return self.ink.bar

    def paint(self) -> Sequence[Line]:
        """One line."""
        console = self._front
        if console is None:
            return []
        width = self.size.width
        if self._armed:
            text = f" ▲ TYPING INTO ALL {self._armed} CONSOLES "
            return [[Segment(fit(text, width), Style(bold=True))]]
        right = self._right(console)
        left = self._left(console, width - length(right) - 1)
        gap = " " * max(0, width - length(left) - length(right))
        return [[*left, Segment(gap), *right]]

    def _left(self, console: OpenConsole, room: int) -> Line:
        ink = self.ink
        symbol, colour = ATTACHMENTS[console.attachment]
        line: Line = [
            Segment(f" {self._label}  ", ink.accent),
            Segment(f"{symbol} {console.attachment.value}", getattr(ink, colour)),
        ]
        notes = [plain(console.notice)] if console.attachment is Attachment.ATTACHED else []
        for note in filter(None, notes):
            fits = room - length(line) - 3
            if fits > 8:
                line += [Segment("   "), Segment(fit(note, min(len(note), fits)), ink.quiet)]
        return line if length(line) <= room else [Segment(f" {self._label}", ink.accent)]

    def _right(self, console: OpenConsole) -> Line:
        ink, terminal = self.ink, console.terminal
        line: Line = []
        if console.log:
            line.append(Segment("● log  ", ink.warn))
        line.append(Segment(f"{terminal.columns}×{terminal.rows}", ink.quiet))
        budget = self.size.width // 2
        others: Line = []
        if len(self._open) > 1:
            for number, (name, other, unseen) in enumerate(self._open[:9], start=1):
                front = other is console
                mark = UNSEEN if unseen else " "
                item: Line = [
                    Segment(f"{number} {name}", ink.strong if front else ink.quiet),
                    Segment(mark, ink.note),
                ]
                if length(others) + length(item) > budget:
                    others.append(Segment("… "))
                    break
                others += [Segment(" "), *item]
        return [*others, Segment("  "), *line, Segment(" ")]


class ConsoleBottom(Lines):
    """One quiet line."""

    def __init__(self) -> None:
        super().__init__()
        self._text = ""

    def say(self, text: str) -> None:
        """Another text."""
        self._text = text
        self.redraw()

    def ground(self) -> Style:
        """The bar's own ground."""
        return self.ink.bar

    def paint(self) -> Sequence[Line]:
        """One line."""
        return [[Segment(fit(f" {self._text}", self.size.width), self.ink.quiet)]]


class ConsoleOffer(Lines):
    """Keys and what they do, above the lowest lines while one of them is awaited."""

    DEFAULT_CSS = """
    ConsoleOffer { dock: bottom; layer: above; display: none; }
    """

    def __init__(self, keys: Sequence[tuple[str, str]]) -> None:
        super().__init__()
        self._keys = keys

    def offer(self, *, on: bool, width: int) -> None:
        """Whether one is awaited."""
        self.display = on
        if on:
            self.styles.height = len(self._lines(width))

    def ground(self) -> Style:
        """The bar's own ground."""
        return self.ink.bar

    def paint(self) -> Sequence[Line]:
        """As many lines as it takes."""
        return self._lines(self.size.width)

    def _lines(self, width: int) -> list[Line]:
        lines: list[Line] = [[Segment(" ")]]
        for key, label in self._keys:
            item = [Segment(key, self.ink.accent), Segment(f" {label}  ", self.ink.text)]
            if length(lines[-1]) + length(item) > width + 1:
                lines.append([Segment(" ")])
            lines[-1] += item
        return lines


class SearchInput(Input):
    """What is searched for, in the place of the line below."""

    DEFAULT_CSS = """
    SearchInput { display: none; height: 1; border: none; padding: 0 1;
        background: $panel; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "give_up", show=False)]

    class Left(Message):
        """It is ready; nothing is `wanted` where it was given up."""

        def __init__(self, wanted: str) -> None:
            super().__init__()
            self.wanted = wanted

    def __init__(self) -> None:
        super().__init__(placeholder="search for", compact=True)

    @on(Input.Submitted)
    def _given(self, event: Input.Submitted) -> None:
        event.stop()
        self.post_message(self.Left(event.value))

    def action_give_up(self) -> None:
        """Search for nothing."""
        self.post_message(self.Left(""))
