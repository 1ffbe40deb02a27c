"""A console's terminal with its hands: keys, mouse and pastes go to the guest, or select."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual import events
from textual.message import Message

from vmtui.consoles import OpenConsole
from vmtui.terminal.cells import Mouse
from vmtui.terminal.keys import encode_key
from vmtui.terminal.mouse import Action, Button, MouseEvent, encode_mouse
from vmtui.widgets.terminal_lines import Selection, Spot
from vmtui.widgets.terminal_screen import TerminalScreen

WHEEL_LINES = 3

_BUTTONS = {0: Button.NONE, 1: Button.LEFT, 2: Button.MIDDLE, 3: Button.RIGHT}


class TerminalView(TerminalScreen):
    """Every key goes to the guest, but for those that `capture` takes."""

    class Copied(Message):
        """Text was selected with the mouse."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class Pasted(Message):
        """Text was pasted; whether it is sent is for the screen to say."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    def __init__(self, console: OpenConsole) -> None:
        super().__init__(console)
        self.capture: Callable[[events.Key], bool] = lambda _: False
        """Whether a key is not for the guest."""
        self.typed_into: Callable[[], Sequence[OpenConsole]] = lambda: (console,)
        """Which consoles get what is typed."""
        self._pressed_at: Spot | None = None  # where a selection begins, if one does

    # -- keys ------------------------------------------------------------------------------------

    def check_consume_key(self, key: str, character: str | None) -> bool:  # noqa: ARG002
        """All of them: no binding of a screen or of Textual comes before the guest."""
        return True

    def on_key(self, event: events.Key) -> None:
        """To whoever takes it, or to the guest."""
        event.stop()
        event.prevent_default()
        self.take(event)

    def take(self, event: events.Key) -> None:
        """Do what a key means here."""
        if not self.capture(event) and not self._scrolls(event.key):
            self.type(event.key, event.character)

    def type(self, key: str, character: str | None) -> None:
        """A key for the guest, as its own terminal would send it."""
        self.follow()
        self._select(None)
        for console in self.typed_into():
            if data := encode_key(key, character, console.terminal.modes):
                console.type(data)

    def _scrolls(self, key: str) -> bool:
        page = max(1, self.size.height - 1)
        if key == "shift+pageup":
            self.scroll_back(page)
        elif key == "shift+pagedown":
            self.scroll_back(-page)
        elif key == "end" and self.below:
            self.follow()
        else:
            return False
        return True

    def on_paste(self, event: events.Paste) -> None:
        """Not typed yet: it may have to be asked for."""
        event.stop()
        self.post_message(self.Pasted(event.text))

    # -- mouse -----------------------------------------------------------------------------------

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """A press for the guest, or the start of a selection."""
        event.stop()
        self.capture_mouse()
        self._select(None)
        if self._wanted_by_guest(event):
            self._report(Action.PRESS, event)
        elif event.button == 1:
            self._pressed_at = self._spot(event)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """A motion for the guest, or a longer selection."""
        event.stop()
        if self._pressed_at is not None:
            self._select(Selection(self._pressed_at, self._spot(event)))
            if not 0 <= event.y < self.size.height:
                self.scroll_back(1 if event.y < 0 else -1)
        elif self._wanted_by_guest(event):
            self._report(Action.MOVE, event)

    def on_mouse_up(self, event: events.MouseUp) -> None:
        """A release for the guest, or the end of a selection, which is copied."""
        event.stop()
        self.release_mouse()
        if self._pressed_at is not None:
            self._pressed_at = None
            self._copy()
        elif self._wanted_by_guest(event):
            self._report(Action.RELEASE, event)

    def on_click(self, event: events.Click) -> None:
        """Twice: a word; three times: a line."""
        event.stop()
        if event.chain < 2 or self._wanted_by_guest(event):
            return
        line, column = self._spot(event)
        if event.chain == 2:
            first, last = word_at(self.lines.cells(line), column)
            self._select(Selection((line, first), (line, last)))
        else:
            self._select(Selection((line, 0), (line, 0), whole=True))
        self._copy()

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """To the guest if that wants it, else back in what was printed."""
        self._wheel(Button.WHEEL_UP, event)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """The same the other way."""
        self._wheel(Button.WHEEL_DOWN, event)

    def _wheel(self, button: Button, event: events.MouseEvent) -> None:
        event.stop()
        if event.shift or self.below or not self._report(Action.PRESS, event, button):
            self.scroll_back(WHEEL_LINES if button is Button.WHEEL_UP else -WHEEL_LINES)

    def _wanted_by_guest(self, event: events.MouseEvent) -> bool:
        """Whether the guest asked for the mouse; with Shift it is the user's."""
        asked = self.lines.terminal.modes.mouse is not Mouse.OFF
        return asked and not event.shift and not self.below and self.copying is None

    def _report(
        self, action: Action, event: events.MouseEvent, button: Button | None = None
    ) -> bool:
        """Tell the guest; whether there was something that it wants to hear."""
        line, column = self._spot(event)
        of = button or _BUTTONS.get(event.button, Button.NONE)
        row = line - self.top
        done = MouseEvent(action, of, column, row, alt=event.meta, ctrl=event.ctrl)
        data = encode_mouse(done, self.lines.terminal.modes)
        if data:
            self.console.type(data)
        return bool(data)

    def _spot(self, event: events.MouseEvent) -> Spot:
        terminal = self.lines.terminal
        row = min(max(event.y, 0), terminal.rows - 1)
        return (self.top + row, min(max(event.x, 0), terminal.columns - 1))

    def _select(self, selection: Selection | None) -> None:
        if selection != self.selection:
            self.selection = selection
            self.refresh()

    def _copy(self) -> None:
        if self.selection and (text := self.lines.cut(self.selection)):
            self.post_message(self.Copied(text))


def word_at(cells: Sequence[str], column: int) -> tuple[int, int]:
    """The first and the last column of the word at a column: what is between blanks."""
    first = last = column
    if column < len(cells) and cells[column] != " ":
        while first > 0 and cells[first - 1] != " ":
            first -= 1
        while last + 1 < len(cells) and cells[last + 1] != " ":
            last += 1
    return (first, last)
