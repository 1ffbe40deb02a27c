"""Lines that scroll below a header, with a cursor that moves by keys and stays in sight."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message
from textual.scroll_view import ScrollView


class CursorScroll(ScrollView, can_focus=True):
    """Subclasses say how many lines there are, and have and move the cursor."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "cursor(1)", "down", show=False),
        Binding("up,k", "cursor(-1)", "up", show=False),
        Binding("home,g", "cursor_to(0)", "first", show=False),
        Binding("end,G", "cursor_to(-1)", "last", show=False),
        Binding("pagedown,ctrl+f", "page(1.0)", "page down", show=False),
        Binding("pageup,ctrl+b", "page(-1.0)", "page up", show=False),
        Binding("ctrl+d", "page(0.5)", "half a page down", show=False),
        Binding("ctrl+u", "page(-0.5)", "half a page up", show=False),
    ]

    class Scrolled(Message):
        """Other lines are in view."""

    @property
    def line_count(self) -> int:
        """How many lines there are below the header."""
        raise NotImplementedError

    @property
    def cursor_line(self) -> int:
        """The one that the cursor is on."""
        raise NotImplementedError

    def action_cursor_to(self, line: int) -> None:
        """Move the cursor to a line; -1 is the last."""
        raise NotImplementedError

    def action_cursor(self, step: int) -> None:
        """Move the cursor by lines."""
        self.action_cursor_to(max(0, self.cursor_line + step))

    def action_page(self, pages: float) -> None:
        """Move the cursor by part of what is visible."""
        self.action_cursor(round((self.size.height - 1) * pages))

    @property
    def lines_in_view(self) -> range:
        """Those that can be seen."""
        top = self.scroll_offset.y
        height = self.scrollable_content_region.height
        return range(top, min(self.line_count, top + max(0, height - 1)))

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Tell that other lines are in view."""
        super().watch_scroll_y(old_value, new_value)
        if round(old_value) != round(new_value):
            self.post_message(self.Scrolled())

    def scroll_to_cursor(self) -> None:
        """Scroll no more than it takes to see it."""
        room = self.scrollable_content_region.height - 1
        line, top = self.cursor_line, self.scroll_offset.y
        if room <= 0:
            return
        if line < top:
            self.scroll_to(y=line, animate=False)
        elif line >= top + room:
            self.scroll_to(y=line - room + 1, animate=False)
