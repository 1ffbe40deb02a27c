"""How high a graph reaches: fixed for percentages, else in steps that are said."""

from __future__ import annotations

import math
from collections.abc import Mapping

from vmtui.figures import Unit

STEPS = (1.0, 2.0, 5.0, 10.0)

FLOORS: Mapping[Unit, float] = {Unit.BYTES_PER_S: 1e6, Unit.MS: 1.0}
"""No graph of such a unit is lower: what an idle VM does is not blown up to look like work."""

HEADROOM = 1.25
"""A scale shrinks when this much more than the highest value still fits below."""


def quantised(value: float) -> float:
    """The next of 1, 2, 5, 10, 20, 50 … that `value` fits below."""
    if value <= 0:
        return STEPS[0]
    decade = 10.0 ** math.floor(math.log10(value))
    return next((decade * step for step in STEPS if value <= decade * step), decade * 10)


def rescaled(top: float | None, highest: float | None, unit: Unit) -> float:
    """The top of a scale for `highest`, given the one that is drawn: it does not jump about."""
    if unit is Unit.PERCENT:
        return 100.0
    least = FLOORS.get(unit, 1.0)
    highest = highest or 0.0
    needed = quantised(max(highest, least))
    if top is None or needed > top:
        return needed
    return min(top, quantised(max(highest * HEADROOM, least)))
