"""The question before something is lost for good: the VM's name has to be typed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Input, Static

from vmtui.screens.modal import Modal
from vmtui.units import plain


class TypeNameScreen(Modal[bool]):
    """Gives True only once the name was typed."""

    DEFAULT_CSS = """
    TypeNameScreen { align: center middle; }
    TypeNameScreen > Vertical { width: 76; max-width: 94%; height: auto; max-height: 96%;
        border: round $error; background: $background; padding: 0 2; }
    TypeNameScreen #title { text-style: bold; color: $error; margin-bottom: 1; }
    TypeNameScreen VerticalScroll { height: auto; max-height: 14; scrollbar-size-vertical: 1; }
    TypeNameScreen #asked { margin-top: 1; }
    TypeNameScreen Input { height: 1; border: none; padding: 0; background: $panel; }
    TypeNameScreen #keys { color: $text-muted; margin-top: 1; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "give_up", "cancel", show=False)]

    def __init__(self, title: str, lines: Sequence[str], name: str) -> None:
        super().__init__()
        self._heading = title
        self._lines = lines
        self._wanted = name

    def compose(self) -> ComposeResult:
        """Title, what is lost, input, keys."""
        with Vertical():
            yield Static(Content(self._heading), id="title")
            with VerticalScroll(can_focus=False):
                for line in self._lines:
                    yield Static(Content(plain(line)))
            yield Static(Content(f"Type {plain(self._wanted)} to do it all the same:"), id="asked")
            yield Input(compact=True)
            yield Static("", id="keys")

    def on_mount(self) -> None:
        """Nothing is typed yet."""
        self._typed()

    @on(Input.Changed)
    def _typed(self) -> None:
        right = self.query_one(Input).value == self._wanted
        keys = "Enter does it · Esc cancels" if right else "Esc cancels"
        self.query_one("#keys", Static).update(Content(keys))

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        if event.value == self._wanted:
            self.dismiss(True)

    def action_give_up(self) -> None:
        """No."""
        self.dismiss(False)
