"""Rates: right in the plain case, absent where they would be a lie, finite and never negative."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmtui.counters import (
    Counters,
    CpuCounters,
    CpuTimes,
    DiskCounters,
    GuestMemory,
    HostCounters,
    HostDiskCounters,
    MemoryCounters,
    NicCounters,
    VcpuCounters,
)
from vmtui.host_metrics import host_rates
from vmtui.metrics import rates
from vmtui.rates import Rates

S = 1_000_000_000


def cpu_sample(at_s: float, time_ns: int | None, epoch: str = "1", vcpus: int = 0) -> Counters:
    each = tuple(VcpuCounters(i, time_ns, time_ns) for i in range(vcpus))
    return Counters(at_s, epoch, cpu=CpuCounters(at_s, time_ns, vcpus=each))


def guest_sample(at_s: float, updated_at_s: float, **figures: int) -> Counters:
    guest = GuestMemory(updated_at_s, 5.0, **figures)
    return Counters(at_s, "1", memory=MemoryCounters(at_s, guest=guest))


def test_one_busy_core_of_two() -> None:
    made = rates(cpu_sample(10, 5 * S), cpu_sample(12, 7 * S), 2)
    assert made is not None
    assert made.cpu is not None
    assert made.cpu.interval_s == 2
    assert made.cpu.core_percent == 100
    assert made.cpu.vm_percent == 50


def test_ready_time_is_of_one_vcpu() -> None:
    before = replace(cpu_sample(0, 0), cpu=CpuCounters(0, 0, vcpus=(V(0, 0), V(1, 0))))
    now = replace(cpu_sample(1, S), cpu=CpuCounters(1, S, vcpus=(V(0, S // 2), V(1, S // 10))))
    made = rates(before, now, 2)
    assert made is not None
    assert made.cpu is not None
    assert made.cpu.ready_mean_percent == pytest.approx(30)
    assert made.cpu.ready_max_percent == pytest.approx(50)


def V(index: int, ready_ns: int) -> VcpuCounters:  # noqa: N802 (short in a table)
    return VcpuCounters(index, 0, ready_ns)


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (None, cpu_sample(1, 1)),
        (cpu_sample(1, 1, "1"), cpu_sample(2, 5, "2")),
        (cpu_sample(2, 1), cpu_sample(1, 5)),
    ],
    ids=["first", "restart", "clock went back"],
)
def test_what_spans_no_run_of_the_vm_has_no_rates(before: Counters | None, now: Counters) -> None:
    assert rates(before, now, 1) is None


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (cpu_sample(1, 5), cpu_sample(2, 4)),
        (cpu_sample(1, 5, vcpus=1), cpu_sample(2, 9, vcpus=2)),
        (cpu_sample(1, 5, vcpus=2), cpu_sample(2, 9, vcpus=1)),
        (
            Counters(1, "1", cpu=CpuCounters(1, 5, vcpus=(V(0, 0),))),
            Counters(2, "1", cpu=CpuCounters(2, 9, vcpus=(V(1, 0),))),
        ),
    ],
    ids=["counter went back", "vCPU came", "vCPU went", "another vCPU"],
)
def test_an_interval_that_would_lie_is_dropped(before: Counters, now: Counters) -> None:
    made = rates(before, now, 1)
    assert made is not None
    assert made.cpu is None


def test_a_group_that_was_not_read_again_keeps_its_rates() -> None:
    first, second = cpu_sample(1, 0), cpu_sample(2, S)
    made = rates(first, second, 1)
    third = Counters(3, "1", cpu=second.cpu)
    again = rates(second, third, 1, made)
    assert made is not None
    assert again is not None
    assert again.cpu is made.cpu


def test_user_system_and_kvms_counts_are_apart_each_by_its_own_clock() -> None:
    before = CpuCounters(0, 0, user_ns=0, system_ns=0, halt_poll_ns=0, exits={"io": 0})
    now = CpuCounters(
        *(2, 2 * S), user_ns=S // 2, system_ns=3 * S // 2, halt_poll_ns=S, exits={"io": 50}
    )
    # KVM was asked a second before the rest.
    made = rates(Counters(0, "1", before), Counters(2, "1", replace(now, kvm_at_s=1)), 1)
    assert made is not None
    assert made.cpu is not None
    assert (made.cpu.user_core_percent, made.cpu.system_core_percent) == (25, 75)
    assert made.cpu.halt_poll_core_percent == 100
    assert made.cpu.exits_per_s == {"io": 50}


def test_latency_is_the_mean_of_the_requests_and_absent_without_any() -> None:
    before = DiskCounters(0, "vda", 0, 0, 0, 10, 0, 10 * S, 0, 0)
    now = DiskCounters(2, "vda", 0, 0, 0, 110, 409600, 11 * S, 4, S)
    made = rates(Counters(0, "1", disks=(before,)), Counters(2, "1", disks=(now,)), 1)
    assert made is not None
    (disk,) = made.disks
    assert disk.writes_per_s == 50
    assert disk.write_bytes_per_s == 204800
    assert disk.write_latency_ms == pytest.approx(10)
    assert disk.flush_latency_ms == pytest.approx(250)
    assert disk.in_flight == pytest.approx(0.5)
    assert disk.read_latency_ms is None
    both = replace(now, reads=300, read_ns=3 * S)
    made = rates(Counters(0, "1", disks=(before,)), Counters(2, "1", disks=(both,)), 1)
    assert made is not None
    assert made.disks[0].latency_ms == pytest.approx(10)
    assert made.disks[0].in_flight == pytest.approx(2), "Little: 200 a second, 10 ms each"


def test_drops_are_a_share_of_all_packets() -> None:
    zero = NicCounters(0, "vnet0", 0, 0, 0, 0, 0, 0, 0, 0)
    now = NicCounters(1, "vnet0", 1000, 60, 3, 6, 500, 30, 2, 4)
    made = rates(Counters(0, "1", nics=(zero,)), Counters(1, "1", nics=(now,)), 1)
    assert made is not None
    assert made.nics[0].drop_percent == 10
    assert (made.nics[0].drops_per_s, made.nics[0].errors_per_s) == (10, 5)
    idle = rates(Counters(0, "1", nics=(zero,)), Counters(1, "1", nics=(replace(zero, at_s=1),)), 1)
    assert idle is not None
    assert idle.nics[0].drop_percent == 0


def test_guest_memory_used_leaves_out_what_it_can_give_back() -> None:
    before = guest_sample(1, 100, total_bytes=1000, available_bytes=700, major_faults=5)
    now = guest_sample(6, 105, total_bytes=1000, available_bytes=600, major_faults=15)
    made = rates(before, now, 1)
    assert made is not None
    assert made.guest is not None
    assert made.guest.fresh
    assert made.guest.used_bytes == 400
    assert made.guest.major_faults_per_s == 2


def test_what_a_guest_swaps_is_by_its_own_clock() -> None:
    before = guest_sample(1, 100, swap_in_bytes=0, swap_out_bytes=0, major_faults=0)
    now = guest_sample(6, 104, swap_in_bytes=400, swap_out_bytes=800, major_faults=4)
    made = rates(before, now, 1)
    assert made is not None
    assert made.guest is not None
    assert made.guest.swap_in_bytes_per_s == 100
    assert made.guest.swap_out_bytes_per_s == 200
    assert made.guest.major_faults_per_s == 1


def test_guest_memory_is_given_up_before_two_periods_without_news() -> None:
    last: Rates | None = None
    before = guest_sample(0, 100, total_bytes=1000, available_bytes=700)
    seen = {}
    for second in range(1, 12):
        now = guest_sample(second, 100, total_bytes=1000, available_bytes=700)
        last = rates(before, now, 1, last)
        assert last is not None
        assert last.guest is not None
        seen[second] = last.guest.fresh
        before = now
    assert seen[8], "a guest may be a little late"
    assert not seen[9]
    assert last is not None
    assert last.guest is not None
    assert last.guest.used_bytes is None


def test_guest_memory_that_was_old_when_first_seen_is_not_fresh() -> None:
    guest = GuestMemory(100, 5.0, age_s=300.0, total_bytes=1000, available_bytes=700)
    first = Counters(1, "1", memory=MemoryCounters(1, guest=guest))
    made = rates(first, Counters(2, "1", memory=MemoryCounters(2, guest=guest)), 1)
    assert made is not None
    assert made.guest is not None
    assert not made.guest.fresh


# -- properties ----------------------------------------------------------------------------------

_number = st.one_of(st.none(), st.integers(0, 2**64 - 1))


@st.composite
def samples(draw: st.DrawFn) -> list[Counters]:
    """Anything that counters may do: grow, stand still, start anew, be missing, be late."""
    found = []
    at_s = draw(st.floats(0, 1e6))
    for _ in range(draw(st.integers(2, 6))):
        at_s += draw(st.floats(-1, 100))
        numbers = st.lists(_number, min_size=8, max_size=8)
        found.append(
            Counters(
                at_s,
                draw(st.sampled_from(("1", "1", "2"))),
                cpu=draw(
                    st.none()
                    | st.builds(
                        CpuCounters,
                        st.just(at_s),
                        time_ns=_number,
                        user_ns=_number,
                        system_ns=_number,
                        vcpus=st.lists(
                            st.builds(VcpuCounters, st.integers(0, 2), _number, _number)
                        ).map(tuple),
                        vcpus_at_s=st.none() | st.just(at_s - 1),
                        halt_poll_ns=_number,
                        exits=st.none()
                        | st.dictionaries(st.sampled_from("ab"), st.integers(0, 2**64)),
                        kvm_at_s=st.none() | st.just(at_s - 0.5),
                    )
                ),
                memory=MemoryCounters(
                    at_s,
                    guest=GuestMemory(
                        draw(st.floats(0, 1e10)),
                        5.0,
                        draw(st.none() | st.floats(0, 1e6)),
                        *draw(numbers),
                    ),
                ),
                disks=(DiskCounters(at_s, "vda", *draw(numbers)),),
                nics=(
                    draw(st.builds(NicCounters, st.just(at_s), st.just("vnet0"), *[_number] * 8)),
                ),
            )
        )
    return found


def figures_of(made: object) -> Iterator[float]:
    """Every number in it, however deep."""
    if is_dataclass(made):
        for field in fields(made):
            if field.name not in ("at_s", "renewed_at_s"):
                yield from figures_of(getattr(made, field.name))
    elif isinstance(made, tuple):
        for part in made:
            yield from figures_of(part)
    elif isinstance(made, dict):
        yield from figures_of(tuple(made.values()))
    elif isinstance(made, int | float):
        yield made


@given(samples())
def test_any_counters_give_finite_rates_that_are_never_negative(given: list[Counters]) -> None:
    last = None
    for before, now in pairwise(given):
        last = rates(before, now, 2, last)
        for figure in figures_of(last):
            assert math.isfinite(figure)
            assert figure >= 0


@given(
    st.lists(
        st.tuples(st.floats(0.01, 60), st.integers(0, 10**12), st.booleans()),
        min_size=1,
        max_size=30,
    )
)
def test_the_integral_of_a_rate_is_what_the_counter_counted(
    steps: list[tuple[float, int, bool]],
) -> None:
    at_s, count, epoch = 0.0, 0, 0
    before = Counters(at_s, "0", disks=(DiskCounters(at_s, "vda", read_bytes=0),))
    counted, integral = 0, 0.0
    for wait_s, more, restarts in steps:
        at_s += wait_s
        epoch += restarts
        count = more if restarts else count + more
        disk = DiskCounters(at_s, "vda", read_bytes=count)
        now = Counters(at_s, str(epoch), disks=(disk,))
        made = rates(before, now, 1)
        assert (made is None) == restarts
        if made is not None:
            rate = made.disks[0].read_bytes_per_s
            assert rate is not None
            integral += rate * made.disks[0].interval_s
            counted += more
        before = now
    assert integral == pytest.approx(counted, abs=1e-3)


# -- hosts ---------------------------------------------------------------------------------------


def test_the_host_shares_its_time_out() -> None:
    before = HostCounters(0, CpuTimes(10, 10, 100, 0, 0, 0))
    now = HostCounters(1, CpuTimes(11, 11, 105, 1, 1, 1))
    made = host_rates(before, now)
    assert made.cpu is not None
    assert made.cpu.user_percent == 10
    assert made.cpu.idle_percent == 50
    assert made.cpu.guest_percent == 10
    assert made.cpu_percent == 40, "waiting for a disk is not work"


def test_a_host_that_tells_nothing_has_no_rates() -> None:
    made = host_rates(HostCounters(0), HostCounters(1))
    assert made.cpu_percent is None
    assert not made.disks


def test_a_device_that_started_anew_is_left_out() -> None:
    before = HostCounters(0, disks=(HostDiskCounters("vda", 5, 5, 5, 5, 5),))
    now = HostCounters(1, disks=(HostDiskCounters("vda", 1, 5, 5, 5, 5),))
    assert host_rates(before, now).disks == ()


def test_a_disk_is_never_busy_for_more_than_all_of_the_time() -> None:
    """The kernel counts in ticks, and at another moment."""
    before = HostCounters(0, disks=(HostDiskCounters("vda", 0, 0, 0, 0, 0.0),))
    now = HostCounters(1, disks=(HostDiskCounters("vda", 1, 0, 0, 0, 1.004),))
    assert host_rates(before, now).disks[0].busy_percent == 100


_seconds = st.floats(0, 1e9)


@given(st.lists(st.builds(CpuTimes, _seconds, _seconds, _seconds, _seconds), min_size=2))
def test_shares_of_a_host_are_percentages(times: list[CpuTimes]) -> None:
    hosts = [HostCounters(i, cpu, (cpu,)) for i, cpu in enumerate(times)]
    for before, now in pairwise(hosts):
        made = host_rates(before, now)
        for figure in figures_of((made.cpu, made.cpus)):
            assert 0 <= figure <= 100 + 1e-6
