"""The pane of one VM: Overview (history and facts) and Log, in a border with tabs."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from rich.cells import cell_len, chop_cells
from rich.segment import Segment
from textual import events
from textual.message import Message

from vmtui.figures import BY_ID, MOVING
from vmtui.history import History
from vmtui.units import percent, plain, size
from vmtui.views import ConnectionView, VMView
from vmtui.widgets.clock import Clock
from vmtui.widgets.facts import Fact, facts
from vmtui.widgets.graph import braille, meter
from vmtui.widgets.lines import Line, Panel, fit, fit_end, length

TABS = ("Overview", "Log")
LABEL = 10
GAP = 3
FACT = 36
FACT_LOW = 23
"""Cells that a column of facts takes at least; in a low pane more of them are wanted."""

LOG_LEAST = 8
"""Lines from which the log has its place below the overview of a whole screen."""

GRAPH_LIMIT = 14
"""Lines of the graph: higher, and it tells no more."""

ROOMY_LINES = 9
"""Lines from which memory has its place below the CPU."""


class Detail(Panel):
    """What is known of the VM under the cursor."""

    focused_border = True

    class TabChanged(Message):
        """Another tab was chosen."""

    def __init__(
        self,
        clock: Clock,
        history: History,
        *,
        whole: bool = False,
        id: str | None = None,  # noqa: A002
    ) -> None:
        super().__init__(id=id)
        self._clock = clock
        self._history = history
        self._whole = whole  # facts are wrapped instead of cut
        self._row: VMView | None = None
        self._connection: ConnectionView | None = None
        self._log: list[str] | None = None
        self._log_note = ""
        self._wrapped: tuple[int, list[str]] | None = None
        self._back = 0  # lines scrolled back from the log's end; 0 follows it
        self.tab = 0
        self._tab_spans: list[tuple[int, int]] = []

    @property
    def shows_log(self) -> bool:
        """Whether the log may be on the screen."""
        return self._whole or TABS[self.tab] == "Log"

    def show(self, row: VMView | None, connection: ConnectionView | None) -> None:
        """Take over a VM."""
        if row is None or self._row is None or row.ref != self._row.ref:
            self._log, self._log_note, self._wrapped, self._back = None, "", None, 0
        self._row, self._connection = row, connection
        self.redraw()

    def show_log(self, text: str, note: str = "") -> None:
        """Take over the log's text, or a note on why there is none."""
        lines = plain(text, keep_lines=True).expandtabs().split("\n")
        while lines and not lines[-1].strip():
            lines.pop()
        if self._back and self._log is not None:
            self._back += max(0, len(lines) - len(self._log))  # stay where one reads
        self._log, self._log_note, self._wrapped = lines, note, None
        self.redraw()

    def switch(self, step: int) -> None:
        """Go to the next tab."""
        self.choose((self.tab + step) % len(TABS))

    def choose(self, tab: int) -> None:
        """Go to a tab."""
        self.tab = tab
        self.redraw()
        self.post_message(self.TabChanged())

    def scroll_log(self, lines: int) -> None:
        """Scroll back (positive) or towards the end."""
        self._back = max(0, self._back + lines)
        self.redraw()

    # -- border ------------------------------------------------------------------------------

    def title(self) -> Line:
        """The VM's name and the tabs."""
        name = plain(self._row.vm.name) if self._row else "no VM"
        name = fit(name, min(length([Segment(name)]), max(8, self.size.width - 30)))
        line: Line = [Segment(name, self.ink.accent), Segment("  ")]
        self._tab_spans = []
        for index, tab in enumerate(TABS):
            left = 3 + length(line)
            style = self.ink.selected if index == self.tab else self.ink.quiet
            line.append(Segment(f" {tab} ", style))
            self._tab_spans.append((left, left + len(tab) + 2))
        return line

    def corner(self) -> Line:
        """Where in the log one is."""
        if not (self._back and self._log):
            return []
        return [Segment(f"{self._back} lines below", self.ink.warn)]

    def on_click(self, event: events.Click) -> None:
        """Choose a tab."""
        if event.y == 0:
            for index, (left, right) in enumerate(self._tab_spans):
                if left <= event.x < right:
                    self.choose(index)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Scroll the log back."""
        event.stop()
        self.scroll_log(3)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Scroll the log on."""
        event.stop()
        self.scroll_log(-3)

    # -- body --------------------------------------------------------------------------------

    def body(self, width: int, height: int) -> Sequence[Line]:
        """The chosen tab."""
        if self._row is None:
            return []
        if TABS[self.tab] == "Log":
            return self._log_lines(width, height)
        if not self._whole:
            return self._overview(self._row, width, height)
        upper = self._needed(self._row, width)
        if height < upper + LOG_LEAST:
            return self._overview(self._row, width, height)
        rule: Line = [
            Segment("── ", self.ink.line),
            Segment("log", self.ink.quiet),
            Segment(" " + "─" * max(0, width - 7), self.ink.line),
        ]
        lines = [*self._overview(self._row, width, upper), [], rule]
        return [*lines, *self._log_lines(width, height - len(lines))]

    def _needed(self, row: VMView, width: int) -> int:
        """The lines that all facts take on the whole screen."""
        known = facts(row, self._connection, self.ink, self._clock)
        return max(GRAPH_LIMIT + 4, len(self._fact_lines(known, width - _graph_width(width) - GAP)))

    def _log_lines(self, width: int, height: int) -> list[Line]:
        if self._log is None:
            return [[Segment("Reading …", self.ink.quiet)]]
        if not self._log:
            return [[Segment(self._log_note or "The log is empty.", self.ink.quiet)]]
        if self._wrapped is None or self._wrapped[0] != width:
            # An empty line has no pieces, and is a line all the same.
            pieces = [p for line in self._log for p in (chop_cells(line, width) or [""])]
            self._wrapped = (width, pieces)
        wrapped = self._wrapped[1]
        self._back = max(0, min(self._back, len(wrapped) - height))
        end = len(wrapped) - self._back
        return [[Segment(line, self.ink.text)] for line in wrapped[max(0, end - height) : end]]

    def _overview(self, row: VMView, width: int, height: int) -> list[Line]:
        known = facts(row, self._connection, self.ink, self._clock)
        graph_width = _graph_width(width)
        graph = self._graph(row, graph_width, height)
        room = width - graph_width - GAP
        least = FACT if height > 4 else FACT_LOW
        columns = 1 if self._whole else max(1, min(3, (room + GAP) // (least + GAP)))
        fact_width = (room - GAP * (columns - 1)) // columns
        listed = self._fact_lines(known, fact_width)
        each = height if self._whole else min(height, -(-len(listed) // columns))
        lines: list[Line] = []
        for y in range(height):
            line = [*graph[y], Segment(" " * (graph_width + GAP - length(graph[y])))]
            for column in range(columns):
                index = column * each + y
                part = listed[index] if y < each and index < len(listed) else []
                line += [*part, Segment(" " * (fact_width + GAP - length(part)))]
            lines.append(line)
        return lines

    def _fact_lines(self, known: Sequence[Fact], width: int) -> list[Line]:
        lines: list[Line] = []
        room = max(4, width - LABEL)
        for fact in known:
            text = f"{fact.text}  {fact.path}".strip()
            pieces = textwrap.wrap(text, room) or [""]
            if not self._whole:
                path = fit_end(fact.path, room - cell_len(fact.text) - 2)
                pieces = [f"{fact.text}  {path}".rstrip()]
            for index, piece in enumerate(pieces):
                label = fact.label if not index else ""
                text = fit(piece, min(room, cell_len(piece)))
                lines.append(
                    [Segment(fit(label, LABEL), self.ink.quiet), Segment(text, fact.style)]
                )
        return lines

    def _graph(self, row: VMView, width: int, height: int) -> list[Line]:
        """CPU history, and with room the memory that the host holds for it."""
        ink = self.ink
        moving = row.vm.state in MOVING
        cpu = BY_ID["cpu"].of(row)
        of = f" % of {row.vm.vcpus} vCPU{'s' * (row.vm.vcpus > 1)}" if cpu is not None else ""
        head: Line = [
            Segment("CPU  ", ink.quiet),
            Segment(percent(cpu), ink.strong),
            Segment(of, ink.quiet),
        ]
        below = self._held(row, width) if height >= ROOMY_LINES and moving else []
        end_s = row.sampled_at_s or 0.0
        history = (
            self._history.window(row.ref, "cpu", end_s=end_s, span_s=2.0 * width, columns=2 * width)
            if row.vm.state.active
            else []
        )
        colour = ink.quiet if row.stalled else ink.cpu
        rows = min(GRAPH_LIMIT, height - 1 - len(below))
        drawn = braille(history, width, rows) if history else []
        lines: list[Line] = [head, *([Segment(text, colour)] for text in drawn), *below]
        return lines + [[] for _ in range(height - len(lines))]

    def _held(self, row: VMView, width: int) -> list[Line]:
        rss, given = row.memory_rss_bytes, row.memory_actual_bytes
        if rss is None or not given:
            return []
        head: Line = [
            Segment("Memory  ", self.ink.quiet),
            Segment(size(rss), self.ink.strong),
            Segment(f" of {size(given)} on the host", self.ink.quiet),
        ]
        colour = "faint" if row.stalled else "memory"
        return [[], head, meter(rss / given, width, self.ink, colour)]


def _graph_width(width: int) -> int:
    return max(20, min(64, width * 3 // 10))
