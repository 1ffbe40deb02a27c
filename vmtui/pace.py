"""How often what is sampled: rows on the screen first, and at most a quarter of the time."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

from vmtui.model import VMId

SHARE = 0.25
"""Sampling may take at most this part of the time; beyond it the interval stretches."""

_LEARNING = 0.3
"""The weight of the newest cost in the running mean."""


class Pace:
    """Chooses the VMs of each round from what the rounds before it cost."""

    def __init__(self, interval_s: float, phase: float = 0.0) -> None:
        """`phase`, 0 to 1: where in the interval the rounds begin, apart from other connections."""
        self._interval_s = interval_s
        self._phase_s = phase * interval_s
        self._cost_each_s = 0.0
        self._round = 0
        self._sampled: dict[VMId, int] = {}  # in which round

    def batch(self, active: Sequence[VMId], visible: Collection[VMId] | None) -> list[VMId]:
        """What to sample now, the visible ones first; None: all are.

        Of the others, those whose turn is longest ago, as many as there is time for.
        """
        self._round += 1
        first = [vm for vm in active if visible is None or vm in visible]
        rest = [vm for vm in active if visible is not None and vm not in visible]
        room = len(active)
        if self._cost_each_s > 0:
            room = int(SHARE * self._interval_s / self._cost_each_s)
        if len(active) > room:
            rest.sort(key=lambda vm: self._sampled.get(vm, -1))
            rest = rest[: max(1, room - len(first))]
        chosen = first + rest
        known = self._sampled.keys() & active if len(self._sampled) > len(active) else None
        if known is not None:
            self._sampled = {vm: self._sampled[vm] for vm in known}
        self._sampled.update(dict.fromkeys(chosen, self._round))
        return chosen

    def spent(self, cost_s: float, count: int) -> None:
        """Learn what a round of `count` VMs took."""
        if count:
            each_s = cost_s / count
            weight = _LEARNING if self._cost_each_s else 1.0
            self._cost_each_s += weight * (each_s - self._cost_each_s)

    def rest_s(self, started_s: float, cost_s: float) -> float:
        """How long to wait after a round that began at `started_s` and took `cost_s`.

        The next one begins on the connection's own beat, unless that is too soon.
        """
        earliest_s = started_s + max(self._interval_s / 2, cost_s / SHARE)
        beats = math.ceil((earliest_s - self._phase_s) / self._interval_s)
        next_s = beats * self._interval_s + self._phase_s
        return next_s - started_s - cost_s
