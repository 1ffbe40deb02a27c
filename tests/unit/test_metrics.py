import itertools
import math

from hypothesis import given
from hypothesis import strategies as st

from vmtui.metrics import host_rates, rates
from vmtui.model import Counters, HostCounters


def sample(at_s: float, cpu_time_ns: int | None, epoch: str = "1") -> Counters:
    return Counters(at_s, epoch, cpu_time_ns)


def test_one_busy_vcpu_of_two() -> None:
    made = rates(sample(10, 5_000_000_000), sample(12, 7_000_000_000), vcpus=2)
    assert made is not None
    assert made.interval_s == 2
    assert made.cpu_core_percent == 100
    assert made.cpu_percent == 50


def test_the_first_sample_has_no_rate() -> None:
    assert rates(None, sample(1, 5), 1) is None


def test_a_restart_drops_the_interval() -> None:
    assert rates(sample(1, 5), sample(2, 9, epoch="2"), 1) is None


def test_a_counter_that_went_back_drops_the_interval() -> None:
    assert rates(sample(1, 5), sample(2, 4), 1) is None


def test_a_clock_that_stood_still_drops_the_interval() -> None:
    assert rates(sample(1, 5), sample(1, 6), 1) is None


def test_a_missing_counter_is_none_and_not_0() -> None:
    made = rates(sample(1, None), sample(2, 5), 1)
    assert made is not None
    assert made.cpu_percent is None


@given(st.lists(st.tuples(st.floats(0.01, 10), st.integers(0, 10**11)), min_size=1))
def test_rates_integrate_to_the_counter(steps: list[tuple[float, int]]) -> None:
    at_s, total_ns, integral_ns = 0.0, 0, 0.0
    before = sample(at_s, total_ns)
    for step_s, step_ns in steps:
        at_s += step_s
        total_ns += step_ns
        now = sample(at_s, total_ns)
        made = rates(before, now, 1)
        assert made is not None
        assert made.cpu_core_percent is not None
        assert made.cpu_core_percent >= 0
        integral_ns += made.cpu_core_percent / 100 * made.interval_s * 1e9
        before = now
    assert math.isclose(integral_ns, total_ns, rel_tol=1e-6, abs_tol=1)


@given(
    st.lists(
        st.tuples(st.floats(-5, 5), st.integers(-(10**9), 10**12), st.sampled_from("ab")),
        min_size=2,
    )
)
def test_no_sequence_gives_a_negative_or_infinite_rate(
    readings: list[tuple[float, int, str]],
) -> None:
    samples = [sample(*reading) for reading in readings]
    for before, now in itertools.pairwise(samples):
        made = rates(before, now, 2)
        if made is not None and made.cpu_percent is not None:
            assert made.cpu_percent >= 0
            assert math.isfinite(made.cpu_percent)


def test_host_cpu_is_of_all_its_cpus() -> None:
    before = HostCounters(0, 10, 100, 1000, 400)
    now = HostCounters(1, 11, 104, 1000, 300)
    made = host_rates(before, now)
    assert made.cpu_percent == 25
    assert made.memory_used_bytes == 700


def test_a_host_without_counters_says_nothing() -> None:
    made = host_rates(None, HostCounters(0, None, None, None, None))
    assert made.cpu_percent is None
    assert made.memory_used_bytes is None
