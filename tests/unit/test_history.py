"""What was measured is found again at its place, and what was not is a gap."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vmtui.history import COARSE_S, COARSE_SLOTS, FINE_SLOTS, History

Samples = list[tuple[float, float, float | None]]


@st.composite
def samples(draw: st.DrawFn, *, gap_limit_s: float = 400.0) -> Samples:
    """Intervals of a second or more, one after another, with gaps between some."""
    at_s = draw(st.floats(0, 5000))
    found: Samples = []
    for _ in range(draw(st.integers(1, 60))):
        gap_s = draw(st.just(0.0) | st.floats(0, gap_limit_s))
        length_s = draw(st.floats(1.0, 30.0))
        value = draw(st.none() | st.integers(0, 1000).map(float))
        found.append((at_s + gap_s, at_s + gap_s + length_s, value))
        at_s += gap_s + length_s
    return found


def kept(added: Samples) -> tuple[History, dict[int, float | None]]:
    """The history, and what the simplest way of keeping the same comes to, by second."""
    history, seconds = History(), dict[int, float | None]()
    for from_s, to_s, value in added:
        history.add("vm", from_s, to_s, ("a", "b"), (value, 7.0))
        for slot in range(min(int(from_s) + 1, int(to_s)), int(to_s) + 1):
            seconds.setdefault(slot, value)
    return history, seconds


def mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


@given(samples())
def test_the_last_five_minutes_are_kept_second_by_second(added: Samples) -> None:
    history, seconds = kept(added)
    last = int(added[-1][1])
    window = history.window(
        "vm", "a", end_s=last + 0.5, span_s=float(FINE_SLOTS), columns=FINE_SLOTS
    )
    assert window == [seconds.get(slot) for slot in range(last - FINE_SLOTS + 1, last + 1)]


@settings(deadline=None)
@given(samples(gap_limit_s=5000.0))
def test_the_last_hour_is_kept_as_means_of_ten_seconds(added: Samples) -> None:
    history, seconds = kept(added)
    last = int(added[-1][1])
    window = history.window("vm", "a", end_s=float(last), span_s=3600.0, columns=360)
    newest = last // 10
    expected = [
        mean([seconds.get(slot) for slot in range(10 * c, 10 * c + 10)])
        for c in range(newest - COARSE_SLOTS + 1, newest + 1)
    ]
    assert window == pytest.approx(expected, abs=1e-3, rel=1e-5)


@given(samples(), st.integers(1, 300), st.integers(1, 4000), st.floats(-4000, 400))
def test_a_window_has_its_columns_and_nothing_that_was_not_added(
    added: Samples, columns: int, span_s: int, ahead_s: float
) -> None:
    history, seconds = kept(added)
    end_s = max(0.0, added[-1][1] + ahead_s)
    window = history.window("vm", "a", end_s=end_s, span_s=float(span_s), columns=columns)
    known = [value for value in seconds.values() if value is not None]
    assert len(window) == columns
    for value in window:
        assert value is None or min(known) - 1e-3 <= value <= max(known) + 1e-3


@cache
def constant() -> History:
    """More than an hour of it, at moments that are no whole seconds."""
    history = History()
    for second in range(3700):
        history.add("vm", second + 0.37, second + 1.37, ("a",), (42.0,))
    return history


@given(st.integers(60, 3600), st.integers(2, 400))
def test_the_mean_of_a_constant_is_the_constant(span_s: int, columns: int) -> None:
    window = constant().window("vm", "a", end_s=3700.0, span_s=float(span_s), columns=columns)
    edge = int(COARSE_S / (span_s / columns)) + 1  # of the hour: its oldest ten seconds may be gone
    assert window[edge:] == [42.0] * len(window[edge:])


@given(st.floats(0.3, 40), st.integers(10, 200), st.integers(1, 50))
def test_a_graph_moves_by_whole_columns(step_s: float, columns: int, later: int) -> None:
    history = History()
    for second in range(250):
        history.add("vm", float(second), second + 1.0, ("a",), (float(second * 37 % 101),))
    span_s = step_s * columns

    def at(end_s: float) -> list[float | None]:
        return history.window("vm", "a", end_s=end_s, span_s=span_s, columns=columns)

    before, after = at(150.0), at(150.0 + later)
    moved = int((150.0 + later) / step_s + 1e-9) - int(150.0 / step_s + 1e-9)
    assert after[: max(0, columns - moved)] == before[min(columns, moved) :]


def test_a_long_silence_leaves_nothing_of_the_laps_before() -> None:
    history = History()
    for second in range(4000):
        history.add("vm", float(second), second + 1.0, ("a",), (5.0,))
    history.add("vm", 50_003.0, 50_004.0, ("a",), (9.0,))
    for span_s, columns in ((300.0, 300), (3600.0, 360), (3600.0, 100)):
        window = history.window("vm", "a", end_s=50_004.0, span_s=span_s, columns=columns)
        assert window[:-1] == [None] * (columns - 1)
        assert window[-1] == 9.0


def test_of_a_longer_time_than_an_hour_only_that_is_known() -> None:
    window = constant().window("vm", "a", end_s=3700.0, span_s=7200.0, columns=720)
    assert window == [None] * 360 + [42.0] * 360


def test_the_newest_ten_seconds_of_the_hour_are_not_those_of_an_hour_ago() -> None:
    history = History()
    for second in range(3599, 7209):
        value = 1.0 if second < 7199 else 2.0
        history.add("vm", float(second), second + 1.0, ("a",), (value,))
    window = history.window("vm", "a", end_s=7209.0, span_s=3600.0, columns=360)
    assert window[-2:] == [1.0, 2.0]


def test_samples_within_one_second_are_weighed_by_their_time() -> None:
    history = History()
    history.add("vm", 9.0, 10.25, ("a", "b"), (100.0, None))
    history.add("vm", 10.25, 10.75, ("a", "b"), (10.0, 3.0))
    (a,) = history.window("vm", "a", end_s=10.9, span_s=1.0, columns=1)
    (b,) = history.window("vm", "b", end_s=10.9, span_s=1.0, columns=1)
    assert (a, b) == (40.0, 3.0)


def test_what_comes_late_changes_nothing() -> None:
    history = History()
    history.add("vm", 9.0, 10.0, ("a",), (1.0,))
    history.add("vm", 4.0, 8.0, ("a",), (2.0,))
    assert history.window("vm", "a", end_s=10.0, span_s=4.0, columns=4) == [None] * 3 + [1.0]


def test_what_has_no_history_is_one_gap_and_what_is_forgotten_has_none() -> None:
    history = History()
    assert history.window("vm", "a", end_s=5.0, span_s=3.0, columns=3) == [None] * 3
    history.add("vm", 3.0, 4.0, ("a",), (1.0,))
    history.forget("vm")
    assert history.window("vm", "a", end_s=5.0, span_s=3.0, columns=3) == [None] * 3
