"""The policy of automatic balance on 200 simulated VMs: a round against its allowance, and swap."""

from __future__ import annotations

import random

from benchmarks.result import Result
from tests.simulated import OWN, Host, Simulated, pulse
from vmtui.balance.rules import RULES
from vmtui.units import GIB, MIB

VMS = 200
UNTIL_S = 900.0
ALLOWED_S = 0.005
SETTLING_ROUNDS = 3
"""As long may one lack memory that is on its way from another."""


def run() -> list[Result]:
    """Median and 99th percentile of a round while needs rise and fall, and unjust swapping."""
    host = _host(random.Random(1))
    times_s: list[float] = []
    swapping: dict[str, int] = {}
    unjust = 0
    while host.now_s < UNTIL_S:
        times_s.append(_round_s(host))
        spare = sum(guest.idle(host.now_s) > 2 * RULES.step_least_bytes for guest in host.guests)
        for guest in host.guests:
            rounds = swapping.get(guest.name, 0) + 1 if guest.swaps and spare else 0
            swapping[guest.name] = rounds
            unjust += rounds > SETTLING_ROUNDS
    times_s.sort()
    median_s, p99_s = times_s[len(times_s) // 2], times_s[int(len(times_s) * 0.99)]
    asked = sum(decision.target_bytes is not None for _, decision in host.log)
    print(
        f"{VMS} simulated VMs, {len(times_s)} rounds, {asked} requests: median "
        f"{median_s * 1e3:.2f} ms, p99 {p99_s * 1e3:.2f} ms; swapped beside idle memory: {unjust}"
    )
    return [
        Result(f"balance {VMS} VMs p99 / 5 ms", p99_s / ALLOWED_S, 1.0),
        Result("balance: rounds of swap beside idle memory", float(unjust), 0.0),
    ]


def _round_s(host: Host) -> float:
    before = host.deciding_s
    host.tick()
    return host.deciding_s - before


def _host(chance: random.Random) -> Host:
    guests = []
    for number in range(VMS):
        ceiling = chance.choice((1, 2, 4, 8)) * GIB
        start_s = chance.uniform(20, 600)
        low, high = 128 * MIB, int(ceiling * chance.uniform(0.3, 0.95)) - OWN
        demand = pulse(start_s, start_s + chance.uniform(60, 300), low, high, ceiling // 128)
        guests.append(Simulated(f"vm{number}", ceiling, demand, actual=ceiling // 2))
    return Host(sum(guest.actual for guest in guests) * 11 // 10, guests)
