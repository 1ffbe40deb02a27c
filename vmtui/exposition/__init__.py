"""What Prometheus is told: every counter of the fleet in base units, by the names of that world.

A figure that is not known, or of a VM that does not answer, is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from prometheus_client.core import Metric

from vmtui.alarms import Thresholds
from vmtui.exposition.exported import Exported, just
from vmtui.exposition.hosts import HOST
from vmtui.exposition.vms import VM_ALWAYS, VM_COUNTED, alarms
from vmtui.units import plain
from vmtui.views import ConnectionStatus, ConnectionView, FleetView

T = TypeVar("T")


def families(view: FleetView, thresholds: Thresholds, now_s: float) -> Iterator[Metric]:
    """All metrics of a view at `now_s` (monotonic)."""
    connections = [((plain(c.label),), c) for c in view.connections]
    yield from _filled(_connection_metrics(now_s), ("connection",), connections)
    up = [(labels, c) for labels, c in connections if c.status is ConnectionStatus.UP]
    hosts = [(labels, c.host_counters) for labels, c in up if c.host_counters is not None]
    yield from _filled(HOST, ("connection",), hosts)
    rows = [((*labels, plain(row.vm.name), row.vm.uuid), row) for labels, c in up for row in c.vms]
    common = ("connection", "vm", "uuid")
    yield from _filled((*VM_ALWAYS, alarms(thresholds)), common, rows)
    answering = [
        (labels, row)
        for labels, row in rows
        if row.vm.state.active and row.counters is not None and not row.stalled
    ]
    yield from _filled(VM_COUNTED, common, answering)


def _filled(
    metrics: Iterable[Exported[T]],
    common: tuple[str, ...],
    things: Iterable[tuple[tuple[str, ...], T]],
) -> Iterator[Metric]:
    for metric in metrics:
        family: Any = metric.family(common)
        for labels, thing in things:
            for own, value in metric.values(thing):
                if value is not None:
                    family.add_metric((*labels, *own), value)
        if family.samples:
            yield family


def _connection_metrics(now_s: float) -> tuple[Exported[ConnectionView], ...]:
    def age_s(connection: ConnectionView) -> float | None:
        counters = connection.host_counters
        return max(0.0, now_s - counters.at_s) if counters is not None else None

    return (
        Exported(
            "vmtui_up",
            "Whether the connection is up.",
            just(lambda c: float(c.status is ConnectionStatus.UP)),
        ),
        Exported(
            "vmtui_sampling_interval_seconds",
            "Time between the last two samples of the connection.",
            just(lambda c: c.interval_s or None),
        ),
        Exported(
            "vmtui_sample_age_seconds",
            "How old the last sample of the connection is.",
            just(age_s),
        ),
    )
