"""What a new VM will run, before it is made."""

from __future__ import annotations

import shlex
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from vmtui.screens.keys import moves
from vmtui.screens.modal import TallModal


def broken(text: str) -> str:
    """A command line with an option in each line, as a shell takes it; XML as it is."""
    if "\n" in text or text.startswith("<"):
        return text
    options: list[list[str]] = [[]]
    for word in shlex.split(text):
        if word.startswith("-"):
            options.append([])
        options[-1].append(word)
    return " \\\n  ".join(shlex.join(option) for option in options)


class PreviewScreen(TallModal[bool]):
    """QEMU's command line or the domain's XML. Gives True for making it."""

    DEFAULT_CSS = """
    PreviewScreen { align: center middle; }
    PreviewScreen > Vertical { width: 98%;
        border: round $primary; background: $background; padding: 0 2; }
    PreviewScreen #title { text-style: bold; color: $primary; margin-bottom: 1; }
    PreviewScreen VerticalScroll { height: auto; scrollbar-size-vertical: 1; }
    PreviewScreen.-full VerticalScroll { height: 1fr; min-height: 1; }
    PreviewScreen #keys { color: $text-muted; margin-top: 1; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "answer(True)", "create"),
        Binding("escape,q", "answer(False)", "back"),
        Binding("y", "copy", "copy"),
        *moves("scroll"),
        Binding("pagedown,space", "scroll(10)", show=False),
        Binding("pageup", "scroll(-10)", show=False),
    ]

    def __init__(self, name: str, text: str) -> None:
        super().__init__()
        self._heading = f"What {name} will run"
        self._text = broken(text)

    def compose(self) -> ComposeResult:
        """Title, text, keys."""
        with Vertical():
            yield Static(Content(self._heading), id="title")
            with VerticalScroll(id="body", can_focus=False):
                yield Static(Content(self._text), id="text")
            yield Static(Content("Enter creates · y copies · Esc back"), id="keys")

    def action_answer(self, answer: bool) -> None:
        """Make it, or go back to the form."""
        self.dismiss(answer)

    def action_copy(self) -> None:
        """To the clipboard of the terminal."""
        self.app.copy_to_clipboard(self._text)
        self.notify("Copied.", markup=False, timeout=2)

    def action_scroll(self, lines: int) -> None:
        """Scroll the text."""
        self.query_one("#body").scroll_relative(y=lines, animate=False)
