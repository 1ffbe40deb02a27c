"""Simulated guests on a simulated host, for the policy of automatic balance."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from vmtui.balance.compliance import Memory
from vmtui.balance.guests import Guest, HostMemory
from vmtui.balance.moves import Decision
from vmtui.balance.policy import Round, decide
from vmtui.balance.rules import RULES
from vmtui.model import Balance, VMId
from vmtui.units import MIB

OWN = 64 * MIB
"""What a simulated kernel can't do without."""


@dataclass
class Simulated:
    """A guest that uses what it demands, as far as it has it, and swaps the rest."""

    name: str
    ceiling: int
    demand: Callable[[float], int]
    balance: Balance = field(default_factory=Balance)
    speed: int = 512 * MIB  # of its balloon, in a second; 0: it ignores what it is asked
    actual: int = 0
    target: int = 0
    swaps: bool = False
    stuck_at_s: float | None = None  # its figures are of that moment from then on
    kernel: int = 0  # what its kernel took at its start: it is in no figure
    period_s: float = 0.0  # how long its figures stay as they are; 0: they are always of now
    told: Guest | None = None
    told_at_s: float = 0.0

    def __post_init__(self) -> None:
        self.actual = self.target = self.actual or self.ceiling

    def live(self, now_s: float, dt_s: float) -> None:
        """Do what it was asked, and use what it demands."""
        reach = int(self.speed * dt_s)
        self.actual += max(-reach, min(reach, self.target - self.actual))
        self.swaps = self.demand(now_s) + OWN > self.actual

    def seen(self, now_s: float) -> Guest:
        """What it tells."""
        if self.told is None or now_s - self.told_at_s >= self.period_s:
            self.told, self.told_at_s = self._figures(now_s), now_s
        if not self.period_s:
            return self.told
        return replace(self.told, actual_bytes=self.actual, age_s=now_s - self.told_at_s)

    def _figures(self, now_s: float) -> Guest:
        age_s = 0.0 if self.stuck_at_s is None else max(0.0, now_s - self.stuck_at_s)
        used = min(self.actual, self.demand(now_s - age_s) + OWN)
        return Guest(
            VMId(self.name),
            self.name,
            self.ceiling,
            self.actual,
            self.target,
            max(0, self.actual - self.kernel - used),
            used,
            age_s=age_s,
            swaps=self.swaps,
            balance=self.balance,
        )

    @property
    def reserve(self) -> int:
        """What is to stay available in it."""
        return max(RULES.reserve_least_bytes, int(self.ceiling * RULES.reserve_ratio))

    def idle(self, now_s: float) -> int:
        """What it has beyond its demand and its reserve."""
        return self.actual - self.demand(now_s) - OWN - self.reserve


@dataclass
class Host:
    """A host whose memory is all that its guests do not have."""

    total: int
    guests: list[Simulated]
    memory: Mapping[VMId, Memory] = field(default_factory=dict)
    now_s: float = 0.0
    log: list[tuple[float, Decision]] = field(default_factory=list)
    deciding_s: float = 0.0  # spent in the policy, in all

    @property
    def available(self) -> int:
        """Below 0: the host itself would be out of memory."""
        return self.total - sum(guest.actual for guest in self.guests)

    def tick(self) -> Round:
        """One round, and the seconds until the next."""
        host = HostMemory(self.total, max(0, self.available))
        seen = [guest.seen(self.now_s) for guest in self.guests]
        began_s = time.perf_counter()
        made = decide(seen, host, self.memory, self.now_s)
        self.deciding_s += time.perf_counter() - began_s
        self.memory = made.memory
        by_name = {guest.name: guest for guest in self.guests}
        for decision in made.decisions:
            self.log.append((self.now_s, decision))
            if decision.target_bytes is not None:
                by_name[decision.name].target = decision.target_bytes
        for _ in range(4):
            self.now_s += RULES.interval_s / 4
            for guest in self.guests:
                guest.live(self.now_s, RULES.interval_s / 4)
        return made

    def run(self, until_s: float, check: Callable[[], None] = lambda: None) -> None:
        """Rounds, with a look after each."""
        while self.now_s < until_s:
            self.tick()
            check()


def steady(demand: int) -> Callable[[float], int]:
    """Always the same."""
    return lambda _: demand


def ramp(start_s: float, low: int, high: int, per_s: int) -> Callable[[float], int]:
    """Rises from `low` to `high`, `per_s` a second, from `start_s` on."""
    return lambda now_s: min(high, low + max(0, int((now_s - start_s) * per_s)))


def pulse(start_s: float, end_s: float, low: int, high: int, per_s: int) -> Callable[[float], int]:
    """Rises as `ramp`, and falls again from `end_s` on."""

    def demand(now_s: float) -> int:
        if now_s < end_s:
            return ramp(start_s, low, high, per_s)(now_s)
        return max(low, high - int((now_s - end_s) * per_s))

    return demand
