"""The line under the table: the filter, or what one should know; marks, and sets of columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from rich.segment import Segment
from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import Input

from vmtui.column_sets import ColumnSet
from vmtui.units import plain
from vmtui.widgets.explanation import breach_text
from vmtui.widgets.lines import Line, Lines
from vmtui.widgets.rows import Rows
from vmtui.widgets.states import ALARM, alarms
from vmtui.widgets.status_words import StatusWords, Told


class FilterInput(Input):
    """What is typed after `/`."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave(True)", "clear", show=False),
        Binding("enter", "leave(False)", "keep", show=False),
        Binding("down", "leave(False)", "to the table", show=False),
    ]

    class Left(Message):
        """The filter is ready; `clear` when it was given up."""

        def __init__(self, *, clear: bool) -> None:
            super().__init__()
            self.clear = clear

    def action_leave(self, clear: bool) -> None:
        """Go back to the table."""
        self.post_message(self.Left(clear=clear))


class StatusLine(Horizontal):
    """One line, always there, so that nothing jumps."""

    DEFAULT_CSS = """
    StatusLine { height: 1; background: $background; }
    StatusLine > FilterInput { width: 1fr; height: 1; border: none; padding: 0;
        background: $background; }
    StatusLine.typing > StatusWords { width: 26; }
    StatusLine > #slash { display: none; width: 4; }
    StatusLine.typing > #slash { display: block; }
    """

    class Filtered(Message):
        """The text of the filter changed."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    def __init__(self, keys: Mapping[ColumnSet, str], *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._words = StatusWords(keys)
        self._slash = _Slash(id="slash")
        self._input = FilterInput(select_on_focus=False, compact=True)
        self._input.display = False
        self.notice = ""
        self.notice_key = ""  # leads to the details

    def compose(self) -> ComposeResult:
        """A slash, the input, and words."""
        yield self._slash
        yield self._input
        yield self._words

    def start_typing(self) -> None:
        """Let the user type a filter."""
        self.add_class("typing")
        self._input.display = True  # at once: what is not displayed takes no focus
        self.screen.set_focus(self._input)

    def feed(self, event: events.Key) -> None:
        """Take a key that came before the focus did."""
        if event.key in ("enter", "escape"):
            self._input.action_leave(event.key == "escape")
        elif event.key == "backspace":
            self._input.action_delete_left()
        elif event.is_printable and event.character:
            self._input.insert_text_at_cursor(event.character)

    def stop_typing(self) -> None:
        """Show the words again."""
        self.remove_class("typing")
        self._input.display = False

    def clear(self) -> None:
        """Empty the filter."""
        self._input.value = ""

    @property
    def typing(self) -> bool:
        """Whether the filter is being typed."""
        return self.has_class("typing")

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        self.post_message(self.Filtered(event.value))

    def show(self, rows: Rows, active: ColumnSet, now_s: float) -> None:
        """Tell about the filter, what is wrong with the VM under the cursor, or the notice."""
        right: list[tuple[str, str]] = []
        if rows.filter_text:
            right.append((f"{len(rows.shown)} of {len(rows.all)} ", "quiet"))
        if rows.marks:
            hidden = len(rows.hidden_marks)
            note = f" ({hidden} hidden)" if hidden else ""
            right.append((f" ✓ {len(rows.marks)} marked{note} ", "warn"))
        self._words.show(Told() if self.typing else self._told(rows, now_s), right, active)

    def _told(self, rows: Rows, now_s: float) -> Told:
        if rows.filter_text:
            return Told("    filter ", rows.filter_text.strip(), "  Esc clears", "accent")
        row = rows.current
        if row is not None and row.stalled:
            return Told(f"  {ALARM} ", f"stalled: {plain(row.stalled)}", ink="bad", head_ink="bad")
        breaches = alarms(row) if row else ()
        if breaches:
            text = " · ".join(breach_text(breach, now_s) for breach in breaches)
            return Told(f"  {ALARM} ", text, ink="bad", head_ink="bad")
        if self.notice:
            hint = f" – {self.notice_key} for details" if self.notice_key else ""
            return Told("  ! ", self.notice, hint, head_ink="warn")
        return Told()


class _Slash(Lines):
    """The `/` before what is typed."""

    def paint(self) -> Sequence[Line]:
        """A slash."""
        return [[Segment("  / ", self.ink.accent)]]
