"""One VM on the whole screen: its graphs, its log, all its facts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.geometry import Spacing

from vmtui.actions import unchangeable
from vmtui.column_sets import ColumnSet
from vmtui.configuring import TARGET
from vmtui.screens import configuring, hardware
from vmtui.screens.base import Context, FleetScreen
from vmtui.screens.editing import Seat
from vmtui.screens.glances import Glances
from vmtui.screens.graphing import GRAPH_KEYS, Graphing
from vmtui.screens.log_reader import LogReader
from vmtui.views import ConnectionStatus, ConnectionView, FleetView, VMRef, VMView
from vmtui.widgets.action_bar import ActionBar
from vmtui.widgets.detail import Detail
from vmtui.widgets.graph_panel import GraphPanel
from vmtui.widgets.tabs import HARDWARE, TABS
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
        Binding("delete", "detach", "detach", show=False),
        *(Binding(str(place), f"part({place})", show=False) for place in range(6, 10)),
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
        """Take over `view`; a VM that is deleted takes the screen along, a lost one does not."""
        super().show(view)
        if self.is_mounted:
            self._draw()

    def _draw(self) -> None:
        view = self.view
        row, connection = view.row(self._ref), view.connection(self._ref.uri)
        self.top_bar.show(view)
        self.detail.show(row, connection)
        self.glance()
        refusal = self.refusals()
        self.actions.show(lambda action: bool(refusal(action)))
        if row is not None:
            self._was_there = True
        elif self._was_there and self.is_current and _is_up(connection):
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
        """Enter: what the tab shows, in full; of its hardware what is under the cursor."""
        if self.detail.shown_tab == HARDWARE:
            self._edit_entry()
        else:
            self.opens()

    # -- hardware ------------------------------------------------------------------------------

    @property
    def ref(self) -> VMRef:
        """The VM."""
        return self._ref

    def show_hardware(self, key: str = "") -> None:
        """Go to its hardware, there to a setting or a part."""
        if self.detail.shown_tab != HARDWARE:
            self.detail.choose(TABS.index(HARDWARE))
        if key:
            self.detail.hardware.point_at(key)
        if self.is_mounted:
            self.detail.redraw()

    @on(Detail.Entered)
    def _edit_entry(self) -> None:
        row = self.detail.hardware.current
        if row is None:
            return
        if row.entry is None:
            self._configure(configuring.open_part, self, self._ref, row.part)
            return
        if row.entry.key == TARGET:
            self.action_do("memory")  # asking is not getting: it is followed there
            return
        pane = self.detail.region.shrink(Spacing.all(1))
        seat = Seat(self.detail.entry_region, self.detail.hardware.label_cells, pane)
        self._change(hardware.edit_entry, self, self._ref, row.entry, seat)

    def action_do(self, action_id: str) -> None:
        """Do an action of the table; the keys of column sets go to parts of the hardware."""
        sets = [f"columns_{column_set}" for column_set in ColumnSet]
        if action_id in sets and self.detail.shown_tab == HARDWARE:
            self.action_part(sets.index(action_id) + 1)
        else:
            super().action_do(action_id)

    def action_part(self, number: int) -> None:
        """Go to a part of the hardware."""
        if self.detail.shown_tab == HARDWARE:
            self.detail.hardware.point_at_part(number)
            self.detail.redraw()

    def _attach_device(self) -> None:
        row = self.view.row(self._ref)
        if row is not None:
            self._change(hardware.attach, self, row)

    def action_detach(self) -> None:
        """The part under the cursor goes."""
        row = self.detail.hardware.current
        if row is not None and self.detail.shown_tab == HARDWARE:
            self._change(hardware.detach, self, self._ref, row.part.id)

    def _change(self, work: Callable[..., Awaitable[object]], *args: object) -> None:
        """The same, unless nothing may be changed: no question is asked for nothing."""
        if refusal := unchangeable(self.view.connection(self._ref.uri)):
            self.refuse(refusal)
        else:
            self._configure(work, *args)

    def _configure(self, work: Callable[..., Awaitable[object]], *args: object) -> None:
        """Let one dialog at a time be on its way."""
        if not self.is_held:
            self.bring(partial(work, *args), "configuring")

    def action_zoom(self, step: int) -> None:
        """`+` and `-`: of graphs closer or farther, of hardware one more or less."""
        if self.detail.shown_tab != HARDWARE:
            super().action_zoom(step)
        elif step > 0:
            self._attach_device()
        else:
            self.action_detach()

    @on(Detail.TabChanged)
    def _tab_changed(self) -> None:
        self.read_log()
        self.glance()

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


def _is_up(connection: ConnectionView | None) -> bool:
    return connection is not None and connection.status is ConnectionStatus.UP
