"""The hosts: one line each, or with room and a single host its graphs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rich.segment import Segment

from vmtui.history import History
from vmtui.model import Accel, Host, State
from vmtui.units import percent, plain, size
from vmtui.views import ConnectionStatus, ConnectionView, FleetView
from vmtui.widgets.clock import Clock
from vmtui.widgets.graph import braille, meter
from vmtui.widgets.lines import Line, Panel, fit, length
from vmtui.widgets.states import CONNECTIONS, accel_badge, connection_note

ROOMY_FROM_HEIGHT = 36
"""Lines of the terminal from which a single host gets graphs."""

ROOMY_LINES = 4
BAR = 12


def host_lines(view: FleetView, terminal_height: int) -> int:
    """How many lines inside the border the hosts get: fixed, whatever the connections do."""
    count = len(view.connections)
    if count == 1:
        return ROOMY_LINES if terminal_height >= ROOMY_FROM_HEIGHT else 1
    return min(count, max(1, terminal_height // 8))


class HostPane(Panel):
    """CPU and memory of every host, or why it is not connected."""

    def __init__(self, clock: Clock, history: History, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._clock = clock
        self._history = history
        self._view: FleetView | None = None

    def show(self, view: FleetView) -> None:
        """Take over `view`."""
        self._view = view
        self.redraw()

    # -- border ------------------------------------------------------------------------------

    def title(self) -> Line:
        """The host, or how many there are."""
        connections = self._view.connections if self._view else ()
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
        """Why the acceleration is not what one hopes for."""
        connections = self._view.connections if self._view else ()
        host = connections[0].host if len(connections) == 1 else None
        if host is None or host.accel is Accel.KVM or not host.accel_reason:
            return []
        reason = plain(host.accel_reason)
        return [
            Segment(
                fit(reason, min(length([Segment(reason)]), self.size.width // 2)), self.ink.warn
            )
        ]

    def _host_name(self, host: Host) -> Line:
        ink = self.ink
        badge, style = accel_badge(host.accel, ink)
        return [
            Segment(plain(host.name), ink.accent),
            Segment(f" · {host.cpus} CPUs · {size(host.memory_bytes)} · ", ink.quiet),
            Segment(badge, style),
        ]

    # -- body --------------------------------------------------------------------------------

    def body(self, width: int, height: int) -> Sequence[Line]:
        """Lines for all connections."""
        if self._view is None:
            return []
        connections = self._view.connections
        if len(connections) == 1:
            only = connections[0]
            if only.host is None or only.status is not ConnectionStatus.UP:
                return self._not_up(only)
            if height >= ROOMY_LINES:
                return self._roomy(only, only.host, width)
            return [self._compact(only, width)]
        lines = [self._row(connection, width) for connection in connections]
        if len(lines) > height:
            more = len(lines) - height + 1
            lines = [*lines[: height - 1], [Segment(f"… and {more} more", self.ink.quiet)]]
        return lines

    def _not_up(self, connection: ConnectionView) -> list[Line]:
        symbol, colour = CONNECTIONS[connection.status]
        note = connection_note(connection, self._clock.monotonic_s())
        line = [
            Segment(f"{symbol} {plain(connection.label)}", getattr(self.ink, colour)),
            Segment(f" {note}  ", self.ink.quiet),
        ]
        problem = connection.problem
        lines = [line]
        if problem is not None:
            line.append(Segment(f"{problem.what}  ", self.ink.text))
            why = plain(problem.why)
            lines.append([Segment(why, self.ink.quiet)])
            lines.append([Segment(plain(problem.hint), self.ink.text)])
        return lines

    def _row(self, connection: ConnectionView, width: int) -> Line:
        label_width = min(28, max(10, width // 5))
        host = connection.host
        if host is None or connection.status is not ConnectionStatus.UP:
            return self._not_up(connection)[0]
        badge, style = accel_badge(host.accel, self.ink)
        symbol, colour = CONNECTIONS[connection.status]
        head = [
            Segment(f"{symbol} ", getattr(self.ink, colour)),
            Segment(fit(plain(connection.label), label_width), self.ink.accent),
            Segment(" "),
        ]
        tail = [Segment(" "), Segment(badge, style)]
        return [*head, *self._compact(connection, width - length(head) - length(tail)), *tail]

    def _compact(self, connection: ConnectionView, width: int) -> Line:
        ink = self.ink
        rates = connection.host_rates
        cpu = rates.cpu_percent if rates else None
        used, total = connection.memory_used_bytes, connection.memory_total_bytes
        share = used / total if used is not None and total else None
        bar = max(5, min(24, (width - 46) // 3))
        left = [
            Segment("CPU ", ink.quiet),
            *meter(0 if cpu is None else cpu / 100, bar, ink, "cpu"),
            Segment(fit(percent(cpu), 6, right=True), ink.strong),
            Segment(" % ", ink.quiet),
        ]
        right = [
            Segment("Memory " if width > 56 else "Mem ", ink.quiet),
            *meter(share or 0, bar, ink, "memory"),
            Segment(fit(size(used), 11, right=True), ink.strong),
            Segment(f" of {size(total):<8}", ink.quiet),
        ]
        graph = max(0, width - length(left) - length(right) - 3)
        history = braille(self._past(connection, "cpu", graph), graph, 1)[0] if graph > 3 else ""
        return [*left, Segment(history, ink.cpu), Segment("   "), *right]

    def _past(self, connection: ConnectionView, figure: str, cells: int) -> list[float | None]:
        rates = connection.host_rates
        end_s = rates.at_s if rates else 0.0
        return self._history.window(
            connection.uri, figure, end_s=end_s, span_s=2.0 * cells, columns=2 * cells
        )

    def _roomy(self, connection: ConnectionView, host: Host, width: int) -> list[Line]:
        third = (width - 6) // 3
        blocks = (
            self._cpu_block(connection, third),
            self._memory_block(connection, third),
            self._promise_block(connection, host, width - 6 - 2 * third),
        )
        lines: list[Line] = []
        for parts in zip(*blocks, strict=True):
            line: Line = []
            for part, cells in zip(parts, (third + 3, third + 3, width), strict=True):
                line += [*part, Segment(" " * max(0, cells - length(part)))]
            lines.append(line)
        return lines

    def _cpu_block(self, connection: ConnectionView, width: int) -> list[Line]:
        rates = connection.host_rates
        cpu = rates.cpu_percent if rates else None
        head = [
            Segment("CPU  ", self.ink.quiet),
            Segment(percent(cpu), self.ink.strong),
            Segment(" %", self.ink.quiet),
        ]
        graph = braille(self._past(connection, "cpu", width), width, ROOMY_LINES - 1)
        return [head, *([Segment(row, self.ink.cpu)] for row in graph)]

    def _memory_block(self, connection: ConnectionView, width: int) -> list[Line]:
        ink = self.ink
        used, total = connection.memory_used_bytes, connection.memory_total_bytes
        head = [
            Segment("Memory  ", ink.quiet),
            Segment(size(used), ink.strong),
            Segment(f" of {size(total)}", ink.quiet),
        ]
        if used is not None and total is not None and width >= 44:
            head += [Segment("   available ", ink.quiet), Segment(size(total - used), ink.text)]
        graph = braille(self._past(connection, "memory", width), width, ROOMY_LINES - 1)
        return [head, *([Segment(row, ink.memory)] for row in graph)]

    def _promise_block(self, connection: ConnectionView, host: Host, width: int) -> list[Line]:
        active = [row.vm for row in connection.vms if row.vm.state.active]
        vcpus = sum(vm.vcpus for vm in active)
        memory_bytes = sum(vm.memory_bytes for vm in active)
        running = sum(vm.state is State.RUNNING for vm in active)
        memory_share = memory_bytes / max(1, host.memory_bytes)
        return [
            [
                Segment("VMs     ", self.ink.quiet),
                Segment(str(len(connection.vms)), self.ink.strong),
                Segment(f"  {running} running", self.ink.good if running else self.ink.quiet),
            ],
            self._promised("vCPUs", str(vcpus), vcpus / max(1, host.cpus), width),
            self._promised("memory", size(memory_bytes), memory_share, width),
            [Segment(_others(connection, width), self.ink.quiet)],
        ]

    def _promised(self, what: str, amount: str, ratio: float, width: int) -> Line:
        line = [
            Segment(f"{what:<8}", self.ink.quiet),
            Segment(fit(amount, 10, right=True), self.ink.text),
            Segment(" promised  ", self.ink.quiet),
            Segment(f"×{ratio:.2f}", self.ink.warn if ratio > 1 else self.ink.text),
        ]
        return line if length(line) <= width else line[:2]


def _others(connection: ConnectionView, room: int) -> str:
    """How many VMs are not running but what, as far as there is room."""
    numbers = Counter(row.vm.state for row in connection.vms)
    text = ""
    for state in State:
        more = f"{' · ' if text else ''}{numbers[state]} {state.value}"
        if state is not State.RUNNING and numbers[state] and len(text) + len(more) <= room:
            text += more
    return text
