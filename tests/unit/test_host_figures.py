"""The figures of hosts: true on this machine, and with a reason where there is none."""

from __future__ import annotations

from dataclasses import replace

import psutil
import pytest

from vmtui.backends import local_host
from vmtui.counters import CpuTimes, HostCounters, HostDiskCounters, Ksm, Measure, Pressure
from vmtui.figures import Unit
from vmtui.host_figures import HOST_BY_ID, HOST_FIGURES
from vmtui.host_metrics import host_rates
from vmtui.model import VM, Accel, Host, State, VMId
from vmtui.units import GIB
from vmtui.views import ConnectionStatus, ConnectionView, VMRef, VMView


def up(before: HostCounters | None, now: HostCounters | None, *vms: VM) -> ConnectionView:
    return ConnectionView(
        uri="kvm:",
        label="kvm:",
        status=ConnectionStatus.UP,
        host=Host("sirius", 8, 32 * GIB, "QEMU", Accel.KVM),
        host_counters=now,
        host_rates=host_rates(before, now) if now else None,
        vms=tuple(VMView(VMRef("kvm:", vm.id), vm) for vm in vms),
    )


BEFORE = HostCounters(
    at_s=10.0,
    cpu=CpuTimes(10, 10, 70, iowait_s=5, steal_s=0, guest_s=5),
    memory_total_bytes=32 * GIB,
    memory_available_bytes=20 * GIB,
    ksm=Ksm(running=True, saved_bytes=GIB, profit_bytes=GIB // 2, cpu_s=1.0),
    disks=(HostDiskCounters("a", 0, 0, 0, 0, 0.0), HostDiskCounters("b", 0, 0, 0, 0, 0.0)),
    cpu_pressure=Pressure(1.5, 0.5),
)
NOW = replace(
    BEFORE,
    at_s=12.0,
    cpu=CpuTimes(11, 12, 75, iowait_s=6, steal_s=0, guest_s=6),
    ksm=Ksm(running=True, saved_bytes=GIB, profit_bytes=GIB // 2, cpu_s=1.1),
    disks=(
        HostDiskCounters("a", 20, 2_000_000, 4, 4_000, 0.5),
        HostDiskCounters("b", 0, 0, 6, 6_000, 1.5),
    ),
)


def test_ids_are_unique_and_every_figure_says_what_it_is() -> None:
    assert len(HOST_BY_ID) == len(HOST_FIGURES)
    assert all(f.meaning.endswith(".") and f.title and f.source.local for f in HOST_FIGURES)


@pytest.mark.parametrize(
    ("figure", "value"),
    [
        ("cpu", 40.0),
        ("user", 10.0),
        ("system", 20.0),
        ("iowait", 10.0),
        ("steal", 0.0),
        ("guest", 10.0),
        ("psi_cpu_some", 1.5),
        ("psi_cpu_full", 0.5),
        ("memory_used", 12 * GIB),
        ("ksm_running", 1.0),
        ("ksm_saved", GIB),
        ("ksm_profit", GIB / 2),
        ("ksm_cpu", 5.0),
        ("read_bytes", 1_000_000),
        ("write_bytes", 5_000),
        ("iops", 15.0),
        ("disk_busy", 75.0),
    ],
)
def test_values(figure: str, value: float) -> None:
    connection = up(BEFORE, NOW)
    assert HOST_BY_ID[figure].of(connection) == pytest.approx(value)
    assert HOST_BY_ID[figure].why_absent(connection) == ""


def test_overcommit_counts_what_active_vms_may_have() -> None:
    running = VM(VMId("1"), "a", State.RUNNING, vcpus=12, memory_bytes=48 * GIB)
    off = VM(VMId("2"), "b", State.OFF, vcpus=64, memory_bytes=64 * GIB)
    connection = up(BEFORE, NOW, running, off)
    assert HOST_BY_ID["vcpu_ratio"].text(connection) == "1.50"
    assert HOST_BY_ID["memory_ratio"].of(connection) == pytest.approx(1.5)
    assert HOST_BY_ID["held"].of(connection) is None
    assert HOST_BY_ID["held"].of(up(BEFORE, NOW, off)) == 0


def test_what_is_missing_says_why() -> None:
    now = HostCounters(1.0, missing={Measure.PRESSURE: "this kernel keeps no PSI"})
    connection = up(None, now)
    assert HOST_BY_ID["psi_io_some"].why_absent(connection) == "this kernel keeps no PSI"
    assert HOST_BY_ID["cpu"].why_absent(connection) == "a rate needs two samples"
    assert HOST_BY_ID["load1"].why_absent(connection) == "libvirt has no call for it"
    assert HOST_BY_ID["cpu"].why_absent(up(None, None)) == "it was not sampled yet"
    down = replace(connection, status=ConnectionStatus.DOWN)
    assert HOST_BY_ID["memory_total"].why_absent(down) == "it is not connected"
    for figure in HOST_FIGURES:
        assert (figure.of(connection) is None) == bool(figure.why_absent(connection))


def test_a_guests_time_is_not_the_hosts_user_time() -> None:
    """The kernel counts it as both."""
    times = psutil.cpu_times()._replace(user=50.0, nice=10.0, guest=20.0, guest_nice=5.0)
    told = local_host._times(times)
    assert (told.user_s, told.guest_s) == (35.0, 25.0)


def test_this_machine_answers() -> None:
    first = local_host.read()
    connection = up(first, replace(local_host.read(), at_s=first.at_s + 1))
    for figure in HOST_FIGURES:
        value = figure.of(connection)
        assert value is None or value >= 0 or figure.id == "ksm_profit"
        assert value is not None or figure.why_absent(connection)
        if figure.unit is Unit.PERCENT and value is not None and figure.id != "ksm_cpu":
            assert value <= 100
