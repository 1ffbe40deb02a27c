"""Breaches: too much, and for long enough."""

from __future__ import annotations

from dataclasses import replace

import pytest

from vmtui.alarms import DEFAULT_THRESHOLDS, Thresholds, breaches, exceeded
from vmtui.counters import Counters, MemoryCounters
from vmtui.figures import BY_ID
from vmtui.model import VM, State, VMId
from vmtui.rates import CpuRates, Rates
from vmtui.units import GIB
from vmtui.views import VMRef, VMView

THRESHOLDS = Thresholds({"ready_max": 10.0, "balloon": 0.0}, sustained_s=10.0)


def row(ready_percent: float | None, balloon_bytes: int = 0, at_s: float = 0.0) -> VMView:
    vm = VM(VMId("1"), "web", State.RUNNING, 1, GIB)
    memory = MemoryCounters(at_s, maximum_bytes=GIB, actual_bytes=GIB - balloon_bytes)
    return VMView(
        VMRef("kvm:", vm.id),
        vm,
        Counters(at_s, "1", memory=memory),
        Rates(at_s, cpu=CpuRates(1.0, ready_max_percent=ready_percent)),
    )


def test_the_defaults_are_figures() -> None:
    assert DEFAULT_THRESHOLDS.keys() <= BY_ID.keys()


@pytest.mark.parametrize(
    ("ready_percent", "balloon_bytes", "found"),
    [(10.0, 0, set()), (10.1, 0, {"ready_max"}), (None, 1, {"balloon"}), (None, 0, set())],
)
def test_only_more_than_the_threshold_is_too_much(
    ready_percent: float | None, balloon_bytes: int, found: set[str]
) -> None:
    assert exceeded(row(ready_percent, balloon_bytes), THRESHOLDS).keys() == found


def test_it_has_to_last() -> None:
    since: dict[str, float] = {}
    for at_s in range(100, 110):
        since, lasting = breaches(since, row(50.0), THRESHOLDS, float(at_s))
        assert not lasting
    since, lasting = breaches(since, row(60.0), THRESHOLDS, 110.0)
    (breach,) = lasting
    assert (breach.figure, breach.value, breach.threshold) == ("ready_max", 60.0, 10.0)
    assert breach.since_s == 100.0


def test_a_good_sample_starts_it_anew() -> None:
    since, _ = breaches({}, row(50.0), THRESHOLDS, 100.0)
    since, _ = breaches(since, row(5.0), THRESHOLDS, 105.0)
    assert since == {}
    since, lasting = breaches(since, row(50.0), THRESHOLDS, 110.0)
    assert since == {"ready_max": 110.0}
    assert not lasting


def test_each_figure_has_a_time_of_its_own() -> None:
    since, _ = breaches({}, row(50.0), THRESHOLDS, 100.0)
    since, _ = breaches(since, row(50.0, balloon_bytes=1), THRESHOLDS, 108.0)
    since, lasting = breaches(since, row(50.0, balloon_bytes=1), THRESHOLDS, 112.0)
    assert [breach.figure for breach in lasting] == ["ready_max"]
    _, lasting = breaches(since, row(50.0, balloon_bytes=1), THRESHOLDS, 118.0)
    assert {breach.figure for breach in lasting} == {"ready_max", "balloon"}


def test_what_stands_still_is_not_ready() -> None:
    paused = row(50.0)
    paused = replace(paused, vm=replace(paused.vm, state=State.PAUSED))
    assert exceeded(paused, THRESHOLDS) == {}
