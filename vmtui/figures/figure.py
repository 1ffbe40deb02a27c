"""What a figure is: its unit, what it means, where it comes from, and why it may be absent."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum

from vmtui.counters import Measure
from vmtui.model import State
from vmtui.units import bytes_per_s, count, milliseconds, percent, size
from vmtui.views import VMView


class Unit(Enum):
    """The unit of a figure. The value is how it is written out."""

    PERCENT = "%"
    BYTES = "bytes"
    BYTES_PER_S = "bytes/s"
    PER_S = "per second"
    MS = "ms"
    COUNT = ""
    SECONDS = "s"
    RATIO = "×"


_FORMATS: dict[Unit, Callable[[float | None], str]] = {
    Unit.PERCENT: percent,
    Unit.BYTES: size,
    Unit.BYTES_PER_S: bytes_per_s,
    Unit.PER_S: count,
    Unit.MS: milliseconds,
    Unit.COUNT: count,
    Unit.SECONDS: count,
    Unit.RATIO: lambda ratio: "–" if ratio is None else f"{ratio:.2f}",
}


def written(value: float | None, unit: Unit) -> str:
    """A value as its unit is written; an en dash where there is none."""
    return _FORMATS[unit](value)


@dataclass(frozen=True, slots=True)
class Source:
    """The counters that a figure is computed from, by kind of backend, as those who know say it."""

    direct: str
    libvirt: str


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of a VM. `value` gives None where it is not known; `why_absent` then says why."""

    id: str
    title: str
    unit: Unit
    meaning: str
    source: Source
    measure: Measure
    value: Callable[[VMView], float | None]
    absent: str = "the hypervisor does not tell"
    moving: bool = True  # a VM that stands still has none

    def text(self, row: VMView) -> str:
        """The value in words; an en dash where there is none."""
        return written(self.of(row), self.unit)

    def of(self, row: VMView) -> float | None:
        """The value as far as it means something in the VM's state."""
        if not row.vm.state.active:
            return None
        if self.moving and row.vm.state not in MOVING:
            return None
        return self.value(row)

    def why_absent(self, row: VMView) -> str:
        """Why there is no value for this VM; "" where there is one."""
        if self.of(row) is not None:
            return ""
        state = row.vm.state
        if not state.active or (self.moving and state not in MOVING):
            return f"it is {state.value}"
        if row.counters is None:
            return row.stalled or "it was not sampled yet"
        if row.rates is None and self.measure not in row.counters.missing:
            return "a rate needs two samples"
        return row.counters.missing.get(self.measure, self.absent)


MOVING = frozenset({State.RUNNING, State.STOPPING})
"""In other states nothing moves: there are no rates to show."""


def total(values: Iterable[float | None]) -> float | None:
    """The sum of what is known; None where nothing is."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None
