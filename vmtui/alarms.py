"""When a figure is bad, and for how long it has to be: thresholds in, breaches out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from vmtui.deferred import deferred
from vmtui.views import Breach, VMView

if TYPE_CHECKING:
    from vmtui import figures
else:
    (figures,) = deferred("vmtui", "figures")

DEFAULT_THRESHOLDS: Mapping[str, float] = {
    "ready_max": 10.0,
    "balloon": 0.0,
    "guest_swap_out": 0.0,
    "swapped": 0.0,
    "latency": 25.0,
    "drops": 0.0,
}
"""By figure: more than this is a breach. The usual levels of those who run many VMs."""

DEFAULT_SUSTAINED_S = 10.0


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What counts as a breach, and how long it has to last to be an alarm."""

    above: Mapping[str, float] = field(default_factory=lambda: DEFAULT_THRESHOLDS)
    sustained_s: float = DEFAULT_SUSTAINED_S


def exceeded(row: VMView, thresholds: Thresholds) -> dict[str, float]:
    """The figures of this sample that are above their threshold, with their values."""
    found = {}
    for figure, limit in thresholds.above.items():
        value = figures.BY_ID[figure].of(row)
        if value is not None and value > limit:
            found[figure] = value
    return found


def breaches(
    since_s: Mapping[str, float], row: VMView, thresholds: Thresholds, at_s: float
) -> tuple[dict[str, float], tuple[Breach, ...]]:
    """Since when each figure is too high, brought up to `at_s`, and those that last too long."""
    above = exceeded(row, thresholds)
    since = {figure: since_s.get(figure, at_s) for figure in above}
    lasting = tuple(
        Breach(figure, value, thresholds.above[figure], since[figure])
        for figure, value in above.items()
        if at_s - since[figure] >= thresholds.sustained_s
    )
    return since, lasting
