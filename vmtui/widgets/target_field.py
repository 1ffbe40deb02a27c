"""A target for a guest's memory as it is typed, with what is wrong with it beside."""

from __future__ import annotations

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, Static

from vmtui.configuring import TARGET
from vmtui.hardware.settings import setting
from vmtui.units import parse_size_bytes, plain, size


class TargetField(Horizontal):
    """A size; one that can't be is not told to anybody."""

    DEFAULT_CSS = """
    TargetField { height: 1; margin-top: 1; }
    TargetField Static { width: 14; color: $text-muted; }
    TargetField Input { width: 14; height: 1; border: none; padding: 0; background: $panel; }
    TargetField Input:focus { background: $primary 25%; }
    TargetField #problem { width: 1fr; margin-left: 2; color: $error; }
    """

    class Typed(Message):
        """Another size stands there."""

        def __init__(self, target_bytes: int) -> None:
            super().__init__()
            self.target_bytes = target_bytes

    class Entered(Message):
        """Enter, after one that can be."""

    def __init__(self) -> None:
        super().__init__()
        self.ceiling_bytes = 0
        """No target is larger."""
        self._input = Input(compact=True, select_on_focus=False)
        self._problem = Static("", id="problem")

    def compose(self) -> ComposeResult:
        """Label, size, problem."""
        yield Static("target")
        yield self._input
        yield self._problem

    def show(self, target_bytes: int) -> None:
        """A size that was chosen elsewhere."""
        with self.prevent(Input.Changed):
            self._input.value = setting(TARGET).form.text(target_bytes)

    def tell(self, problem: str) -> None:
        """What is wrong with it; empty: nothing."""
        self._problem.update(Content(plain(problem)))

    def feed(self, event: events.Key) -> bool:
        """Whether a key was for it: a digit begins to type, and what came before the focus did."""
        field, character = self._input, event.character or ""
        typing = self.screen.focused is field
        if not (event.is_printable if typing else character.isdecimal()):
            return False
        if not typing:
            self.screen.set_focus(field)
            field.clear()
        field.insert_text_at_cursor(character)
        return True

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        event.stop()
        try:
            self.post_message(self.Typed(self._parsed(event.value)))
        except ValueError as error:
            self.tell(str(error))

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        try:
            self._parsed(event.value)
        except ValueError as error:
            self.tell(str(error))
        else:
            self.post_message(self.Entered())

    def _parsed(self, text: str) -> int:
        target_bytes = parse_size_bytes(text)
        if target_bytes > self.ceiling_bytes:
            raise ValueError(f"its ceiling is {size(self.ceiling_bytes, digits=2)}")
        return target_bytes
