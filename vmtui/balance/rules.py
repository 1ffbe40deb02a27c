"""The figures by which memory is balanced: how much is kept, how fast it moves, when to give up."""

from __future__ import annotations

from dataclasses import dataclass

from vmtui.units import GIB, MIB


@dataclass(frozen=True, slots=True)
class Rules:
    """Of a whole host. Ratios are of what they are named after."""

    interval_s: float = 2.0
    """Between two rounds."""

    goal_ratio: float = 0.1
    """Of the host's memory: what is to stay available on it, and at least `goal_least_bytes`."""

    goal_least_bytes: int = 1 * GIB
    goal_most_ratio: float = 0.25
    """No more than that of a small host."""

    slack_ratio: float = 0.5
    """Of the goal: memory is given back once that much more is available, so that a host at its
    goal does not take and give in turns."""

    pressure_percent: float = 10.0
    """PSI, memory, some, 10 s: above it the host is short whatever it calls available."""

    reserve_ratio: float = 0.125
    """Of a VM's ceiling: what is to stay available in the guest, and at least `reserve_least`."""

    reserve_least_bytes: int = 64 * MIB
    pressed_ratio: float = 0.75
    """Of the reserve: a guest with less available is pressed, and given to at once."""

    boost_ratio: float = 0.25
    """Of what it has: a guest that swaps gets that much more, since how much it lacks is not
    known."""

    faults_per_s: float = 100.0
    """Major faults above which a guest reads back what it had to drop."""

    step_ratio: float = 0.125
    """Of a VM's ceiling: the most that is taken from it in one round."""

    step_least_bytes: int = 16 * MIB
    """Changes below it are not worth asking for."""

    uneven: float = 0.25
    """How much idler one guest has to be than another before memory goes back to that."""

    stale_periods: float = 2.5
    """A guest whose figures are older than so many of its periods is left alone."""

    patience_s: float = 15.0
    """A guest whose balloon has not moved for so long does not comply."""

    backoff_first_s: float = 60.0
    backoff_limit_s: float = 3600.0

    def goal_bytes(self, total_bytes: int) -> int:
        """What is to stay available on a host of that size."""
        wanted = max(self.goal_least_bytes, int(total_bytes * self.goal_ratio))
        return min(wanted, int(total_bytes * self.goal_most_ratio))

    def backoff_s(self, strikes: int) -> float:
        """How long a guest is left alone that did not comply so many times in a row."""
        return min(self.backoff_limit_s, self.backoff_first_s * 2.0 ** (strikes - 1))


RULES = Rules()
