"""The line under the table: the filter, what is marked, or the one thing that one should know."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import Input

from vmtui.widgets.lines import Line, Lines, fit, spread
from vmtui.widgets.rows import Rows

MARKS_WIDTH = 22
"""Cells at the right that a notice leaves to the marks."""


class _Words(Lines):
    """The text part."""

    def __init__(self) -> None:
        super().__init__()
        self.left: Line = []
        self.right: Line = []

    def paint(self) -> Sequence[Line]:
        """Left and right."""
        return [spread(self.left, self.right, self.size.width)]


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
    StatusLine.typing > _Words { width: 26; }
    StatusLine > #slash { display: none; width: 5; }
    StatusLine.typing > #slash { display: block; }
    """

    class Filtered(Message):
        """The text of the filter changed."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._words = _Words()
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

    def show(self, rows: Rows) -> None:
        """Tell about filter and marks, or the notice."""
        ink = self._words.ink
        left: Line = []
        if rows.filter_text and not self.typing:
            left = [
                Segment("   filter ", ink.quiet),
                Segment(rows.filter_text.strip(), ink.accent),
                Segment("  Esc clears", ink.quiet),
            ]
        elif self.notice and not self.typing:
            left = [Segment("   ! ", ink.warn), *self._noticed()]
        right: Line = []
        if rows.filter_text:
            right.append(Segment(f"{len(rows.shown)} of {len(rows.all)} ", ink.quiet))
        if rows.marks:
            hidden = len(rows.hidden_marks)
            note = f" ({hidden} hidden)" if hidden else ""
            right.append(Segment(f" ✓ {len(rows.marks)} marked{note} ", ink.warn))
        self._words.left, self._words.right = left, right
        self._words.redraw()

    def _noticed(self) -> Line:
        ink = self._words.ink
        hint = f" – {self.notice_key} for details" if self.notice_key else ""
        room = max(0, self.size.width - len(hint) - MARKS_WIDTH)
        text = fit(self.notice, min(room, cell_len(self.notice)))
        return [Segment(text, ink.warn), Segment(hint, ink.quiet)]


class _Slash(Lines):
    """The `/` before what is typed."""

    def paint(self) -> Sequence[Line]:
        """A slash."""
        return [[Segment("   / ", self.ink.accent)]]
