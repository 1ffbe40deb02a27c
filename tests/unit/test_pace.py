"""What is on the screen is always sampled, the rest in turn, and all within its share of time."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from vmtui.model import VMId
from vmtui.pace import SHARE, Pace

VMS = [VMId(f"vm-{index:02}") for index in range(60)]

fleets = st.lists(st.sampled_from(VMS), unique=True, min_size=1)
costs_s = st.floats(1e-5, 5.0)
intervals_s = st.floats(0.2, 60.0)


@given(fleets, st.none() | st.frozensets(st.sampled_from(VMS)), costs_s, intervals_s)
def test_visible_first_each_once_and_only_what_is_active(
    active: list[VMId], visible: frozenset[VMId] | None, cost_s: float, interval_s: float
) -> None:
    pace = Pace(interval_s)
    shown = [vm for vm in active if visible is None or vm in visible]
    for _ in range(4):
        batch = pace.batch(active, visible)
        assert batch[: len(shown)] == shown
        assert len(batch) == len(set(batch))
        assert set(batch) <= set(active)
        pace.spent(cost_s * len(batch), len(batch))


@given(fleets, st.frozensets(st.sampled_from(VMS)), costs_s, intervals_s)
def test_all_others_get_their_turn(
    active: list[VMId], visible: frozenset[VMId], cost_s: float, interval_s: float
) -> None:
    pace = Pace(interval_s)
    pace.spent(cost_s, 1)
    others = set(active) - visible
    room = max(1, int(SHARE * interval_s / cost_s) - len(set(active) & visible))
    seen: set[VMId] = set()
    for _ in range(math.ceil(len(others) / room)):
        seen |= set(pace.batch(active, visible))
    assert others <= seen


@given(fleets, st.frozensets(st.sampled_from(VMS)), costs_s, intervals_s)
def test_sampling_takes_at_most_its_share_of_the_time(
    active: list[VMId], visible: frozenset[VMId], cost_s: float, interval_s: float
) -> None:
    pace = Pace(interval_s)
    sampling_s = resting_s = 0.0
    now_s = 12345.6
    for _ in range(5):
        batch = pace.batch(active, visible)
        took_s = cost_s * len(batch)
        pace.spent(took_s, len(batch))
        sampling_s += took_s
        rest_s = pace.rest_s(now_s, took_s)
        resting_s += rest_s
        now_s += took_s + rest_s
        assert sampling_s <= SHARE * (sampling_s + resting_s) * (1 + 1e-6)


@given(fleets, st.floats(0.001, 1.0), intervals_s)
def test_a_fleet_that_can_be_afforded_is_sampled_whole_at_every_beat(
    active: list[VMId], part: float, interval_s: float
) -> None:
    # A little less than the share, so that no rounding decides.
    each_s = 0.99 * part * SHARE * interval_s / len(active)
    pace = Pace(interval_s)
    now_s = 7 * interval_s
    for _ in range(3):
        batch = pace.batch(active, frozenset())
        assert set(batch) == set(active)
        took_s = each_s * len(batch)
        pace.spent(took_s, len(batch))
        assert math.isclose(pace.rest_s(now_s, took_s) + took_s, interval_s)
        now_s += interval_s


@given(st.floats(0, 1e6), st.floats(0, 0.999), intervals_s)
def test_rounds_begin_on_the_beat_of_their_connection(
    started_s: float, phase: float, interval_s: float
) -> None:
    pace = Pace(interval_s, phase)
    next_s = started_s + pace.rest_s(started_s, 0.0)
    beats = next_s / interval_s - phase
    assert math.isclose(beats, round(beats), abs_tol=1e-6 * max(1.0, beats))
    assert interval_s * 0.499 <= next_s - started_s <= interval_s * 1.501


def test_the_one_whose_turn_is_longest_ago_comes_next() -> None:
    pace = Pace(1.0)
    pace.spent(SHARE / 2, 1)  # two fit into a beat
    batches = [pace.batch(VMS[:6], frozenset(VMS[:1])) for _ in range(6)]
    assert [batch[1] for batch in batches] == [*VMS[1:6], VMS[1]]
    assert all(batch[0] == VMS[0] for batch in batches)


def test_a_newcomer_is_sampled_before_those_that_had_a_turn() -> None:
    pace = Pace(1.0)
    pace.spent(SHARE, 1)  # one fits into a beat
    for _ in range(3):
        pace.batch(VMS[:3], frozenset())
    assert pace.batch(VMS[:4], frozenset()) == [VMS[3]]


def test_one_costly_round_is_not_believed_at_once() -> None:
    pace = Pace(1.0)
    pace.spent(0.001, 10)
    pace.spent(1.0, 10)
    assert len(pace.batch(VMS[:5], frozenset())) == 5
