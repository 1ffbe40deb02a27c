"""The first line: connections at the left; counts, tasks, read-only and the time at the right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.message import Message

from vmtui.model import State
from vmtui.units import plain
from vmtui.views import ConnectionStatus, ConnectionView, FleetView, TaskStatus
from vmtui.widgets.clock import Clock
from vmtui.widgets.lines import Line, Lines, fit_end, length
from vmtui.widgets.states import ALARM, CONNECTIONS, PENDING, alarms, connection_note, steady

SECONDS_FROM_WIDTH = 100


@dataclass(frozen=True, slots=True)
class _Tally:
    """What is counted of one connection."""

    connection: ConnectionView
    running: int
    alarms: int
    pending: int  # VMs of which the next boot takes something otherwise

    @classmethod
    def of(cls, connection: ConnectionView) -> _Tally:
        """Count."""
        rows = connection.vms
        running = sum(row.vm.state is State.RUNNING for row in rows)
        pending = sum(row.vm.pending for row in rows)
        return cls(connection, running, sum(len(alarms(row)) for row in rows), pending)


class TopBar(Lines):
    """What is connected and how much there is."""

    class Chosen(Message):
        """The connections were clicked."""

    def __init__(self, clock: Clock, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._clock = clock
        self._view: FleetView | None = None
        self._tallies: dict[str, _Tally] = {}

    def show(self, view: FleetView) -> None:
        """Take over `view`."""
        self._view = view
        before = self._tallies
        self._tallies = {
            connection.uri: known
            if (known := before.get(connection.uri)) and known.connection is connection
            else _Tally.of(connection)
            for connection in view.connections
        }
        self.redraw()

    def ground(self) -> Style:
        """The bar's own ground."""
        return self.ink.bar

    def on_click(self, event: events.Click) -> None:
        """Explain the connections."""
        event.stop()
        self.post_message(self.Chosen())

    def paint(self) -> Sequence[Line]:
        """One line; the right side keeps its place, connections take what is left."""
        width = self.size.width
        if self._view is None:
            return [[Segment(" vmtui", self.ink.accent)]]
        right = self._right(width)
        left: Line = [Segment(" vmtui  ", self.ink.accent)]
        room = width - length(left) - length(right) - 1
        left += self._connections(self._view.connections, room)
        gap = max(0, width - length(left) - length(right))
        return [[*left, Segment(" " * gap), *right]]

    def _connections(self, connections: Sequence[ConnectionView], room: int) -> Line:
        for label_limit in (60, 24, 16, 10):
            line: Line = []
            for connection in connections:
                line += self._connection(connection, label_limit)
            if length(line) <= room:
                return line
        return self._counted(connections, room)

    def _connection(self, connection: ConnectionView, limit: int) -> Line:
        symbol, colour = CONNECTIONS[connection.status]
        label = plain(connection.label)
        line = [
            Segment(f"{symbol} ", getattr(self.ink, colour)),
            Segment(fit_end(label, limit), self.ink.text),
        ]
        note = connection_note(connection, self._clock.monotonic_s())
        if note:
            line.append(Segment(f" {steady(note)}", self.ink.quiet))
        return [*line, Segment("   ")]

    def _counted(self, connections: Sequence[ConnectionView], room: int) -> Line:
        line: Line = []
        for status in ConnectionStatus:
            number = sum(c.status is status for c in connections)
            if number:
                symbol, colour = CONNECTIONS[status]
                line += [
                    Segment(f"{symbol} ", getattr(self.ink, colour)),
                    Segment(f"{number} {status.value}  ", self.ink.text),
                ]
        return line if length(line) <= room else []

    def _right(self, width: int) -> Line:
        assert self._view is not None
        ink = self.ink
        count = sum(len(connection.vms) for connection in self._view.connections)
        running = sum(tally.running for tally in self._tallies.values())
        alarmed = sum(tally.alarms for tally in self._tallies.values())
        pending = sum(tally.pending for tally in self._tallies.values())
        tasks = sum(task.status is TaskStatus.RUNNING for task in self._view.tasks)
        parts: list[Line] = []
        if any(c.read_only and not c.recorded for c in self._view.connections):
            parts.append([Segment("read-only", ink.warn)])
        if tasks:
            parts.append([Segment(f"{tasks} task{'s' * (tasks > 1)}", ink.note)])
        parts.append([Segment(f"{count} VM{'s' * (count != 1)}", ink.text)])
        parts.append([Segment(f"{running} running", ink.good if running else ink.quiet)])
        if pending:
            parts.append([Segment(f"{PENDING} {pending} pending", ink.warn)])
        if alarmed:
            parts.append([Segment(f"{ALARM} {alarmed} alarm{'s' * (alarmed > 1)}", ink.bad)])
        line: Line = []
        for part in parts:
            line += [*([Segment(" · ", ink.quiet)] if line else []), *part]
        note = self._clock.note()
        if note:
            return [*line, Segment(f"   {note} ", ink.note)]
        time_format = "%H:%M:%S" if width >= SECONDS_FROM_WIDTH else "%H:%M"
        return [*line, Segment(f"   {self._clock.local().strftime(time_format)} ", ink.quiet)]
