"""The hosts: one line each, or with room and a single host its panes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message

from vmtui.history import History
from vmtui.model import Accel, Host
from vmtui.units import plain, size
from vmtui.views import ConnectionStatus, ConnectionView, FleetView
from vmtui.widgets.ages import greyed, host_stale_s
from vmtui.widgets.clock import Clock, short_duration
from vmtui.widgets.explanation import Explanation
from vmtui.widgets.host_row import compact
from vmtui.widgets.host_sections import host_explanations, host_sections
from vmtui.widgets.lines import Line, fit, fit_end, length
from vmtui.widgets.plots import PANE_GAP, Plots, pane_span_s
from vmtui.widgets.states import CONNECTIONS, accel_badge, connection_note, steady
from vmtui.widgets.timed_panel import TimedPanel
from vmtui.widgets.timeline import Past

ROOMY = ((50, 8), (36, 6))
"""From how many lines of the terminal a single host gets panes, and how many lines of them."""

ROOMY_LINES = 6


def host_lines(view: FleetView, terminal_height: int) -> int:
    """How many lines inside the border the hosts get: fixed, whatever the connections do."""
    count = len(view.connections)
    if count == 1:
        return next((lines for least, lines in ROOMY if terminal_height >= least), 1)
    return min(count, max(1, terminal_height // 8))


class HostPane(TimedPanel):
    """What every host does, or why it is not connected. Enter opens one in full."""

    can_focus = True
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "screen.open_host", "open the host", show=False),
        Binding("down,j", "move(1)", "next host", show=False),
        Binding("up,k", "move(-1)", "previous host", show=False),
    ]

    class Opened(Message):
        """A double click on the host that is to be shown in full."""

    def __init__(self, clock: Clock, history: History, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._clock = clock
        self._history = history
        self._plots = Plots()
        self._view: FleetView | None = None
        self._cursor = 0

    def show(self, view: FleetView) -> None:
        """Take over `view`."""
        before = self._connections
        self._view = view
        # One that did not change is the same object.
        if [*map(id, before)] != [*map(id, view.connections)]:
            self.redraw()

    def words_of_time(self) -> tuple[str, ...]:
        """How old each host's figures are, or when it is tried again."""
        return tuple(map(self._note, self._connections))

    @property
    def _connections(self) -> tuple[ConnectionView, ...]:
        return self._view.connections if self._view else ()

    @property
    def current(self) -> ConnectionView | None:
        """The host that Enter opens."""
        connections = self._connections
        return connections[min(self._cursor, len(connections) - 1)] if connections else None

    def explanations(self) -> Sequence[Explanation]:
        """What its figures are."""
        return host_explanations(self.current) if self.current else ()

    # -- keys and mouse ------------------------------------------------------------------------

    def action_move(self, step: int) -> None:
        """To another host."""
        self._cursor = max(0, min(len(self._connections) - 1, self._cursor + step))
        self.redraw()

    def on_click(self, event: events.Click) -> None:
        """Choose a host; a double click opens it."""
        if len(self._connections) > 1 and 0 < event.y <= len(self._connections):
            self._cursor = event.y - 1
            self.redraw()
        if event.chain == 2:
            self.post_message(self.Opened())

    def on_focus(self) -> None:
        """Show that keys go here."""
        self.focused_border = True
        self.redraw()

    def on_blur(self) -> None:
        """Show that they no longer do."""
        self.focused_border = False
        self.redraw()

    # -- border ------------------------------------------------------------------------------

    def title(self) -> Line:
        """The host, or how many there are."""
        connections = self._connections
        if len(connections) == 1:
            host = connections[0].host
            return (
                self._host_name(host)
                if host
                else [Segment(plain(connections[0].label), self.ink.quiet)]
            )
        up = sum(c.status is ConnectionStatus.UP for c in connections)
        return [
            Segment("hosts", self.ink.accent),
            Segment(f" · {up} of {len(connections)} up", self.ink.quiet),
        ]

    def corner(self) -> Line:
        """How old the figures are, else why the acceleration is not what one hopes for."""
        if len(self._connections) != 1:
            return []
        host = self._connections[0].host
        reason = self._note(self._connections[0])
        if not reason and host is not None and host.accel is not Accel.KVM:
            reason = plain(host.accel_reason)
        if not reason:
            return []
        room = min(length([Segment(reason)]), self.size.width // 2)
        return [Segment(fit(reason, room), self.ink.warn)]

    def _host_name(self, host: Host) -> Line:
        ink = self.ink
        badge, style = accel_badge(host.accel, ink)
        return [
            Segment(plain(host.name), ink.accent),
            Segment(f" · {host.cpus} CPUs · {size(host.memory_bytes)} · ", ink.quiet),
            Segment(badge, style),
        ]

    def _note(self, connection: ConnectionView) -> str:
        """How old the figures of a host are, or when it is tried again."""
        if connection.status is not ConnectionStatus.UP:
            return connection_note(connection, self._clock.monotonic_s())
        age_s = self._age_s(connection)
        return "" if age_s is None else f"{short_duration(age_s)} ago"

    def _age_s(self, connection: ConnectionView) -> float | None:
        return host_stale_s(connection, self._clock.monotonic_s())

    # -- body --------------------------------------------------------------------------------

    def body(self, width: int, height: int) -> Sequence[Line]:
        """Lines for all connections."""
        connections = self._connections
        if len(connections) == 1:
            only = connections[0]
            if only.host is None or only.status is not ConnectionStatus.UP:
                return self._not_up(only, plain(only.label))
            if height >= ROOMY_LINES:
                return self._panes(only, width, height)
            return [self._compact(only, width)]
        first = max(0, min(self._cursor - height + 2, len(connections) - height))
        lines = [self._row(i, connection, width) for i, connection in enumerate(connections)]
        if len(lines) > height:
            more = len(lines) - height + 1
            shown = lines[first : first + height - 1] if height > 1 else lines[first : first + 1]
            lines = [*shown, [Segment(f"… and {more} more", self.ink.quiet)]][:height]
        return lines

    def _not_up(self, connection: ConnectionView, label: str) -> list[Line]:
        symbol, colour = CONNECTIONS[connection.status]
        note = connection_note(connection, self._clock.monotonic_s())
        line = [
            Segment(f"{symbol} {label}", getattr(self.ink, colour)),
            Segment(f" {steady(note)}  ", self.ink.quiet),
        ]
        problem = connection.problem
        lines = [line]
        if problem is not None:
            line.append(Segment(plain(problem.what), self.ink.text))
            why = plain(problem.why)
            lines.append([Segment(why, self.ink.quiet)])
            lines.append([Segment(plain(problem.hint), self.ink.text)])
        return lines

    def _row(self, index: int, connection: ConnectionView, width: int) -> Line:
        ink = self.ink
        pointer = "▸" if self.has_focus and index == self._cursor else " "
        longest = max(cell_len(plain(c.label)) for c in self._connections)
        cells = min(28, longest, max(10, width // 5))
        label = fit(fit_end(plain(connection.label), cells), cells)
        host = connection.host
        if host is None or connection.status is not ConnectionStatus.UP:
            return [Segment(pointer, ink.accent), *self._not_up(connection, label)[0]]
        badge, style = accel_badge(host.accel, ink)
        symbol, colour = CONNECTIONS[connection.status]
        head = [
            Segment(pointer, ink.accent),
            Segment(f"{symbol} ", getattr(ink, colour)),
            Segment(label, ink.accent),
            Segment(" "),
        ]
        note = self._note(connection)
        tail = [Segment(" "), Segment(note or badge, ink.warn if note else style)]
        return [*head, *self._compact(connection, width - length(head) - length(tail)), *tail]

    def _compact(self, connection: ConnectionView, width: int) -> Line:
        ink = self.ink if self._age_s(connection) is None else greyed(self.ink)
        return compact(connection, self._past(connection, pane_span_s(width // 4)), ink, width)

    def _panes(self, connection: ConnectionView, width: int, height: int) -> list[Line]:
        ink = self.ink if self._age_s(connection) is None else greyed(self.ink)
        sections = host_sections(connection)
        past = self._past(connection, pane_span_s(width // 4 - PANE_GAP))
        return self._plots.side_by_side(sections, past, ink, width, height)

    def _past(self, connection: ConnectionView, span_s: float) -> Past:
        rates = connection.host_rates
        end_s = rates.at_s if rates else 0.0
        if self._age_s(connection) is not None:
            end_s = self._clock.monotonic_s()
        return Past(self._history, connection.uri, end_s, span_s)
