"""The last minutes of every host and VM, collected from the views that were shown."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable

from vmtui.metrics import HostRates, Rates
from vmtui.model import State
from vmtui.views import ConnectionView, FleetView, VMRef

MOVING = frozenset({State.RUNNING, State.STOPPING})
"""What stands still in other states is a gap, not a 0."""

KEPT = 300
"""Samples: five minutes at one a second."""


class History:
    """CPU percentages by URI (hosts) and by VMRef; memory percentages of hosts."""

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._values: dict[Hashable, deque[float | None]] = {}
        self._last: dict[Hashable, HostRates | Rates | None] = {}

    def record(self, view: FleetView) -> None:
        """Add what is new in `view`; a VM that is gone is forgotten."""
        present: set[Hashable] = set()
        for connection in view.connections:
            present |= {connection.uri, _memory(connection.uri)}
            self._record_host(connection)
            for row in connection.vms:
                if not row.vm.state.active:
                    continue
                present.add(row.ref)
                moving = row.rates is not None and row.vm.state in MOVING
                cpu = row.rates.cpu_percent if row.rates and moving else None
                self._add(row.ref, row.rates, cpu)
        for gone in self._values.keys() - present:
            del self._values[gone]
            self._last.pop(gone, None)

    def _record_host(self, connection: ConnectionView) -> None:
        rates = connection.host_rates
        if rates is None:
            return
        self._add(connection.uri, rates, rates.cpu_percent)
        used, total = rates.memory_used_bytes, rates.memory_total_bytes
        share = 100 * used / total if used is not None and total else None
        self._add(_memory(connection.uri), rates, share)

    def _add(self, key: Hashable, rates: HostRates | Rates | None, value: float | None) -> None:
        # A view is published for many reasons; each sample makes a new object.
        if rates is None or self._last.get(key) is rates:
            return
        self._last[key] = rates
        self._values.setdefault(key, deque(maxlen=self._kept)).append(value)

    def of(self, key: str | VMRef) -> tuple[float | None, ...]:
        """The CPU of a host (by URI) or a VM, oldest first; None is a gap."""
        return tuple(self._values.get(key, ()))

    def memory_of(self, uri: str) -> tuple[float | None, ...]:
        """The memory of a host in percent, oldest first."""
        return tuple(self._values.get(_memory(uri), ()))


def _memory(uri: str) -> Hashable:
    return ("memory", uri)
