"""Rows: replaced when they change and only then, with figures that never outlive their VM."""

from __future__ import annotations

from dataclasses import replace

import pytest

from vmtui.alarms import Thresholds
from vmtui.counters import (
    Counters,
    CpuCounters,
    CpuTimes,
    DiskCounters,
    GuestMemory,
    HostCounters,
    MemoryCounters,
    Stalled,
    VcpuCounters,
)
from vmtui.figures import BY_ID
from vmtui.history import History
from vmtui.model import VM, Accel, State, VMId
from vmtui.roster import Roster
from vmtui.views import VMRef, VMView

S = 1_000_000_000
URI = "demo:"
WEB = VMId("web")


def vm(name: str = "web", state: State = State.RUNNING) -> VM:
    return VM(VMId(name), name, state, vcpus=2, memory_bytes=2**30)


def sample(at_s: float, busy_s: float = 0.0, ready_s: float = 0.0, epoch: str = "1") -> Counters:
    ready_ns = int(ready_s * S)
    vcpus = tuple(VcpuCounters(i, int(busy_s / 2 * S), ready_ns) for i in range(2))
    return Counters(at_s, epoch, CpuCounters(at_s, int(busy_s * S), vcpus=vcpus))


def roster(history: History | None = None, thresholds: Thresholds | None = None) -> Roster:
    made = Roster(URI, history or History(), thresholds or Thresholds())
    made.set_all([vm()])
    return made


def row(of: Roster, name: str = "web") -> VMView:
    return next(row for row in of.rows if row.vm.name == name)


def cpu(of: Roster) -> float | None:
    return BY_ID["cpu"].of(row(of))


def graph(history: History, end_s: float, seconds: int) -> list[float | None]:
    return history.window(
        VMRef(URI, WEB), "cpu", end_s=end_s, span_s=float(seconds), columns=seconds
    )


def test_rows_are_sorted_by_name_and_those_that_are_gone_go() -> None:
    rows = roster()
    rows.set_all([vm("b"), vm("C"), vm("a")])
    assert [row.vm.name for row in rows.rows] == ["a", "b", "C"]
    rows.set_all([vm("b")])
    assert [row.vm.name for row in rows.rows] == ["b"]


def test_a_row_that_did_not_change_stays_the_same_object() -> None:
    rows = roster()
    before = rows.rows
    rows.set_all([vm()])
    rows.take(VMId("unknown"), sample(1))
    assert rows.rows is before


def test_figures_need_two_samples_of_one_run() -> None:
    rows = roster()
    rows.take(WEB, sample(10, busy_s=5))
    assert cpu(rows) is None
    rows.take(WEB, sample(12, busy_s=7))
    assert cpu(rows) == 50
    rows.take(WEB, sample(13, busy_s=0.1, epoch="2"))
    assert cpu(rows) is None
    rows.take(WEB, sample(14, busy_s=0.3, epoch="2"))
    assert cpu(rows) == 10


def test_one_that_is_off_has_no_figures_and_takes_none() -> None:
    rows = roster()
    rows.take(WEB, sample(10))
    rows.take(WEB, sample(11, busy_s=1))
    rows.set(vm(state=State.OFF))
    assert (row(rows).counters, row(rows).rates) == (None, None)
    rows.take(WEB, sample(12, busy_s=2))
    assert row(rows).counters is None
    assert rows.active() == []


def test_one_that_is_paused_keeps_its_counters_and_shows_nothing_that_moves() -> None:
    history = History()
    rows = roster(history)
    rows.take(WEB, sample(10))
    rows.take(WEB, sample(11, busy_s=1))
    rows.set(vm(state=State.PAUSED))
    rows.take(WEB, sample(12, busy_s=1))
    assert row(rows).counters == sample(12, busy_s=1)
    assert cpu(rows) is None
    assert graph(history, 12, 2) == [50, None]


def test_one_that_stalls_keeps_its_last_figures_and_says_why() -> None:
    rows = roster()
    rows.take(WEB, sample(10))
    rows.take(WEB, sample(11, busy_s=1))
    rows.take(WEB, Stalled("QEMU does not answer"))
    stalled = row(rows)
    assert (stalled.stalled, stalled.sampled_at_s) == ("QEMU does not answer", 11)
    assert cpu(rows) == 50
    rows.take(WEB, Stalled("QEMU does not answer"))
    assert row(rows) is stalled
    rows.take(WEB, sample(15, busy_s=1.4))
    assert row(rows).stalled == ""
    assert cpu(rows) == 5


def test_history_has_a_gap_where_a_restart_was_and_goes_with_the_vm() -> None:
    history = History()
    rows = roster(history)
    for at_s, busy_s, epoch in ((10, 0, "1"), (11, 1, "1"), (12, 0, "2"), (13, 0.5, "2")):
        rows.take(WEB, sample(at_s, busy_s=busy_s, epoch=epoch))
    assert graph(history, 13, 3) == [50, None, 25]
    rows.remove(WEB)
    assert graph(history, 13, 3) == [None, None, None]


def test_history_outlives_a_lost_connection() -> None:
    history = History()
    rows = roster(history)
    rows.take(WEB, sample(10))
    rows.take(WEB, sample(11, busy_s=1))
    rows.clear()
    assert rows.rows == ()
    assert graph(history, 11, 1) == [50]
    rows.set_all([vm()])
    rows.take(WEB, sample(60, busy_s=2))
    assert cpu(rows) is None


def test_a_breach_is_told_once_it_has_lasted_and_ends_with_its_cause() -> None:
    rows = roster(thresholds=Thresholds({"ready_max": 10.0}, sustained_s=3.0))
    told = []
    for at_s, ready_s in enumerate((0, 0.5, 1, 1.5, 2, 2.05)):
        rows.take(WEB, sample(float(at_s), ready_s=ready_s))
        told.append([(breach.figure, breach.since_s) for breach in row(rows).breaches])
    assert told == [[], [], [], [], [("ready_max", 1)], []]


def test_a_spike_between_two_good_samples_is_no_breach() -> None:
    rows = roster(thresholds=Thresholds({"ready_max": 10.0}, sustained_s=2.0))
    ready_s = 0.0
    for at_s in range(10):
        ready_s += 0.9 if at_s % 2 else 0.0
        rows.take(WEB, sample(float(at_s), ready_s=ready_s))
        assert row(rows).breaches == ()


def test_a_breach_does_not_outlive_a_stop() -> None:
    rows = roster(thresholds=Thresholds({"ready_max": 10.0}, sustained_s=1.0))
    for at_s in range(4):
        rows.take(WEB, sample(float(at_s), ready_s=float(at_s)))
    assert row(rows).breaches
    rows.set(vm(state=State.OFF))
    rows.set(vm())
    for at_s in (10, 11):
        rows.take(WEB, sample(float(at_s), ready_s=float(at_s), epoch="2"))
        assert row(rows).breaches == ()


def test_share_of_the_host_is_known_with_its_cpus() -> None:
    rows = roster()
    rows.take(WEB, sample(10))
    rows.take(WEB, sample(11, busy_s=1))
    assert BY_ID["cpu_host"].of(row(rows)) is None
    rows.know_host(4)
    assert BY_ID["cpu_host"].of(row(rows)) == 25
    before = rows.rows
    rows.know_host(4)
    assert rows.rows is before


def test_latency_over_several_disks_is_the_mean_of_their_requests() -> None:
    rows = roster()
    quick, slow = (DiskCounters(10, name, *[0] * 8) for name in ("vda", "vdb"))
    rows.take(WEB, replace(sample(10), disks=(quick, slow)))
    quick = replace(quick, at_s=11, reads=30, read_ns=30 * S // 1000)
    slow = replace(slow, at_s=11, writes=10, write_ns=10 * 41 * S // 1000)
    rows.take(WEB, replace(sample(11), disks=(quick, slow)))
    assert BY_ID["latency"].of(row(rows)) == pytest.approx(11)


def test_what_a_guest_said_long_ago_is_not_shown() -> None:
    rows = roster()
    guest = GuestMemory(100, 5.0, age_s=300.0, total_bytes=1000, available_bytes=700)
    for at_s in (10, 11, 12):
        if at_s == 12:
            guest = replace(guest, updated_at_s=410, age_s=0.0)
        rows.take(WEB, replace(sample(at_s), memory=MemoryCounters(at_s, guest=guest)))
        shown = [BY_ID[name].of(row(rows)) for name in ("guest_used", "guest_available")]
        assert shown == ([300, 700] if at_s == 12 else [None, None])


@pytest.mark.parametrize(("accel", "steal"), [(Accel.KVM, 25), (Accel.TCG, None)])
def test_only_kvm_tells_its_guests_of_steal_time(accel: Accel, steal: float | None) -> None:
    rows = roster()
    rows.set_all([replace(vm(), accel=accel)])
    rows.take(WEB, sample(10))
    rows.take(WEB, sample(11, ready_s=0.25))
    assert BY_ID["ready"].of(row(rows)) == 25
    assert BY_ID["steal"].of(row(rows)) == steal


def test_host_history_is_of_intervals_that_passed() -> None:
    history = History()
    rows = roster(history)
    host = HostCounters(
        10.0,
        cpu=CpuTimes(0.0, 0.0, 0.0),
        memory_total_bytes=1000,
        memory_available_bytes=700,
    )
    rows.take_host(host)
    rows.take_host(replace(host, at_s=11.0, cpu=CpuTimes(1.0, 0.0, 3.0)))
    rows.take_host(replace(host, at_s=11.0, cpu=CpuTimes(9.0, 0.0, 3.0)))
    for figure, value in (("cpu", 25), ("memory", 30)):
        window = history.window(URI, figure, end_s=11.0, span_s=1.0, columns=1)
        assert window == [pytest.approx(value)]
