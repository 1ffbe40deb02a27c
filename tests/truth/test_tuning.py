"""Limits of disks and pinning, as the kernels of the guest and of the host have them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.truth.changing import changed
from tests.truth.kernel import vcpu_threads
from tests.truth.rigs import Rig
from tests.truth.shell import GuestShell
from tests.truth.watched import Watched, disk
from vmtui.counters import DiskCounters
from vmtui.hardware.changes import Assign
from vmtui.units import KIB, MIB

pytestmark = pytest.mark.slow

CLOSE = 0.1
SPAN_S = 2.0
IOPS = 100
RATE_BYTES = 10 * MIB
SWAPPED = [Assign("disk.vda.iops", None), Assign("disk.vda.rate", RATE_BYTES)]
"""More requests than `IOPS` allows would be needed to come near it, so that limit has gone."""

LOAD = "while :; do dd if=/dev/zero of=/dev/vda bs={size} count=64 oflag=direct; done"


async def test_limits_of_a_disk_hold_under_load(rig: Rig) -> None:
    vm = await rig.started(disk_bytes=16 * MIB)
    async with GuestShell.of(rig.backend, vm) as shell, Watched.over(rig, vm) as [watched]:
        for size, count, limit, changes in (
            (4 * KIB, writes, IOPS, [Assign("disk.vda.iops", IOPS)]),
            (64 * KIB, written_bytes, RATE_BYTES, SWAPPED),
        ):
            await changed(rig.backend, vm, *changes)
            load = LOAD.format(size=size)
            await shell.run(f"({load}) >/dev/null 2>&1 </dev/null & echo $! >/tmp/load")
            assert await per_s(watched, count) == pytest.approx(limit, rel=CLOSE)
            await shell.run("kill $(cat /tmp/load)")


def writes(counters: DiskCounters) -> int:
    assert counters.writes is not None
    return counters.writes


def written_bytes(counters: DiskCounters) -> int:
    assert counters.write_bytes is not None
    return counters.write_bytes


async def per_s(watched: Watched, count: Callable[[DiskCounters], int]) -> float:
    """What the disk does while it is at it: over a span that starts with the first new sample."""
    known = await watched.until(lambda row: row.counters is not None and bool(row.counters.disks))
    began_s = disk(known).at_s
    first = disk(await watched.until(lambda row: disk(row).at_s > began_s))
    last = disk(await watched.until(lambda row: disk(row).at_s >= first.at_s + SPAN_S))
    return (count(last) - count(first)) / (last.at_s - first.at_s)


async def test_pinned_vcpus_may_run_there_only(rig: Rig) -> None:
    vm = await rig.started(vcpus=2)
    pid = await rig.process(vm)
    threads = vcpu_threads(pid)
    everywhere = [allowed(pid, thread) for thread in threads]
    await changed(rig.backend, vm, Assign("cpu.pin", "0=0 1=1"))
    assert [allowed(pid, thread) for thread in threads] == ["0", "1"]
    await changed(rig.backend, vm, Assign("cpu.pin", ""))
    assert [allowed(pid, thread) for thread in threads] == everywhere


def allowed(pid: int, thread: int) -> str:
    """The CPUs on which the kernel lets it run."""
    lines = Path(f"/proc/{pid}/task/{thread}/status").read_text("ascii").splitlines()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)["Cpus_allowed_list"]
