"""Pause, restart, reset and vCPU hotplug of a busy guest: nothing negative, and no spike."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator
from dataclasses import fields, is_dataclass

import pytest

from tests.truth.rigs import Rig, over_libvirt
from tests.truth.shell import GuestShell
from tests.truth.watched import Watched, counters, cpu_at_s
from vmtui import metrics
from vmtui.figures import FIGURES
from vmtui.model import Power, State, VMId
from vmtui.units import GIB, MIB
from vmtui.views import VMView

pytestmark = pytest.mark.slow

LOAD = (
    "(while :; do dd if=/dev/zero of=/dev/vda bs=64k count=64 oflag=direct; done)"
    " >/dev/null 2>&1 </dev/null &"
)
ROUNDING = 1.1
"""CPU time comes in steps of 10 ms, which a short interval makes the most of."""

MOST = {
    "core_percent": 100.0 * (os.cpu_count() or 1),
    "vm_percent": 100.0 * (os.cpu_count() or 1),
    "user_core_percent": 100.0 * (os.cpu_count() or 1),
    "system_core_percent": 100.0 * (os.cpu_count() or 1),
    "ready_mean_percent": 100.0,
    "ready_max_percent": 100.0,
    "used_percent": 100.0,
    "ready_percent": 100.0,
    "reads_per_s": 1e5,
    "writes_per_s": 1e5,
    "flushes_per_s": 1e5,
    "read_bytes_per_s": 4.0 * GIB,
    "write_bytes_per_s": 4.0 * GIB,
    "in_flight": 256.0,
}
"""What this machine could do at all; what is not listed has only to be finite and not negative."""


async def test_a_pause_a_reset_and_a_restart_make_no_spike(rig: Rig) -> None:
    vm = await busy(rig)
    async with Watched.over(rig, vm) as [watched]:
        await measured(watched)
        await stands_still_while_paused(rig, vm, watched)

        epoch = counters(watched.last).epoch
        await rig.backend.power(vm, Power.RESET)
        await measured(watched)
        assert counters(watched.last).epoch == epoch

        await begins_anew(rig, vm, watched)
    plausible(watched.rows)


async def stands_still_while_paused(rig: Rig, vm: VMId, watched: Watched) -> None:
    await rig.backend.power(vm, Power.PAUSE)
    await watched.state(State.PAUSED)
    paused_s = time.monotonic()
    # Two samples that are of the pause alone, disks included.
    first = await watched.until(lambda row: all_after(row, paused_s))
    last = await watched.until(lambda row: all_after(row, cpu_at_s(first)))
    assert last.vm.state is State.PAUSED
    shown = {figure.id: figure.of(last) for figure in FIGURES if figure.moving}
    assert shown == dict.fromkeys(shown)
    made = last.rates
    assert made is not None
    assert made.cpu is not None
    # QEMU itself does a little, such as answering us.
    assert made.cpu.core_percent == pytest.approx(0, abs=10)
    for vcpu in made.cpu.vcpus:
        assert vcpu.used_percent == pytest.approx(0, abs=1)
        assert vcpu.ready_percent == pytest.approx(0, abs=1)
    [disk] = made.disks
    assert (disk.writes_per_s, disk.write_bytes_per_s, disk.flushes_per_s) == (0, 0, 0)
    assert disk.write_latency_ms is None

    await rig.backend.power(vm, Power.RESUME)
    await watched.state(State.RUNNING)
    await measured(watched)
    assert (watched.figure("cpu") or 0) > 0


async def begins_anew(rig: Rig, vm: VMId, watched: Watched) -> None:
    epoch = counters(watched.last).epoch
    await rig.backend.power(vm, Power.STOP)
    off = await watched.until(lambda row: not row.vm.state.active)
    assert (off.counters, off.rates) == (None, None)
    restarted = len(watched.rows)
    await rig.backend.power(vm, Power.START)
    await watched.state(State.RUNNING)
    await measured(watched)
    assert counters(watched.last).epoch != epoch
    # The first sample of the new run has nothing to be compared with.
    first = next(row for row in watched.rows[restarted:] if row.counters is not None)
    assert first.rates is None

    # Nor has that of a run that began between two samples.
    epoch = counters(watched.last).epoch
    await rig.backend.power(vm, Power.STOP)
    await rig.backend.power(vm, Power.START)
    first = await watched.until(
        lambda row: row.counters is not None and row.counters.epoch != epoch
    )
    assert first.rates is None
    await measured(watched)


@pytest.fixture
async def libvirt_rig(request: pytest.FixtureRequest, micro_image: None) -> AsyncIterator[Rig]:
    """The direct backend starts VMs with all the vCPUs that they can have."""
    async with over_libvirt(request.getfixturevalue("libvirtd")) as rig:
        yield rig


async def test_a_vcpu_that_comes_makes_no_spike(libvirt_rig: Rig) -> None:
    import libvirt

    rig = libvirt_rig
    assert rig.daemon is not None
    vm = await rig.made(vcpus=2, disk_bytes=16 * MIB)
    with rig.daemon.client() as connection:
        domain = connection.lookupByUUIDString(vm)
        domain.setVcpusFlags(1, libvirt.VIR_DOMAIN_AFFECT_CONFIG)
        await rig.backend.power(vm, Power.START)
        await load(rig, vm)
        async with Watched.over(rig, vm) as [watched]:
            await measured(watched)
            assert vcpu_count(watched.last) == 1
            domain.setVcpusFlags(2, libvirt.VIR_DOMAIN_AFFECT_LIVE)
            plugged = len(watched.rows)
            await watched.until(lambda row: vcpu_count(row) == 2)
            await measured(watched)
            first = next(row for row in watched.rows[plugged:] if vcpu_count(row) == 2)
            assert first.rates is not None
            assert first.rates.cpu is None
        plausible(watched.rows)


def vcpu_count(row: VMView) -> int:
    cpu = row.counters.cpu if row.counters else None
    return len(cpu.vcpus) if cpu else 0


async def busy(rig: Rig) -> VMId:
    """A guest that computes and writes without end."""
    vm = await rig.started(disk_bytes=16 * MIB)
    await load(rig, vm)
    return vm


async def load(rig: Rig, vm: VMId) -> None:
    async with GuestShell.of(rig.backend, vm) as shell:
        await shell.run(LOAD)


async def measured(watched: Watched) -> None:
    """Wait for rates of all that is busy, over what lies between before and now."""
    began_s = time.monotonic()
    await watched.until(lambda row: all_after(row, began_s))


def all_after(row: VMView, at_s: float) -> bool:
    """Whether CPU and disk have rates that end after that."""
    found = row.counters
    if found is None or row.rates is None or row.rates.cpu is None or not row.rates.disks:
        return False
    return cpu_at_s(row) > at_s and found.disks[0].at_s > at_s


def plausible(rows: list[VMView]) -> None:
    """Nothing negative, and nothing that this machine could not have done."""
    assert rows
    for row in rows:
        if row.rates is not None:
            _plausible(row.rates)


def _plausible(part: object) -> None:
    assert is_dataclass(part)
    for field in fields(part):
        value = getattr(part, field.name)
        if isinstance(value, tuple):
            for each in value:
                _plausible(each)
        elif is_dataclass(value):
            _plausible(value)
        elif isinstance(value, int | float):
            most = MOST.get(field.name)
            assert 0 <= value < float("inf"), (field.name, part)
            assert most is None or value <= most * ROUNDING, (field.name, part)


def test_the_limits_name_figures_that_exist() -> None:
    kinds = [kind for kind in vars(metrics).values() if is_dataclass(kind)]
    assert {field.name for kind in kinds for field in fields(kind)} >= MOST.keys()
