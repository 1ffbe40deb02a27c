"""The first screen: connections, hosts, all VMs, and the one under the cursor."""

from __future__ import annotations

from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from vmtui.actions import BY_ID
from vmtui.column_sets import ColumnSet
from vmtui.screens.arranging import ARRANGING, Arranging
from vmtui.screens.base import Context, FleetScreen
from vmtui.screens.emptiness import explanation
from vmtui.screens.glances import Glances
from vmtui.screens.log_reader import LogReader
from vmtui.views import FleetView, VMRef, VMView
from vmtui.widgets.action_bar import ActionBar
from vmtui.widgets.detail import Detail
from vmtui.widgets.explanation import Topic
from vmtui.widgets.host_pane import HostPane, host_lines
from vmtui.widgets.sparks import Sparks
from vmtui.widgets.status_line import FilterInput, StatusLine
from vmtui.widgets.status_words import StatusWords
from vmtui.widgets.top_bar import TopBar
from vmtui.widgets.vm_table import VMTable


def detail_height(terminal_height: int) -> int:
    """Lines of the pane at the bottom, border included; by the terminal alone: nothing jumps."""
    if terminal_height < 22:
        return 0
    if terminal_height < 30:
        return 5
    return min(20, terminal_height * 2 // 5)


class Dashboard(Arranging, Glances, LogReader, FleetScreen):
    """The list of VMs with all around it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab,right_square_bracket,l,right", "tab(1)", "next tab", show=False),
        Binding("shift+tab,left_square_bracket,h,left", "tab(-1)", "previous tab", show=False),
    ]

    VIEW_ACTIONS = FleetScreen.VIEW_ACTIONS | ARRANGING | {"filter", "host"}

    AUTO_FOCUS = "VMTable"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.top_bar = TopBar(context.clock)
        self.hosts = HostPane(context.clock, context.fleet.history)
        history = context.fleet.history
        self.table = VMTable(context.clock, context.config.columns, Sparks(history))
        keys = {each: context.key(BY_ID[f"columns_{each}"]) for each in ColumnSet}
        self.status = StatusLine(keys)
        self._looked_at: list[VMRef] | None = None
        self.detail = Detail(context.clock, context.fleet.history)
        self.actions = ActionBar(context.key)

    def compose(self) -> ComposeResult:
        """From top to bottom."""
        yield self.top_bar
        yield self.hosts
        yield self.table
        yield self.status
        yield self.detail
        yield self.actions

    def on_mount(self) -> None:
        """Draw what is known."""
        self.table.capture = self._captured
        self._draw()

    def _captured(self, event: events.Key) -> bool:
        """Whether a key of the table is the filter's: `/`, and all that is typed after it."""
        if self.status.typing:
            self.status.feed(event)
            return True
        action = BY_ID["filter"]
        if event.key in self.context.keys.get(action.id, action.key).split(","):
            self.action_do(action.id)
            return True
        return False

    @on(events.Resize)
    def _share_out(self, event: events.Resize) -> None:
        """Heights of the panes."""
        height = event.size.height
        self.hosts.styles.height = host_lines(self.view, height) + 2
        bottom = detail_height(height)
        self.detail.display = bottom > 0
        self.detail.styles.height = max(1, bottom)

    # -- views -------------------------------------------------------------------------------

    def show(self, view: FleetView) -> None:
        """Take over `view`."""
        super().show(view)
        if self.is_mounted:
            self._draw()

    def _draw(self) -> None:
        view = self.view
        self.top_bar.show(view)
        self.hosts.show(view)
        self._explain()
        self.table.show(view)
        self._show_current()
        self._look()

    def _explain(self) -> None:
        """Why the table is empty, where it is."""
        text, now_s = self.table.rows.filter_text, self.context.clock.monotonic_s()
        self.table.empty = explanation(self.view, text, self.context, now_s)

    def tick(self) -> None:
        """Clock, countdowns and ages."""
        self.top_bar.redraw()
        self.hosts.tick()
        if self.table.current is None:
            self._explain()
        self.table.refresh_lines_that_changed()
        self.detail.tick()
        self._show_status()

    def _show_current(self) -> None:
        row = self.table.current
        self.detail.show(row, self.view.connection(row.ref.uri) if row else None)
        self.glance()
        self._show_status()
        refusal = self.refusals()
        self.actions.show(lambda action: bool(refusal(action)))

    def _show_status(self) -> None:
        now_s = self.context.clock.monotonic_s()
        self.status.show(self.table.rows, self.table.choice.set, now_s)

    def _look(self) -> None:
        """Tell the fleet which VMs can be seen, as long as no other screen does."""
        if not self.is_current:
            return
        seen = self.table.in_view
        pointed = self.table.rows.pointed
        if self.detail.display and pointed is not None and pointed not in seen:
            seen.append(pointed)
        if seen != self._looked_at:
            self._looked_at = seen
            self.context.fleet.look_at(seen)

    def on_screen_resume(self) -> None:
        """Another screen may have looked at something else."""
        self._looked_at = None
        self._look()

    def targets(self) -> list[VMView]:
        """All marked VMs, or the one under the cursor."""
        if self.table.rows.marks:
            return self.table.rows.marked
        return [self.table.current] if self.table.current else []

    def hidden_targets(self) -> int:
        """Marked VMs that the filter hides."""
        return len(self.table.rows.hidden_marks)

    def logged_vm(self) -> VMRef | None:
        """Whose log is to be read."""
        if not (self.detail.shows_log and self.detail.display):
            return None
        return self.table.rows.pointed

    def glanced_at(self) -> VMView | None:
        """The VM in the pane, where there is one."""
        return self.table.rows.current if self.detail.display else None

    def point_at(self, ref: VMRef) -> None:
        """Put the cursor on a VM."""
        self.table.point_at(ref)

    def set_notice(self, text: str, key: str = "") -> None:
        """The one line that the user should know, and the key that tells more."""
        self.status.notice, self.status.notice_key = text, key
        self._show_status()

    # -- what widgets say ----------------------------------------------------------------------

    @on(VMTable.Pointed)
    def _pointed(self) -> None:
        self._show_current()
        self._look()
        self.read_log()

    @on(VMTable.Scrolled)
    def _scrolled(self) -> None:
        self._look()

    @on(VMTable.Arranged)
    def _arranged(self) -> None:
        self._explain()
        self._show_current()
        self._look()

    @on(VMTable.Opened)
    def action_open_vm(self) -> None:
        """Enter, at once: the keys that follow are for what it opens."""
        from vmtui.screens.vm import VMScreen  # noqa: PLC0415

        ref = self.table.rows.pointed
        if ref is not None and not self.opens():
            self.app.push_screen(VMScreen(self.context, ref, self.detail.tab))

    @on(HostPane.Opened)
    def action_open_host(self) -> None:
        """Enter on a host, as above."""
        if self.hosts.current is not None:
            self._show_host(self.hosts.current.uri)

    def _show_host(self, uri: str) -> None:
        from vmtui.screens.host import HostScreen  # noqa: PLC0415

        self.app.push_screen(HostScreen(self.context, uri))

    @on(Detail.TabChanged)
    def _tab_changed(self) -> None:
        self.read_log()
        self.glance()

    @on(StatusWords.Chosen)
    def _columns_chosen(self, event: StatusWords.Chosen) -> None:
        self.action_do(f"columns_{event.column_set}")

    @on(StatusLine.Filtered)
    def _filtered(self, event: StatusLine.Filtered) -> None:
        self.table.filter(event.text)

    @on(FilterInput.Left)
    def _filter_left(self, event: FilterInput.Left) -> None:
        if event.clear:
            self.status.clear()
            self.table.filter("")
        self.status.stop_typing()
        self.table.focus()
        self._show_current()

    # -- actions -------------------------------------------------------------------------------

    def action_back(self) -> None:
        """Back to the table, else clear the filter, else the marks."""
        if self.focused is self.hosts:
            self.table.focus()
        elif self.table.rows.filter_text:
            self.status.clear()
            self.table.filter("")
        elif self.table.rows.marks:
            self.table.unmark_all()

    def action_tab(self, step: int) -> None:
        """Another tab of the pane."""
        self.detail.switch(step)

    def view_filter(self) -> None:
        """`/`."""
        self.status.start_typing()
        self._show_current()

    def topics(self) -> list[Topic]:
        """The columns first, unless the hosts have the focus."""
        panes = super().topics()
        columns = Topic(f"{self.table.choice.set.label} columns", self.table.explanations)
        panes.insert(int(self.focused is self.hosts), columns)
        return panes

    def host_uri(self) -> str | None:
        """That of the VM under the cursor; of the host there, where the hosts have the focus."""
        row = None if self.focused is self.hosts else self.table.current
        if row is not None:
            return row.ref.uri
        return self.hosts.current.uri if self.hosts.current else None

    def view_host(self) -> None:
        """`o`."""
        uri = self.host_uri()
        if uri is not None:
            self._show_host(uri)
