"""What watching 40 real guests over libvirt costs, against a bare loop that asks for the same."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import libvirt
import psutil

from benchmarks.result import Result
from tests.contract.daemon import PrivateLibvirtd
from tests.e2e.terminal import Terminal
from vmtui.backends.base import no_progress
from vmtui.backends.libvirt.backend import LibvirtBackend
from vmtui.backends.libvirt.threads import start_event_loop
from vmtui.images import micro
from vmtui.model import Power, VMId
from vmtui.readiness import wait_for_login
from vmtui.spec import MICRO, VMSpec
from vmtui.units import MIB

RUNS = 3
GUESTS = 40
MEMORY_BYTES = 96 * MIB
SETTLE_S = 8.0
MEASURE_S = 20.0
BAR = 1.5
BOOT_LIMIT_S = 300.0
START_LIMIT_S = 60.0
COLUMNS, ROWS = 160, 96

GROUPS = (
    libvirt.VIR_DOMAIN_STATS_STATE
    | libvirt.VIR_DOMAIN_STATS_CPU_TOTAL
    | libvirt.VIR_DOMAIN_STATS_VCPU
    | libvirt.VIR_DOMAIN_STATS_BALLOON
    | libvirt.VIR_DOMAIN_STATS_BLOCK
    | libvirt.VIR_DOMAIN_STATS_INTERFACE
)
LOOP = f"""
import sys, time, libvirt
connection = libvirt.open(sys.argv[1])
while True:
    started_s = time.monotonic()
    connection.getAllDomainStats({GROUPS})
    time.sleep(max(0.0, 1.0 - (time.monotonic() - started_s)))
"""


@dataclass(frozen=True, slots=True)
class Shares:
    """Percent of one CPU, of libvirt's daemon and of its client."""

    libvirtd: float
    client: float

    @property
    def together(self) -> float:
        return self.libvirtd + self.client


def run(runs: int = RUNS, guests: int = GUESTS) -> list[Result]:
    """Alternate both, so that neither gets the quieter machine; medians."""
    with daemon() as private, tempfile.TemporaryDirectory(prefix="vb-", dir="/tmp") as folder:
        asyncio.run(boot(private, guests))
        ours, bare = [], []
        for number in range(runs):
            ours.append(_vmtui(private, Path(folder, str(number))))
            bare.append(_bare(private))
        sample_s = full_sample_s(private)
    median, peer = _median("vmtui", ours), _median("bare loop", bare)
    print(f"one full sample of {guests} guests by libvirt: median {1000 * sample_s:.0f} ms")
    return [Result("libvirt sampling / bare loop", median / peer, BAR)]


def full_sample_s(private: PrivateLibvirtd, runs: int = 15) -> float:
    """The median time that libvirt takes for all groups of all its guests."""
    times_s = []
    with private.client() as connection:
        for _ in range(runs):
            started_s = time.perf_counter()
            connection.getAllDomainStats(GROUPS)
            times_s.append(time.perf_counter() - started_s)
    return statistics.median(times_s)


def _median(name: str, found: list[Shares]) -> float:
    median = statistics.median(shares.together for shares in found)
    each = ", ".join(f"{s.libvirtd:.1f} + {s.client:.1f}" for s in found)
    print(f"{name}: median {median:.1f} % of a CPU (libvirtd + client: {each})")
    return median


@contextlib.contextmanager
def daemon() -> Iterator[PrivateLibvirtd]:
    """A libvirtd of its own; what runs under it ends with it."""
    start_event_loop()
    os.environ["VMTUI_ACCEL"] = "tcg"
    private = PrivateLibvirtd()
    try:
        private.start()
        yield private
    finally:
        private.stop()


async def boot(private: PrivateLibvirtd, guests: int) -> None:
    """Make that many micro guests with a disk, a card and a balloon, and wait for their prompts."""
    await micro.ensure()
    backend = LibvirtBackend(private.uri, places=private.places)
    await backend.open()
    slots = asyncio.Semaphore(os.cpu_count() or 1)

    async def one(number: int) -> None:
        name = f"guest-{number:02}"
        spec = VMSpec(name, boot=MICRO, memory_bytes=MEMORY_BYTES, disk_bytes=8 * MIB)
        async with slots:
            vm: VMId = await backend.create(spec, no_progress)
            await backend.power(vm, Power.START)
            await wait_for_login(backend.console_output(vm), name, BOOT_LIMIT_S)

    try:
        await one(0)  # it brings the image that the others share
        await asyncio.gather(*(one(number) for number in range(1, guests)))
    finally:
        await backend.close()


def _vmtui(private: PrivateLibvirtd, folder: Path) -> Shares:
    folder.mkdir()
    terminal = Terminal(
        folder,
        [sys.executable, "-m", "vmtui", "-c", private.uri],
        {"XDG_CONFIG_HOME": str(folder), "XDG_DATA_HOME": str(folder)},
        columns=COLUMNS,
        rows=ROWS,
    )
    try:
        terminal.wait_for("guest-00", START_LIMIT_S)
        shares = _measured(private, terminal.program())
        drawn = len(set(re.findall(r"(guest-\d+) .* running", terminal.screen())))
        print(f"vmtui at {COLUMNS}x{ROWS}: {drawn} rows on the screen")
        return shares
    finally:
        terminal.close()


def _bare(private: PrivateLibvirtd) -> Shares:
    with subprocess.Popen([sys.executable, "-c", LOOP, private.uri]) as loop:
        try:
            return _measured(private, psutil.Process(loop.pid))
        finally:
            loop.kill()


def _measured(private: PrivateLibvirtd, client: psutil.Process) -> Shares:
    time.sleep(SETTLE_S)
    libvirtd = psutil.Process(private.pid)
    before_s, began_s = (_cpu_s(libvirtd), _cpu_s(client)), time.monotonic()
    time.sleep(MEASURE_S)
    took_s = time.monotonic() - began_s
    spent_s = _cpu_s(libvirtd) - before_s[0], _cpu_s(client) - before_s[1]
    return Shares(*(100 * each_s / took_s for each_s in spent_s))


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


if __name__ == "__main__":
    for result in run():
        print(f"{result.name}: {result.ratio:.2f} (bar {result.bar})")
