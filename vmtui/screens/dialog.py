"""A box over the screen below, with a title and a line of keys; Esc or q closes it."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from vmtui.screens.keys import moves
from vmtui.screens.modal import Modal


class Dialog(Modal[None]):
    """For what is read rather than answered."""

    DEFAULT_CSS = """
    Dialog { align: center middle; }
    Dialog > Vertical { width: 100; max-width: 96%; height: auto; max-height: 98%;
        border: round $primary; background: $background; padding: 0 2; }
    Dialog #title { text-style: bold; color: $primary; margin-bottom: 1; }
    Dialog VerticalScroll { height: auto; max-height: 70vh; scrollbar-size-vertical: 1; }
    Dialog #keys { color: $text-muted; margin-top: 1; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "close", "close"),
        *moves("scroll"),
        Binding("ctrl+d,pagedown,space", "scroll(10)", show=False),
        Binding("ctrl+u,pageup", "scroll(-10)", show=False),
    ]

    heading = ""
    keys = "Esc closes"

    def compose(self) -> ComposeResult:
        """Title, body, keys."""
        with Vertical():
            yield Static(Content(self.heading), id="title")
            with VerticalScroll(id="body"):
                yield from self.body()
            yield Static(Content(self.keys), id="keys")

    def body(self) -> list[Widget]:
        """What is in the box."""
        raise NotImplementedError

    def action_close(self) -> None:
        """Go back."""
        self.dismiss()

    def action_scroll(self, lines: int) -> None:
        """Scroll the body."""
        self.query_one("#body").scroll_relative(y=lines, animate=False)
