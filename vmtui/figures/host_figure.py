"""What a figure of a host is: its unit, what it means, its source, and why it may be absent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from vmtui.counters import Measure
from vmtui.figures.figure import Unit, written
from vmtui.views import ConnectionStatus, ConnectionView


@dataclass(frozen=True, slots=True)
class HostSource:
    """The counters that a figure is computed from: on this machine, and from afar by libvirt."""

    local: str
    libvirt: str = ""  # libvirt has no call for it


@dataclass(frozen=True, slots=True)
class HostFigure:
    """One figure. `value` gives None where it is not known; `why_absent` then says why."""

    id: str
    title: str
    unit: Unit
    meaning: str
    source: HostSource
    measure: Measure
    value: Callable[[ConnectionView], float | None]
    absent: str = ""
    rate: bool = False  # needs two samples

    def of(self, connection: ConnectionView) -> float | None:
        """The value, of a connection that is up."""
        return self.value(connection) if connection.status is ConnectionStatus.UP else None

    def text(self, connection: ConnectionView) -> str:
        """The value in words; an en dash where there is none."""
        return written(self.of(connection), self.unit)

    def why_absent(self, connection: ConnectionView) -> str:
        """Why there is no value for this host; "" where there is one."""
        if self.of(connection) is not None:
            return ""
        if connection.status is not ConnectionStatus.UP:
            return "it is not connected"
        now = connection.host_counters
        if now is None:
            return "it was not sampled yet"
        if self.measure in now.missing:
            return now.missing[self.measure]
        if self.rate and (connection.host_rates is None or not connection.host_rates.interval_s):
            return "a rate needs two samples"
        return self.absent or (
            "this connection does not tell" if self.source.libvirt else "libvirt has no call for it"
        )
