"""The VM table: rows by VMRef, with cursor, marks, filter and order; draws only what changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from rich.cells import cell_len
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.strip import Strip

from vmtui.column_sets import ColumnSet
from vmtui.config import Columns
from vmtui.theming import ink_of
from vmtui.views import FleetView, VMRef, VMView
from vmtui.widgets.clock import Clock
from vmtui.widgets.column_choice import ColumnChoice
from vmtui.widgets.column_explanations import explained
from vmtui.widgets.columns import Column, Past, laid_out
from vmtui.widgets.cursor_scroll import CursorScroll
from vmtui.widgets.drawn_rows import DrawnRows, Layout
from vmtui.widgets.explanation import Explanation
from vmtui.widgets.row_strips import GUTTER, column_at, empty_strip, header_strip
from vmtui.widgets.rows import Rows


class VMTable(CursorScroll):
    """All VMs of a FleetView."""

    DEFAULT_CSS = """
    VMTable {
        height: 1fr;
        overflow-x: hidden;
        overflow-y: auto;
        scrollbar-size-vertical: 1;
        background: $background;
    }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "screen.open_vm", "open", show=False),
    ]

    class Pointed(Message):
        """Another VM is under the cursor."""

    class Opened(Message):
        """A double click on the VM under the cursor."""

    class Arranged(Message):
        """Marks, filter, order or columns changed."""

    def __init__(
        self,
        clock: Clock,
        columns: Columns,
        past: Past,
        *,
        id: str | None = None,  # noqa: A002
    ) -> None:
        super().__init__(id=id)
        self.clock = clock
        self.choice = ColumnChoice(columns)
        self.empty: Sequence[tuple[str, str]] = ()  # lines and the names of their inks
        self.capture: Callable[[events.Key], bool] = lambda _: False
        self.rows = Rows(self.choice.order[0])
        self._longest = 0  # cells of the longest name and its mark
        self._columns: list[tuple[Column, int]] = []
        self._drawn = DrawnRows(self.rows, clock, past)
        self._header = Strip([])
        self._view: FleetView | None = None
        self._width = 0  # that everything is laid out for: a scroll bar takes a cell

    # -- what it shows -----------------------------------------------------------------------

    def show(self, view: FleetView) -> None:
        """Take over the rows of `view`."""
        before, self._view = self._view, view
        if before and [*map(id, before.connections)] == [*map(id, view.connections)]:
            self.refresh_lines_that_changed()
            return
        pointed = self.rows.pointed
        labels = {connection.uri: connection.label for connection in view.connections}
        several = len(view.connections) > 1
        self.rows.take(view.vms, labels)
        longest = max((cell_len(row.vm.name) + 2 * row.vm.pending for row in view.vms), default=0)
        if (several, longest) != (self.choice.several, self._longest) or not self._columns:
            self.choice.several, self._longest = several, longest
            self._lay_out()
        self._set_virtual_size()
        self.refresh_lines_that_changed()
        if self.rows.pointed != pointed:
            self.post_message(self.Pointed())

    def use(self, column_set: ColumnSet) -> None:
        """Show another set of columns."""
        self.choice.set = column_set
        self._sort()

    def point_at(self, ref: VMRef) -> None:
        """Move the cursor to a VM, as soon as there is one of that reference."""
        self.rows.want(ref)
        self._moved()

    def filter(self, text: str) -> None:
        """Show only what matches `text`."""
        self.rows.filter(text)
        self._rearranged()
        self._moved()

    def sort(self, column: Column, *, descending: bool) -> None:
        """Order by a column."""
        self.choice.want(column, descending=descending)
        self._sort()

    def step_sort(self, step: int) -> None:
        """Order by the column of the set that is `step` to the right."""
        self.choice.step(step)
        self._sort()

    def _sort(self) -> None:
        column, descending = self.choice.order
        self.rows.sort(column, descending=descending)
        self._lay_out()
        self._rearranged()
        self._moved()

    def to_next_alarm(self) -> bool:
        """Move the cursor to the next row with an alarm; False: there is none."""
        place = self.rows.next_alarm()
        if place is not None:
            self.action_cursor_to(place)
        return place is not None

    def toggle_mark(self) -> None:
        """Mark or unmark the VM under the cursor, and go to the next."""
        if self.rows.toggle_mark():
            self.action_cursor(1)
        self._rearranged()

    def mark_all(self) -> None:
        """Mark all rows that are shown, or unmark them when all are."""
        self.rows.mark_all()
        self._rearranged()

    def unmark_all(self) -> None:
        """Forget all marks."""
        self.rows.marks.clear()
        self._rearranged()

    # -- drawing -----------------------------------------------------------------------------

    def on_mount(self) -> None:
        """Follow the theme."""
        self.app.theme_changed_signal.subscribe(self, lambda _theme: self._repaint())

    def on_resize(self) -> None:
        """Lay the columns out anew."""
        self._lay_out()
        self._set_virtual_size()
        self.scroll_to_cursor()
        self._repaint()

    def _repaint(self) -> None:
        self._lay_out()
        self._drawn.clear()
        self.refresh()

    def _lay_out(self) -> None:
        width = self._width = self.scrollable_content_region.width
        room = max(10, width - GUTTER - 1)
        self._columns = laid_out(self.choice.columns, room, self.rows.column, self._longest)
        header = header_strip(self._columns, self.rows, ink_of(self.app), width)
        if header != self._header:
            self._header = header
            self._drawn.clear()
            self.refresh()

    def _rearranged(self) -> None:
        self._set_virtual_size()
        self.refresh_lines_that_changed()
        self.post_message(self.Arranged())

    def _set_virtual_size(self) -> None:
        size = Size(self.size.width, len(self.rows.shown) + 1)
        if size.height != self.virtual_size.height:
            self.virtual_size = size
            self._drawn.clear()
            self.refresh()

    def refresh_lines_that_changed(self) -> None:
        """Draw again what is drawn from something else now; refresh the lines that differ."""
        if not self.rows.shown:
            self._drawn.clear()
            self.refresh()
            return
        width = self.scrollable_content_region.width
        if width != self._width:
            self._lay_out()
        top = self.scroll_offset.y
        changed = self._drawn.update(self.lines_in_view, self._layout)
        if changed:
            self.refresh(*(Region(0, i - top + 1, width, 1) for i in changed))

    @property
    def in_view(self) -> list[VMRef]:
        """The VMs whose rows can be seen."""
        return [self.rows.shown[index].ref for index in self.lines_in_view]

    def render_line(self, y: int) -> Strip:
        """The header, a row, or a line of the text for an empty table."""
        ink = ink_of(self.app)
        width = self.scrollable_content_region.width
        if width != self._width:
            self._lay_out()
        if not self.rows.shown:
            return empty_strip(self.empty, y, self.size.height, width, ink)
        if y == 0:
            return self._header
        index = self.scroll_offset.y + y - 1
        if index >= len(self.rows.shown):
            return Strip.blank(width, ink.base)
        return self._drawn.strip(index, self._layout)

    @property
    def _layout(self) -> Layout:
        return Layout(self._columns, ink_of(self.app), self._width)

    def on_key(self, event: events.Key) -> None:
        """Give keys away that are meant for the filter, also those typed ahead of its focus."""
        if self.capture(event):
            event.stop()
            event.prevent_default()

    # -- moving ------------------------------------------------------------------------------

    @property
    def line_count(self) -> int:
        """As many as rows are shown."""
        return len(self.rows.shown)

    @property
    def cursor_line(self) -> int:
        """That of the row under the cursor."""
        return self.rows.index

    def action_cursor_to(self, line: int) -> None:
        """Move the cursor to a row; -1 is the last."""
        self.rows.go_to(line)
        self._moved()

    def _moved(self) -> None:
        self.scroll_to_cursor()
        self.refresh_lines_that_changed()
        self.post_message(self.Pointed())

    def on_click(self, event: events.Click) -> None:
        """Select a row, open it on a double click, or sort by a header."""
        if event.y == 0 and self.rows.shown:
            self._sort_by_click(event.x)
            return
        index = self.scroll_offset.y + event.y - 1
        if 0 <= index < len(self.rows.shown):
            self.action_cursor_to(index)
            if event.chain == 2:
                self.post_message(self.Opened())

    def _sort_by_click(self, x: int) -> None:
        column = column_at(self._columns, x)
        if column is not None:
            again = column is self.rows.column
            descending = not self.rows.descending if again else column.descending
            self.sort(column, descending=descending)

    def explanations(self) -> Sequence[Explanation]:
        """All columns of the set, the one that rows are sorted by first."""
        return explained(self.choice.columns, self.rows.column, self.rows.current)

    @property
    def current(self) -> VMView | None:
        """The row under the cursor."""
        return self.rows.current
