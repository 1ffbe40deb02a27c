"""Parts of forms that take one line each: a choice, and a tick."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.segment import Segment
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message

from vmtui.units import plain
from vmtui.widgets.lines import Line, Lines, fit


class Texts(Lines):
    """A text beside each line of a form, cut where it is too long: one widget for all."""

    def __init__(self, rows: Sequence[tuple[str, str]], *, classes: str | None = None) -> None:
        super().__init__(classes=classes)
        self._rows = list(rows)  # texts, and the names of their inks

    def show(self, rows: Sequence[tuple[str, str]]) -> None:
        """Other texts."""
        self._rows = list(rows)
        self.redraw()

    def paint(self) -> Sequence[Line]:
        """A line each."""
        width = self.size.width
        return [[Segment(fit(text, width), getattr(self.ink, ink))] for text, ink in self._rows]


class Choice(Lines, can_focus=True):
    """One of a few, changed with ← and →, or a click. Enter is left to the form."""

    DEFAULT_CSS = """
    Choice { height: 1; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "step(-1)", show=False),
        Binding("right,space", "step(1)", show=False),
    ]

    class Changed(Message):
        """Another one was chosen."""

        def __init__(self, choice: Choice) -> None:
            super().__init__()
            self.choice = choice

        @property
        def control(self) -> Choice:
            """The widget."""
            return self.choice

    def __init__(
        self,
        options: Sequence[tuple[str, str]],
        *,
        value: str | None = None,
        id: str | None = None,  # noqa: A002
    ) -> None:
        super().__init__(id=id)
        self.options = list(options)  # value and words
        self.index = next((i for i, (v, _) in enumerate(self.options) if v == value), 0)

    @property
    def value(self) -> str:
        """The chosen one."""
        return self.options[self.index][0]

    def choose(self, value: str) -> None:
        """Another one, without a message; one that is not there changes nothing."""
        self.index = next((i for i, (v, _) in enumerate(self.options) if v == value), self.index)
        self.redraw()

    def set_options(self, options: Sequence[tuple[str, str]]) -> None:
        """Other options; the chosen one stays if it is among them."""
        value = self.value
        self.options = list(options)
        self.index = next((i for i, (v, _) in enumerate(self.options) if v == value), 0)
        self.redraw()

    def watch_has_focus(self, has_focus: bool) -> None:
        """Show it. A handler of Blur would come while it still has the focus."""
        super().watch_has_focus(has_focus)
        self.redraw()

    def paint(self) -> Sequence[Line]:
        """The chosen one between arrows, where there are others."""
        ink = self.ink
        style = ink.strong if self.has_focus else ink.text
        words = plain(self.options[self.index][1])
        arrow = ink.accent if self.has_focus else ink.quiet
        if len(self.options) < 2:
            return [[Segment("  "), Segment(words, style)]]
        return [[Segment("‹ ", arrow), Segment(words, style), Segment(" ›", arrow)]]

    def action_step(self, step: int) -> None:
        """The next one."""
        if len(self.options) > 1:
            self.index = (self.index + step) % len(self.options)
            self.redraw()
            self.post_message(self.Changed(self))

    def on_click(self, event: events.Click) -> None:
        """The left arrow goes back, the rest on."""
        self.action_step(-1 if event.x < 2 else 1)


class Tick(Choice):
    """Yes or no."""

    def __init__(self, words: str, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__((("no", words), ("yes", words)), id=id)

    @property
    def on(self) -> bool:
        """Whether it is ticked."""
        return self.value == "yes"

    def paint(self) -> Sequence[Line]:
        """A box and the words."""
        ink = self.ink
        style = ink.strong if self.has_focus else ink.text
        box = ink.accent if self.has_focus else ink.quiet
        mark = "✓" if self.on else " "
        return [[Segment(f"[{mark}] ", box), Segment(self.options[0][1], style)]]
