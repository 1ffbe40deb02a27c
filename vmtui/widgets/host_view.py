"""One host on the whole screen: graphs above one axis, every CPU, device and interface."""

from __future__ import annotations

from collections.abc import Sequence

from rich.segment import Segment

from vmtui.history import History
from vmtui.units import plain, size
from vmtui.views import ConnectionStatus, ConnectionView
from vmtui.widgets.ages import greyed, host_stale_s
from vmtui.widgets.clock import Clock, short_duration
from vmtui.widgets.explanation import Explanation
from vmtui.widgets.graph_panel import GraphPanel
from vmtui.widgets.host_sections import host_explanations, host_sections
from vmtui.widgets.lines import Line
from vmtui.widgets.lost import lost_lines
from vmtui.widgets.states import accel_badge, connection_note


class HostView(GraphPanel):
    """What is known of one connection's host."""

    focused_border = True

    def __init__(self, clock: Clock, history: History) -> None:
        super().__init__(clock, history)
        self._connection: ConnectionView | None = None

    def show(self, connection: ConnectionView | None) -> None:
        """Take over a connection; the same object again changes nothing."""
        before, self._connection = self._connection, connection
        if connection is not before:
            self.redraw()

    def explanations(self) -> Sequence[Explanation]:
        """What its figures are."""
        return host_explanations(self._connection) if self._connection else ()

    def newest_s(self) -> float:
        """Its last sample; the gap after it, once that is old."""
        now = self._connection.host_counters if self._connection else None
        return self._clock.monotonic_s() if now is None or self._age_s() is not None else now.at_s

    def _age_s(self) -> float | None:
        connection = self._connection
        return host_stale_s(connection, self._clock.monotonic_s()) if connection else None

    def words_of_time(self) -> tuple[str, ...]:
        """How old it is, or when it is tried again."""
        return (self._note(),)

    def _note(self) -> str:
        connection = self._connection
        if connection is None:
            return ""
        if connection.status is not ConnectionStatus.UP:
            return connection_note(connection, self._clock.monotonic_s())
        age_s = self._age_s()
        return "" if age_s is None else f"{short_duration(age_s)} ago"

    # -- drawing -------------------------------------------------------------------------------

    def title(self) -> Line:
        """The host, and what it is made of."""
        connection, ink = self._connection, self.ink
        host = connection.host if connection else None
        if connection is None or host is None:
            return [Segment(plain(connection.label), ink.accent)] if connection else []
        badge, style = accel_badge(host.accel, ink)
        return [
            Segment(plain(host.name), ink.accent),
            Segment(f" · {host.cpus} CPUs · {size(host.memory_bytes)} · ", ink.quiet),
            Segment(badge, style),
        ]

    def corner(self) -> Line:
        """How old it is; else which connection it is of."""
        if self._connection is None:
            return []
        if note := self._note():
            return [Segment(note, self.ink.warn)]
        return [Segment(plain(self._connection.label), self.ink.quiet)]

    def body(self, width: int, height: int) -> Sequence[Line]:
        """Graphs, or why there are none."""
        connection = self._connection
        if connection is None:
            return []
        if connection.status is not ConnectionStatus.UP:
            return lost_lines(connection, self.ink, self._clock.monotonic_s())
        ink = self.ink if self._age_s() is None else greyed(self.ink)
        sections = host_sections(connection, each=True)
        return self.stack(sections, connection.uri, ink, width, height)
