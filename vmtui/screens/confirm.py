"""The question before something that can't be undone, and other short questions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Static


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked. `names`: all that it is about, where that is more than one."""

    title: str
    names: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()
    yes: str = "yes"
    no: str = "cancel"


class ConfirmScreen(ModalScreen[bool]):
    """Gives True only for a deliberate yes: Cancel has the focus."""

    CSS = """
    ConfirmScreen { align: center middle; }
    ConfirmScreen > Vertical { width: 76; max-width: 94%; height: auto; max-height: 90%;
        border: round $error; background: $surface; padding: 0 2; }
    ConfirmScreen #title { text-style: bold; color: $error; margin: 1 0; }
    ConfirmScreen VerticalScroll { height: auto; max-height: 12; }
    ConfirmScreen #names { color: $foreground; text-style: bold; margin-bottom: 1; }
    ConfirmScreen #buttons { height: 1; margin: 1 0; align-horizontal: right; }
    ConfirmScreen Button { margin-left: 2; min-width: 14; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "yes"),
        Binding("n,escape,q", "answer(False)", "no"),
        Binding("left,h", "app.focus_previous", show=False),
        Binding("right,l", "app.focus_next", show=False),
    ]

    AUTO_FOCUS = "#no"

    def __init__(self, question: Question) -> None:
        super().__init__()
        self._question = question

    def compose(self) -> ComposeResult:
        """Title, names, consequences, buttons."""
        question = self._question
        with Vertical():
            yield Static(Content(question.title), id="title")
            with VerticalScroll(can_focus=False):
                if question.names:
                    yield Static(Content(", ".join(question.names)), id="names")
                for line in question.lines:
                    yield Static(Content(line))
            with Horizontal(id="buttons"):
                yield Button(Content(f"n {question.no}"), id="no", compact=True)
                yield Button(Content(f"y {question.yes}"), id="yes", variant="error", compact=True)

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id == "yes")

    def action_answer(self, answer: bool) -> None:
        """Answer by key."""
        self.dismiss(answer)
