"""Reads, writes and flushes: what `dd` did, the guest's kernel counted and the rates add up to."""

from __future__ import annotations

import time
from dataclasses import dataclass

import pytest

from tests.truth.rigs import Rig
from tests.truth.shell import GuestShell
from tests.truth.watched import Watched, disk, disk_integral
from vmtui.units import MIB
from vmtui.views import VMView

pytestmark = pytest.mark.slow

CLOSE = 0.05
SECTOR_BYTES = 512


@dataclass(frozen=True)
class Load:
    """What one command does to the disk."""

    command: str
    reads: int = 0
    read_bytes: int = 0
    writes: int = 0
    write_bytes: int = 0
    flushes: int = 0


LOADS = {
    "direct writes": Load(
        "dd if=/dev/zero of=/dev/vda bs=4096 count=3000 oflag=direct",
        writes=3000,
        write_bytes=3000 * 4096,
    ),
    "large direct writes": Load(
        "dd if=/dev/zero of=/dev/vda bs=128k count=300 oflag=direct",
        writes=300,
        write_bytes=300 * 131072,
    ),
    "direct writes, each with fsync": Load(
        "i=0; while [ $i -lt 200 ]; do dd if=/dev/zero of=/dev/vda bs=4096 count=1 seek=$i "
        "oflag=direct conv=fsync; i=$((i + 1)); done",
        writes=200,
        write_bytes=200 * 4096,
        flushes=200,
    ),
    "direct reads": Load(
        "dd if=/dev/vda of=/dev/null bs=16k count=2000 iflag=direct",
        reads=2000,
        read_bytes=2000 * 16384,
    ),
}


@dataclass(frozen=True)
class GuestDisk:
    """The guest's own counters (iostats.rst)."""

    reads: int
    read_bytes: int
    writes: int
    write_bytes: int
    flushes: int

    @classmethod
    async def read(cls, shell: GuestShell) -> GuestDisk:
        fields = [int(word) for word in (await shell.run("cat /sys/block/vda/stat")).split()]
        # The empty request that asks for a flush counts as a write too, for the guest's kernel.
        flushes = fields[15]
        return cls(
            reads=fields[0],
            read_bytes=fields[2] * SECTOR_BYTES,
            writes=fields[4] - flushes,
            write_bytes=fields[6] * SECTOR_BYTES,
            flushes=flushes,
        )


async def test_rates_add_up_to_what_was_done(rig: Rig) -> None:
    vm = await rig.started(disk_bytes=64 * MIB)
    async with (
        GuestShell.of(rig.backend, vm) as shell,
        Watched.over(rig, vm) as [watched],
    ):
        began_s = time.monotonic()
        await watched.until(
            lambda row: bool(row.rates and row.rates.disks and disk(row).at_s > began_s)
        )
        for name, load in LOADS.items():
            print(name)  # the last one is that which failed
            await rates_add_up(load, shell, watched)


async def rates_add_up(load: Load, shell: GuestShell, watched: Watched) -> None:
    # The disk has been idle since the newest row, so that all of the load comes after it.
    before = await GuestDisk.read(shell)
    start = len(watched.rows) - 1
    await shell.run(f"({load.command}) 2>/dev/null")
    ended_s = time.monotonic()
    await watched.until(lambda row: disk(row).at_s > ended_s)
    rows = watched.rows[start:]
    after = await GuestDisk.read(shell)

    read = (
        disk_integral(rows, lambda r: r.reads_per_s),
        disk_integral(rows, lambda r: r.read_bytes_per_s),
    )
    written = (
        disk_integral(rows, lambda r: r.writes_per_s),
        disk_integral(rows, lambda r: r.write_bytes_per_s),
    )
    flushed = disk_integral(rows, lambda r: r.flushes_per_s)
    assert read == pytest.approx((load.reads, load.read_bytes), rel=CLOSE, abs=5)
    assert written == pytest.approx((load.writes, load.write_bytes), rel=CLOSE, abs=5)
    assert flushed == pytest.approx(load.flushes, rel=CLOSE, abs=5)

    assert read == pytest.approx(
        (after.reads - before.reads, after.read_bytes - before.read_bytes), rel=CLOSE, abs=5
    )
    assert written == pytest.approx(
        (after.writes - before.writes, after.write_bytes - before.write_bytes), rel=CLOSE, abs=5
    )
    assert flushed == pytest.approx(after.flushes - before.flushes, rel=CLOSE, abs=5)
    _latency_is_that_of_one_at_a_time(rows)


def _latency_is_that_of_one_at_a_time(rows: list[VMView]) -> None:
    """`dd` waits for each request: never more than one is in flight, and none takes longer."""
    for row in rows:
        for made in row.rates.disks if row.rates else ():
            assert made.in_flight is not None
            assert 0 <= made.in_flight <= 1.05
            for latency_ms in (made.read_latency_ms, made.write_latency_ms, made.flush_latency_ms):
                assert latency_ms is None or 0 < latency_ms < 1000 * made.interval_s
            assert (made.read_latency_ms is None) is (made.reads_per_s == 0)
            assert (made.write_latency_ms is None) is (made.writes_per_s == 0)
