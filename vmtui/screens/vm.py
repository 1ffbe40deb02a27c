"""One VM on the whole screen: its graphs, its log, all its facts."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from vmtui.screens.base import Context, FleetScreen
from vmtui.screens.glances import Glances
from vmtui.screens.graphing import GRAPH_KEYS, Graphing
from vmtui.screens.log_reader import LogReader
from vmtui.views import FleetView, VMRef, VMView
from vmtui.widgets.action_bar import ActionBar
from vmtui.widgets.detail import Detail
from vmtui.widgets.graph_panel import GraphPanel
from vmtui.widgets.top_bar import TopBar


class VMScreen(Graphing, Glances, LogReader, FleetScreen):
    """Actions here are done to this VM, whatever is marked elsewhere."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *GRAPH_KEYS,
        Binding("tab,right_square_bracket", "tab(1)", "next tab", show=False),
        Binding("shift+tab,left_square_bracket", "tab(-1)", "previous tab", show=False),
        Binding("enter", "open_tab", "open", show=False),
        Binding("up,k", "log(1)", "back", show=False),
        Binding("down,j", "log(-1)", "on", show=False),
        Binding("pageup,ctrl+b,ctrl+u", "log(20)", "a page back", show=False),
        Binding("pagedown,ctrl+f,ctrl+d", "log(-20)", "a page on", show=False),
        Binding("home,g", "log(1000000)", "to the start", show=False),
        Binding("end", "end", "to the end, or back to now", show=False),
        Binding("G", "log(-1000000)", "to the end", show=False),
    ]

    def __init__(self, context: Context, ref: VMRef, tab: int = 0) -> None:
        super().__init__(context)
        self._ref = ref
        self._was_there = False
        self.top_bar = TopBar(context.clock)
        self.detail = Detail(context.clock, context.fleet.history, whole=True)
        self.detail.tab = tab
        self.actions = ActionBar(context.key)

    def compose(self) -> ComposeResult:
        """From top to bottom."""
        yield self.top_bar
        yield self.detail
        yield self.actions

    def on_mount(self) -> None:
        """Fill the height."""
        self.detail.styles.height = "1fr"
        self._draw()
        self.read_log()

    def on_screen_resume(self) -> None:
        """Nothing else is looked at."""
        self.context.fleet.look_at([self._ref])

    def show(self, view: FleetView) -> None:
        """Take over `view`; a VM that is deleted takes the screen along."""
        super().show(view)
        if self.is_mounted:
            self._draw()

    def _draw(self) -> None:
        view = self.view
        row = view.row(self._ref)
        self.top_bar.show(view)
        self.detail.show(row, view.connection(self._ref.uri))
        self.glance()
        refusal = self.refusals()
        self.actions.show(lambda action: bool(refusal(action)))
        if row is not None:
            self._was_there = True
        elif self._was_there and self.is_current:
            self.action_back()

    def tick(self) -> None:
        """Clock and ages."""
        self.top_bar.redraw()
        self.detail.tick()

    def targets(self) -> list[VMView]:
        """This VM."""
        row = self.view.row(self._ref)
        return [row] if row else []

    def logged_vm(self) -> VMRef | None:
        """This VM, while its log is shown."""
        return self._ref if self.detail.shows_log else None

    def glanced_at(self) -> VMView | None:
        """This VM."""
        return self.view.row(self._ref)

    def action_open_tab(self) -> None:
        """Enter: what the tab shows, in full."""
        self.opens()

    @on(Detail.TabChanged)
    def _tab_changed(self) -> None:
        self.read_log()
        self.glance()

    @on(ActionBar.Chosen)
    def _action_chosen(self, event: ActionBar.Chosen) -> None:
        self.action_do(event.action_id)

    @on(TopBar.Chosen)
    def _connections_chosen(self) -> None:
        self.action_do("connections")

    def action_back(self) -> None:
        """To the list."""
        self.dismiss()

    def graphs(self) -> GraphPanel:
        """The VM's."""
        return self.detail

    def action_pan(self, step: int) -> None:
        """Back or on in time; where there are no graphs, another tab."""
        if self.detail.shows_graphs:
            super().action_pan(step)
        else:
            self.detail.switch(step)

    def action_end(self) -> None:
        """The end of the graphs, or of the log."""
        if self.detail.shows_graphs:
            self.action_now()
        else:
            self.detail.scroll_log(-1_000_000)

    def action_tab(self, step: int) -> None:
        """Another tab."""
        self.detail.switch(step)

    def action_log(self, lines: int) -> None:
        """Scroll the log, or through graphs that do not fit."""
        self.detail.scroll_log(lines)
