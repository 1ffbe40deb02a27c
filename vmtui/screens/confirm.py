"""The question before something that can't be undone, and other short questions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Button, Static

from vmtui.screens.modal import Modal


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked. `groups`: consequences under what they are about, which may be empty."""

    title: str
    groups: tuple[tuple[str, tuple[str, ...]], ...] = ()
    yes: str = "yes"
    no: str = "cancel"


class ConfirmScreen(Modal[bool]):
    """Gives True only for a deliberate yes: Cancel has the focus."""

    DEFAULT_CSS = """
    ConfirmScreen { align: center middle; }
    ConfirmScreen > Vertical { width: 76; max-width: 94%; height: auto; max-height: 90%;
        border: round $error; background: $background; padding: 0 2; }
    ConfirmScreen #question { text-style: bold; color: $error; margin-bottom: 1; }
    ConfirmScreen VerticalScroll { height: auto; max-height: 14; scrollbar-size-vertical: 1; }
    ConfirmScreen .about { text-style: bold; }
    ConfirmScreen .consequence { padding-left: 2; }
    ConfirmScreen #buttons { height: 1; margin-top: 1; align-horizontal: right; }
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
        """Title, consequences, buttons."""
        question = self._question
        with Vertical():
            yield Static(Content(question.title), id="question")
            with VerticalScroll(can_focus=False):
                for about, lines in question.groups:
                    if about:
                        yield Static(Content(about), classes="about")
                    for line in lines:
                        yield Static(Content(line), classes="consequence" if about else "")
            with Horizontal(id="buttons"):
                yield Button(Content.assemble(("n", "bold"), f" {question.no}"), id="no")
                yield Button(
                    Content.assemble(("y", "bold"), f" {question.yes}"), id="yes", variant="error"
                )

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id == "yes")

    def action_answer(self, answer: bool) -> None:
        """Answer by key."""
        self.dismiss(answer)
