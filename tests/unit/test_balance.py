"""The policy of automatic balance, on simulated hosts."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.simulated import OWN, Host, Simulated, pulse, ramp, steady
from vmtui.balance.compliance import Memory
from vmtui.balance.guests import HostMemory
from vmtui.balance.moves import Move
from vmtui.balance.policy import decide
from vmtui.balance.rules import RULES
from vmtui.model import Balance, VMId
from vmtui.units import GIB, MIB, size


def test_the_idle_give_to_the_pressed_and_get_it_back() -> None:
    """Ceilings of 12 GiB on 7: the busy one gets what it needs, and nobody swaps meanwhile."""
    idle = [Simulated(f"idle{n}", 4 * GIB, steady(300 * MIB), actual=2 * GIB) for n in range(2)]
    busy = Simulated("busy", 4 * GIB, pulse(60, 300, 256 * MIB, 3200 * MIB, 32 * MIB), actual=GIB)
    host = Host(7 * GIB, [*idle, busy])

    def nobody_swaps() -> None:
        assert not any(guest.swaps for guest in host.guests), host.log[-5:]
        assert host.available > 0

    host.run(280, nobody_swaps)
    assert busy.actual >= 3200 * MIB + OWN
    least = min(guest.actual for guest in idle)
    host.run(900, nobody_swaps)
    assert host.available >= RULES.goal_bytes(host.total) - 16 * MIB
    assert min(guest.actual for guest in idle) > least + 256 * MIB


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 200), st.integers(64, 3000), st.integers(4, 24), st.integers(1, 4)
        ),
        min_size=2,
        max_size=8,
    )
)
def test_nobody_swaps_while_another_idles(guests: list[tuple[int, int, int, int]]) -> None:
    """Whatever rises where: who swaps for longer than memory takes to move, swaps because there
    is none idle."""
    simulated = [
        Simulated(
            f"vm{number}",
            ceiling * GIB,
            ramp(start, 64 * MIB, min(high * MIB, ceiling * GIB - 2 * OWN), speed * MIB),
            actual=max(GIB // 2, ceiling * GIB * 3 // 4),
        )
        for number, (start, high, speed, ceiling) in enumerate(guests)
    ]
    host = Host(sum(g.actual for g in simulated) + GIB, simulated)
    swapped_rounds = dict.fromkeys((g.name for g in simulated), 0)

    def check() -> None:
        spare = [g for g in simulated if g.idle(host.now_s) > 2 * 16 * MIB]
        for guest in simulated:
            unjust = guest.swaps and bool(spare)
            swapped_rounds[guest.name] = swapped_rounds[guest.name] + 1 if unjust else 0
            assert swapped_rounds[guest.name] <= 3, (guest.name, host.now_s, host.log[-8:])
        assert host.available > 0

    host.run(400, check)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.integers(64, 3500), min_size=1, max_size=6),
    st.integers(2, 24),
)
def test_what_is_steady_comes_to_rest(demands: list[int], total: int) -> None:
    """No memory goes to and fro between guests that need no more and no less."""
    guests = [Simulated(f"vm{n}", 4 * GIB, steady(d * MIB)) for n, d in enumerate(demands)]
    host = Host(max(total * GIB, sum(d * MIB + OWN for d in demands)), guests)
    host.run(300)
    host.log.clear()
    host.run(400)
    moves = [(d.name, d.move) for _, d in host.log if d.target_bytes is not None]
    assert not {name for name, move in moves if move is Move.TAKE} & {
        name for name, move in moves if move is Move.GIVE
    }


@settings(max_examples=50, deadline=None)
@given(
    st.integers(64, 2000),
    st.integers(100, 2000),
    st.integers(2000, 4096),
    st.integers(1, 16),
)
def test_ranges_are_kept(demand: int, least: int, most: int, total: int) -> None:
    balance = Balance(least_bytes=least * MIB, most_bytes=most * MIB)
    guest = Simulated("vm", 4 * GIB, steady(demand * MIB), balance, actual=2 * GIB)
    host = Host(total * GIB, [guest])
    host.run(120)
    targets = [d.target_bytes for _, d in host.log if d.target_bytes is not None]
    assert all(least * MIB <= target <= max(most * MIB, 2 * GIB) for target in targets)


def test_stale_figures_move_nothing() -> None:
    stuck = Simulated("stuck", 4 * GIB, steady(256 * MIB), stuck_at_s=0.0)
    host = Host(4 * GIB + 100 * MIB, [stuck])
    host.now_s = 60.0
    made = host.tick()
    [told] = made.decisions
    assert (told.move, told.target_bytes) == (Move.LEAVE, None)
    assert "60 s old" in told.reason
    assert host.tick().decisions == ()  # told once


def test_a_guest_keeps_its_reserve_whatever_its_figures_leave_out() -> None:
    """They are seldom new, and know nothing of what the kernel took at the start."""
    idle = Simulated("idle", 512 * MIB, steady(32 * MIB), kernel=48 * MIB, period_s=5.0)
    host = Host(200 * MIB, [idle])

    def has_its_reserve() -> None:
        assert idle.actual - idle.kernel - OWN - 32 * MIB >= idle.reserve - MIB, host.log

    host.run(120, has_its_reserve)
    assert idle.actual < 256 * MIB, "the host is short, so all else was taken"
    host.log.clear()
    host.run(300, has_its_reserve)
    assert host.log == [], "it has come to rest"


def test_one_that_falls_silent_after_a_take_gets_it_back() -> None:
    """Silence may be what lacking memory looks like."""
    guest = Simulated("vm", 4 * GIB, steady(256 * MIB))
    host = Host(4 * GIB + 100 * MIB, [guest])
    [taken] = host.tick().decisions
    guest.stuck_at_s = 0.5
    host.run(60)
    [(_, left)] = host.log[1:]
    assert taken.move is Move.TAKE
    assert (left.move, left.target_bytes) == (Move.LEAVE, 4 * GIB)
    assert guest.actual == 4 * GIB


def test_one_that_ignores_is_left_alone_for_longer_each_time() -> None:
    deaf = Simulated("deaf", 4 * GIB, steady(256 * MIB), speed=0)
    host = Host(4 * GIB + 100 * MIB, [deaf])
    host.run(600)
    left = [t for t, d in host.log if d.move is Move.LEAVE]
    pauses = [later - earlier for earlier, later in itertools.pairwise(left)]
    assert len(left) >= 3
    assert pauses == sorted(pauses)
    assert pauses[1] > 1.5 * pauses[0]
    assert deaf.target == deaf.ceiling, "what it ignored is taken back"
    assert "stays at 4 GiB" in next(d.reason for _, d in host.log if d.move is Move.LEAVE)


def test_who_weighs_more_is_given_to_first() -> None:
    light, heavy = (
        Simulated(name, 4 * GIB, steady(GIB), Balance(weight=weight), actual=GIB + OWN)
        for name, weight in (("light", 50), ("heavy", 200))
    )
    host = Host(light.actual + heavy.actual + 900 * MIB, [light, heavy])
    first = host.tick().decisions[0]
    assert (first.name, first.move) == ("heavy", Move.GIVE)
    assert first.reason.startswith("it has 0 B available") or "swaps" in first.reason


def test_the_idlest_gives_first_and_who_weighs_more_counts_as_less_idle() -> None:
    host = HostMemory(8 * GIB, RULES.goal_bytes(8 * GIB) - 64 * MIB)

    def giver(*demands: tuple[int, int]) -> str:
        guests = [
            Simulated(f"vm{n}", 4 * GIB, steady(demand * MIB), Balance(weight=weight)).seen(0)
            for n, (demand, weight) in enumerate(demands)
        ]
        [taken] = decide(guests, host, {}, 0.0).decisions
        assert taken.move is Move.TAKE
        return taken.name

    assert giver((2048, 100), (256, 100)) == "vm1"
    assert giver((256, 200), (256, 50)) == "vm1"
    assert giver((1024, 50), (256, 200)) == "vm0"


def test_a_guest_gives_no_more_than_a_step_at_once() -> None:
    guest = Simulated("big", 4 * GIB, steady(256 * MIB))
    [decision] = Host(4 * GIB + 64 * MIB, [guest]).tick().decisions
    assert decision.target_bytes == 4 * GIB - int(4 * GIB * RULES.step_ratio)
    assert "the host is short" in decision.reason


def test_pressure_counts_whatever_is_called_available() -> None:
    guest = Simulated("vm", 4 * GIB, steady(256 * MIB)).seen(0)
    calm = HostMemory(32 * GIB, 20 * GIB)
    assert decide([guest], calm, {}, 0.0).decisions == ()
    [taken] = decide([guest], replace(calm, pressure_percent=30.0), {}, 0.0).decisions
    assert taken.move is Move.TAKE


@pytest.mark.parametrize("total", [GIB, 8 * GIB, 64 * GIB, 512 * GIB])
def test_the_goal_fits_the_host(total: int) -> None:
    goal = RULES.goal_bytes(total)
    assert total // 20 <= goal <= total // 4, size(goal)


def test_one_that_swaps_at_its_most_gives_nothing() -> None:
    host = HostMemory(16 * GIB, GIB)
    idle = Simulated("idle", 4 * GIB, steady(256 * MIB)).seen(0)
    faulty = replace(
        Simulated("busy", 4 * GIB, steady(256 * MIB)).seen(0), major_faults_per_s=300.0
    )
    assert [d.name for d in decide([idle, faulty], host, {}, 0.0).decisions] == ["idle"]
    assert decide([faulty], host, {}, 0.0).decisions == ()
    # Nor does it keep others from what the host has enough of.
    small = Simulated("small", 4 * GIB, steady(256 * MIB), actual=2 * GIB).seen(0)
    [given] = decide([small, faulty], HostMemory(64 * GIB, 50 * GIB), {}, 0.0).decisions
    assert (given.name, given.move) == ("small", Move.GIVE)


def test_who_could_not_be_asked_is_asked_again_and_not_blamed() -> None:
    guest = Simulated("vm", 4 * GIB, steady(2 * GIB), actual=GIB)
    memory: Mapping[VMId, Memory] = {}
    for now_s in range(0, 120, 2):
        guest.live(now_s, 2)
        made = decide([guest.seen(now_s)], HostMemory(64 * GIB, 50 * GIB), memory, float(now_s))
        assert [d.move for d in made.decisions] == [Move.GIVE]
        memory = made.unasked
