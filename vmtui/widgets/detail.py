"""The pane of one VM in a border with tabs: its panes, console, screen, log and facts."""

from __future__ import annotations

from collections.abc import Sequence

from rich.segment import Segment
from textual import events
from textual.app import ComposeResult
from textual.filter import LineFilter
from textual.geometry import Region
from textual.message import Message

from vmtui.consoles import OpenConsole
from vmtui.hardware.tree import Hardware
from vmtui.history import History
from vmtui.theming import Ink
from vmtui.units import plain
from vmtui.views import ConnectionView, VMView
from vmtui.widgets.ages import greyed, vm_stale_s
from vmtui.widgets.clock import Clock
from vmtui.widgets.clock_words import clock_line, clock_words
from vmtui.widgets.console_pane import ConsolePane
from vmtui.widgets.explanation import Explanation
from vmtui.widgets.facts import facts
from vmtui.widgets.facts_pane import fact_columns, fact_lines, facts_and_log
from vmtui.widgets.graph_panel import GraphPanel
from vmtui.widgets.hardware_pane import HardwarePane
from vmtui.widgets.lines import Line, length
from vmtui.widgets.log_pane import LogPane
from vmtui.widgets.lost import lost_lines
from vmtui.widgets.plots import PANE_GAP
from vmtui.widgets.screen_view import ScreenView
from vmtui.widgets.states import ALARM, connection_note
from vmtui.widgets.tabs import CONSOLE, FACTS, HARDWARE, LOG, OVERVIEW, SCREEN, TABS, TabStrip
from vmtui.widgets.terminal_strips import own_colours
from vmtui.widgets.vm_sections import vm_explanations, vm_sections

LOW_LINES = 5
"""Below it, the last line of the overview is for facts."""

FACT_COLUMN = 36
"""Cells for the facts beside the panes, where there is room for one more."""


class Detail(GraphPanel):
    """What is known of the VM under the cursor."""

    focused_border = True

    DEFAULT_CSS = """
    Detail > ScreenView { margin: 1 2; }
    """

    class TabChanged(Message):
        """Another tab was chosen."""

    class Entered(Message):
        """A double click on a row of what is shown."""

    def __init__(
        self,
        clock: Clock,
        history: History,
        *,
        whole: bool = False,
        id: str | None = None,  # noqa: A002
    ) -> None:
        super().__init__(clock, history, id=id)
        self._whole = whole  # the screen is its own
        self._row: VMView | None = None
        self._connection: ConnectionView | None = None
        self._log = LogPane()
        self.console_pane = ConsolePane()
        self.hardware = HardwarePane()
        self.screen_view = ScreenView(prefix="", id="screen")
        self.screen_view.can_focus = False  # it is only looked at here
        self._tabs = TabStrip()

    def compose(self) -> ComposeResult:
        """The guest's screen draws itself."""
        self.screen_view.display = self.shown_tab == SCREEN
        yield self.screen_view

    def get_line_filters(self) -> Sequence[LineFilter]:
        """A guest's console is shown in the colours of the user's own terminal."""
        filters = super().get_line_filters()
        return own_colours(self, filters) if self.shown_tab == CONSOLE else filters

    @property
    def shown_tab(self) -> str:
        """The tab that is chosen."""
        return self._tabs.shown

    @property
    def tab(self) -> int:
        """Its place."""
        return self._tabs.chosen

    @tab.setter
    def tab(self, place: int) -> None:
        self._tabs.chosen = place

    @property
    def shows_log(self) -> bool:
        """Whether the log may be on the screen."""
        facts_in_full = self._whole and not self.shows_graphs
        return self.shown_tab == LOG or (facts_in_full and self.shown_tab in (OVERVIEW, FACTS))

    @property
    def shows_graphs(self) -> bool:
        """Whether the screen is filled with graphs."""
        active = self._row is not None and self._row.vm.state.active
        return self._whole and self.shown_tab == OVERVIEW and active

    def show(self, row: VMView | None, connection: ConnectionView | None) -> None:
        """Take over a VM; the same object again changes nothing."""
        before, host = self._row, self._connection.host if self._connection else None
        if row is None or before is None or row.ref != before.ref:
            self._log.forget()
            self.hardware.forget()
            self.forget()
        self._row, self._connection = row, connection
        self.hardware.changeable = connection is None or not connection.read_only
        if row is None or row is not before or host is not (connection and connection.host):
            self.redraw()

    def tick(self) -> None:
        """A second has passed: facts say more of the time than the border."""
        if self.shown_tab == FACTS:
            self.redraw()
        else:
            super().tick()

    def words_of_time(self) -> tuple[str, ...]:
        """Those of the border."""
        row, now_s = self._row, self._clock.monotonic_s()
        if row is None:
            return (connection_note(self._connection, now_s),) if self._connection else ()
        return clock_words(row, self.ink, self._clock, self._age_s())

    def _age_s(self) -> float | None:
        """How old its figures are, once that has to be said."""
        if self._row is None or self._connection is None:
            return None
        return vm_stale_s(self._row, self._connection, self._clock.monotonic_s())

    def newest_s(self) -> float:
        """Its last sample; the gap after it, once that is old."""
        row = self._row
        at_s = row.sampled_at_s if row else None
        return self._clock.monotonic_s() if at_s is None or self._age_s() is not None else at_s

    def explanations(self) -> Sequence[Explanation]:
        """What the figures of its panes are."""
        return vm_explanations(self._row) if self._row else ()

    def show_console(self, console: OpenConsole | None, note: str = "") -> None:
        """Take over the VM's console, or a note on why there is none."""
        self.console_pane.take(console, note)
        if self.shown_tab == CONSOLE:
            self.redraw()

    def show_hardware(self, hardware: Hardware | None, note: str = "") -> None:
        """Take over what the VM is made of, or a note on why that is not known."""
        self.hardware.take(hardware, note)
        if self.shown_tab == HARDWARE:
            self.redraw()

    @property
    def entry_region(self) -> Region:
        """Where on the screen the row under the cursor of its hardware is."""
        inside = self.region
        return Region(inside.x + 2, inside.y + 1 + self.hardware.line, inside.width - 4, 1)

    # -- log and tabs --------------------------------------------------------------------------

    def show_log(self, text: str, note: str = "") -> None:
        """Take over the log's text, or a note on why there is none."""
        self._log.take(text, note)
        self.redraw()

    def switch(self, step: int) -> None:
        """Go to the next tab."""
        self.choose((self.tab + step) % len(TABS))

    def choose(self, tab: int) -> None:
        """Go to a tab."""
        self.tab = tab
        self.screen_view.display = self.shown_tab == SCREEN
        self.redraw()
        self.post_message(self.TabChanged())

    def scroll_log(self, lines: int) -> None:
        """Scroll back (positive) or towards the end."""
        if self.shows_graphs:
            self.scroll_graphs(-lines)
        elif self.shown_tab == HARDWARE:
            self.hardware.move(-lines)
            self.redraw()
        elif self.shows_log:
            self._log.scroll(lines)
            self.redraw()

    # -- border ------------------------------------------------------------------------------

    def title(self) -> Line:
        """The VM's name and the tabs."""
        vm = self._row.vm if self._row else None
        name, pending = (plain(vm.name), vm.pending) if vm else ("no VM", False)
        return self._tabs.line(name, self.size.width, self.ink, pending=pending)

    def corner(self) -> Line:
        """Where in the log one is; else the VM's state, its age and where to reach it.

        A long name and the tabs come first: the state is also in the pane.
        """
        room = self.size.width - 5 - self._tabs.end  # the border and its blanks
        line = self._told(room - 3)  # what could be left out leaves some of the border
        return line if length(line) <= room else []

    def _told(self, room: int) -> Line:
        ink = self.ink
        if self._log.back and self.shows_log:
            return [Segment(f"{self._log.back} lines below", ink.warn)]
        if self.shown_tab in (CONSOLE, SCREEN) and self._row is not None:
            return [Segment("Enter opens it", ink.quiet)]
        if self.shown_tab == HARDWARE and self._row is not None:
            return self.hardware.corner(self.ink, room, whole=self._whole)
        if self._row is None or self.shown_tab != OVERVIEW:
            return []
        return clock_line(self._row, self.ink, self._clock, self._age_s(), room)

    def on_click(self, event: events.Click) -> None:
        """Choose a tab."""
        if event.y == 0:
            tab = self._tabs.at(event.x)
            if tab is not None:
                self.choose(tab)
        elif self.shown_tab == HARDWARE and self._whole and self.hardware.move_to_line(event.y - 1):
            self.redraw()
            if event.chain == 2:
                self.post_message(self.Entered())

    def turn_wheel(self, lines: int) -> None:
        """Through the log or the hardware too."""
        self.scroll_log(-lines)

    # -- body --------------------------------------------------------------------------------

    def body(self, width: int, height: int) -> Sequence[Line]:
        """The chosen tab."""
        row = self._row
        if row is None:
            now_s = self._clock.monotonic_s()
            return lost_lines(self._connection, self.ink, now_s) if self._whole else []
        tab = self.shown_tab
        if tab in (CONSOLE, SCREEN, HARDWARE, LOG):
            return self._looked_into(tab, width, height)
        if self.shown_tab == FACTS or not row.vm.state.active:
            return self._facts(row, width, height)
        ink = self.ink if self._age_s() is None and not row.stalled else greyed(self.ink)
        if self.shows_graphs:
            why = f"{ALARM} stalled: {plain(row.stalled)}"
            told = [[Segment(why, self.ink.bad)]] if row.stalled else []
            return [*told, *self.stack(vm_sections(row), row.ref, ink, width, height - len(told))]
        return self._panes(row, ink, width, height)

    def _looked_into(self, tab: str, width: int, height: int) -> Sequence[Line]:
        """A tab that is read from the VM rather than sampled; the screen draws itself."""
        if tab == CONSOLE:
            return self.console_pane.lines(self.ink, width, height)
        if tab == LOG:
            return self._log.lines(self.ink, width, height)
        if tab == SCREEN:
            return []
        lines = self.hardware.lines if self._whole else self.hardware.short_lines
        return lines(self.ink, width, height)

    def _facts(self, row: VMView, width: int, height: int) -> list[Line]:
        known = facts(row, self._connection, self.ink, self._clock)
        if not self._whole:
            return fact_columns(known, self.ink, width, height)
        return facts_and_log(known, self._log, self.ink, width, height)

    def _panes(self, row: VMView, ink: Ink, width: int, height: int) -> list[Line]:
        sections = vm_sections(row)
        beside = width >= len(sections) * (FACT_COLUMN + PANE_GAP) + FACT_COLUMN
        room = width - FACT_COLUMN - PANE_GAP if beside else width
        lines = self.side_by_side(sections, row.ref, ink, room, height - (height < LOW_LINES))
        if height >= LOW_LINES and not beside:
            return lines
        known = facts(row, self._connection, self.ink, self._clock)
        if height < LOW_LINES:
            lines += fact_columns(known, self.ink, width, 1)
        else:
            told = fact_lines(known, self.ink, FACT_COLUMN, whole=True)
            for line, fact in zip(lines, told, strict=False):
                line.extend(fact)
        return lines
