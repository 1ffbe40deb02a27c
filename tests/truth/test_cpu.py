"""CPU time and ready time, against what the kernel says of the same threads."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from functools import partial

import pytest

from tests.truth.kernel import LAST, Curve, aside, place, process_ran_s, spent, vcpu_threads
from tests.truth.rigs import Rig
from tests.truth.shell import GuestShell
from tests.truth.watched import (
    Watched,
    core_integral_s,
    cpu_at_s,
    rates,
    vcpu_integral_s,
    vcpus_at_s,
)
from vmtui.figures import BY_ID
from vmtui.model import VMId
from vmtui.views import VMView

pytestmark = [pytest.mark.slow, pytest.mark.alone]

SPAN_S = 4.0
CLOSE = 3.0
"""Percent of a core: libvirt counts in steps of 10 ms, over at least a second or two."""

IDEAL = 12.0
"""Percent of a core that other programs may take in spite of all."""

BUSY = "(while :; do :; done) >/dev/null 2>&1 </dev/null &"


def ran_s(pid: int, tid: int) -> float:
    return spent(pid, tid).ran_s


def waited_s(pid: int, tid: int) -> float:
    return spent(pid, tid).waited_s


async def settled(watched: Watched) -> list[VMView]:
    """Rows over a span that starts with a whole sample, its rates included."""
    first = await watched.until(
        lambda row: bool(row.rates and row.rates.cpu and row.rates.cpu.vcpus)
    )
    start = watched.rows.index(first)
    from_s = vcpus_at_s(first)
    await watched.until(lambda row: vcpus_at_s(row) >= from_s + SPAN_S)
    return watched.rows[start:]


def percent(seconds: float, span: tuple[float, float]) -> float:
    return 100 * seconds / (span[1] - span[0])


def core_of(row: VMView) -> float:
    made = rates(row).cpu
    assert made is not None
    assert made.core_percent is not None
    return made.core_percent


def of_host(row: VMView) -> float | None:
    return BY_ID["cpu_host"].of(row)


needs_two_cpus = pytest.mark.skipif(
    len(os.sched_getaffinity(0)) < 2, reason="the tests would run on the CPU that they measure"
)


@needs_two_cpus
async def test_one_busy_vcpu_of_two(rig: Rig) -> None:
    vm = await rig.started(vcpus=2)
    async with GuestShell.of(rig.backend, vm) as shell:
        await shell.run(f"{BUSY} taskset -p 2 $! >/dev/null")
    pid = await rig.process(vm)
    idle, busy = vcpu_threads(pid)
    reads = [partial(process_ran_s, pid), partial(ran_s, pid, busy), partial(waited_s, pid, busy)]
    with aside() as (first, second):
        place(pid, busy, first)
        place(pid, idle, second)
        async with (
            Curve.watching(*reads) as (process, running, waiting),
            Watched.over(rig, vm) as [watched],
        ):
            rows = await settled(watched)
            for curve in (process, running, waiting):
                curve.look()

    # Read is what was.
    span = cpu_at_s(rows[0]), cpu_at_s(rows[-1])
    assert percent(core_integral_s(rows), span) == pytest.approx(
        percent(process.between(*span), span), abs=CLOSE
    )
    span = vcpus_at_s(rows[0]), vcpus_at_s(rows[-1])
    used, ready = (percent(seconds, span) for seconds in vcpu_integral_s(rows, 1))
    assert used == pytest.approx(percent(running.between(*span), span), abs=CLOSE)
    assert ready == pytest.approx(percent(waiting.between(*span), span), abs=CLOSE)

    # What was is the ideal, of the time that other programs left: the busy vCPU never slept.
    assert used + ready == pytest.approx(100, abs=CLOSE)
    assert used == pytest.approx(100, abs=IDEAL)
    assert percent(vcpu_integral_s(rows, 0)[0], span) < IDEAL

    # The same figure as part of the VM and of the host.
    last = rows[-1]
    made = rates(last).cpu
    assert made is not None
    assert made.core_percent is not None
    assert made.vm_percent == pytest.approx(made.core_percent / 2)
    assert last.host_cpus == os.cpu_count()
    assert watched.figure("cpu") is not None
    host = [value for row in rows if (value := of_host(row)) is not None]
    assert host == [pytest.approx(core_of(row) / (os.cpu_count() or 1)) for row in rows]


@needs_two_cpus
async def test_ready_time_of_two_busy_guests(rig: Rig) -> None:
    vms = await asyncio.gather(rig.started(), rig.started())
    await asyncio.gather(*(made_busy(rig, vm) for vm in vms))
    pids = [await rig.process(vm) for vm in vms]
    threads = [vcpu_threads(pid)[0] for pid in pids]
    with aside() as (first, second):
        for pid, thread in zip(pids, threads, strict=True):
            place(pid, thread, first)
        for used, ready in await used_and_ready(rig, vms, pids, threads):
            assert (used, ready) == pytest.approx((50, 50), abs=IDEAL), "one core for two"

        # The second is the tests' own too: they come first there, so only the other is judged.
        place(pids[1], threads[1], second, niceness=LAST)
        [(used, ready)] = await used_and_ready(rig, vms[:1], pids[:1], threads[:1])
        assert (used, ready) == pytest.approx((100, 0), abs=IDEAL), "a core each"


async def made_busy(rig: Rig, vm: VMId) -> None:
    async with GuestShell.of(rig.backend, vm) as shell:
        await shell.run(BUSY)


async def used_and_ready(
    rig: Rig, vms: Sequence[VMId], pids: Sequence[int], threads: Sequence[int]
) -> list[tuple[float, float]]:
    """Of each, in percent, once it was held against what the kernel says."""
    pairs = list(zip(pids, threads, strict=True))
    reads = [partial(read, *pair) for read in (waited_s, ran_s) for pair in pairs]
    async with (
        Curve.watching(*reads) as curves,
        Watched.over(rig, *vms) as watched,
    ):
        rows_of = await asyncio.gather(*map(settled, watched))
        for curve in curves:
            curve.look()

    shares = []
    for rows, waiting, running in zip(rows_of, curves[: len(vms)], curves[len(vms) :], strict=True):
        span = vcpus_at_s(rows[0]), vcpus_at_s(rows[-1])
        used, ready = (percent(seconds, span) for seconds in vcpu_integral_s(rows, 0))
        assert ready == pytest.approx(percent(waiting.between(*span), span), abs=CLOSE)
        assert used == pytest.approx(percent(running.between(*span), span), abs=CLOSE)
        # A vCPU that is busy all the time runs or waits, and does nothing else.
        assert used + ready == pytest.approx(100, abs=2 * CLOSE)
        made = rates(rows[-1]).cpu
        assert made is not None
        assert made.ready_max_percent == made.ready_mean_percent == made.vcpus[0].ready_percent
        shares.append((used, ready))
    return shares
