"""Asking for a line of text, and for one of a few things."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, Static

from vmtui.screens.modal import Modal
from vmtui.units import plain
from vmtui.widgets.lines import Line, Lines, fit


class AskScreen(Modal[str | None]):
    """Gives what was typed, which may be nothing (""); None when it was given up."""

    DEFAULT_CSS = """
    AskScreen { align: center middle; }
    AskScreen > Vertical { width: 76; max-width: 94%; height: auto;
        border: round $primary; background: $background; padding: 0 2; }
    AskScreen #title { text-style: bold; color: $primary; margin-bottom: 1; }
    AskScreen Input { height: 1; border: none; padding: 0; background: $panel; }
    AskScreen #keys { color: $text-muted; margin-top: 1; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "give_up", "cancel", show=False)]

    def __init__(self, title: str, value: str = "") -> None:
        super().__init__()
        self._heading = title
        self._value = value

    def compose(self) -> ComposeResult:
        """Title, input, keys."""
        with Vertical():
            yield Static(Content(self._heading), id="title")
            yield Input(self._value, select_on_focus=False, compact=True)
            yield Static(Content("Enter does it · Esc cancels"), id="keys")

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        self.dismiss(event.value.strip())

    def action_give_up(self) -> None:
        """Nothing."""
        self.dismiss(None)


class Choices(Lines):
    """Numbered rows of a name and a note; a click chooses one."""

    class Chosen(Message):
        """A row was clicked."""

        def __init__(self, index: int) -> None:
            super().__init__()
            self.index = index

    def __init__(self, rows: Sequence[tuple[str, str]], chosen: int) -> None:
        super().__init__()
        self._rows = list(rows)
        self.chosen = chosen
        self.styles.height = len(self._rows)

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._rows)

    def step(self, step: int) -> None:
        """Move the cursor, around the ends too."""
        self.chosen = (self.chosen + step) % self.count
        self.redraw()

    def paint(self) -> Sequence[Line]:
        """A line each."""
        ink, width = self.ink, self.size.width
        lines: list[Line] = []
        for index, (name, note) in enumerate(self._rows):
            here = index == self.chosen
            cells = self._name_cells(width)
            line = [
                Segment("▸ " if here else "  ", ink.accent),
                Segment(f"{index + 1:>2}  ", ink.accent),
                Segment(fit(plain(name), cells), ink.strong if here else ink.text),
                Segment(" " + fit(plain(note), width - cells - 7), ink.quiet),
            ]
            lines.append(line)
        return lines

    def _name_cells(self, width: int) -> int:
        """As the longest name needs, and no more than half of it all."""
        longest = max((cell_len(plain(name)) for name, _ in self._rows), default=0)
        return max(8, min(width // 2, longest + 1))

    def on_click(self, event: events.Click) -> None:
        """Choose it."""
        if event.y < self.count:
            self.post_message(self.Chosen(event.y))


class ChooseScreen(Modal[int | None]):
    """Gives the index of what was chosen; None when it was given up."""

    DEFAULT_CSS = """
    ChooseScreen { align: center middle; }
    ChooseScreen > Vertical { width: 72; max-width: 94%; height: auto; max-height: 90%;
        border: round $primary; background: $background; padding: 0 2; }
    ChooseScreen #title { text-style: bold; color: $primary; margin-bottom: 1; }
    ChooseScreen #keys { color: $text-muted; margin-top: 1; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "give_up", "cancel", show=False),
        Binding("j,down", "step(1)", show=False),
        Binding("k,up", "step(-1)", show=False),
        Binding("enter,space", "choose", show=False),
    ]

    def __init__(self, title: str, rows: Sequence[tuple[str, str]], chosen: int = 0) -> None:
        super().__init__()
        self._heading = title
        self._rows = Choices(rows, chosen)

    def compose(self) -> ComposeResult:
        """Title, rows, keys."""
        with Vertical():
            yield Static(Content(self._heading), id="title")
            yield self._rows
            yield Static(Content("Enter or its number chooses · Esc cancels"), id="keys")

    def on_key(self, event: events.Key) -> None:
        """A number chooses at once."""
        if event.key.isdecimal() and 0 < int(event.key) <= self._rows.count:
            event.stop()
            self.dismiss(int(event.key) - 1)

    @on(Choices.Chosen)
    def _clicked(self, event: Choices.Chosen) -> None:
        self.dismiss(event.index)

    def action_step(self, step: int) -> None:
        """Up or down."""
        self._rows.step(step)

    def action_choose(self) -> None:
        """The one under the cursor."""
        self.dismiss(self._rows.chosen)

    def action_give_up(self) -> None:
        """None of them."""
        self.dismiss(None)
