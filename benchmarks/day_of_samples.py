"""A day's use in two minutes: 100,000 samples of VMs that come and go; memory stays flat."""

from __future__ import annotations

import asyncio
import gc
import json
import subprocess
import sys
import time

import psutil

from benchmarks.result import Result
from vmtui.backends.base import Endpoint, no_progress
from vmtui.backends.demo import DemoBackend
from vmtui.fleet import Fleet
from vmtui.model import Power
from vmtui.spec import MICRO, VMSpec
from vmtui.views import FleetView

SAMPLES = 100_000
WARM_SAMPLES = 10_000
"""After two hours histories are full, and what comes in pushes something out."""
VMS = 6
CHANGE_SAMPLES = 50
"""A VM comes, runs and goes in as many."""
BAR = 1.05


class Day:
    """A fleet whose clock is moved by hand."""

    def __init__(self, vms: int = VMS) -> None:
        self.now_s = time.monotonic()
        backend = DemoBackend(f"demo:?vms={vms}", clock=lambda: self.now_s)
        self.fleet = Fleet([Endpoint(backend, "demo")])
        self.seen: FleetView | None = None
        self.fleet.watch(self._look)

    def _look(self, view: FleetView) -> None:
        self.seen = view

    async def live(self, samples: int) -> None:
        """So many samples, one a second."""
        [connection] = self.fleet.connections
        for number in range(samples):
            self.now_s += 1
            if number % CHANGE_SAMPLES == 0:
                await self._change(number)
            await connection.sample()
            await asyncio.sleep(0)  # whoever watches is told

    async def _change(self, number: int) -> None:
        [connection] = self.fleet.connections
        spec = VMSpec(f"passing-{number}", MICRO)
        ref = await self.fleet.create(connection.uri, spec, no_progress)
        await connection.backend.power(ref.id, Power.START)
        await connection.refresh(ref.id)
        await connection.sample()
        await connection.backend.power(ref.id, Power.STOP)
        await connection.refresh(ref.id)
        await self.fleet.delete(ref, await connection.backend.delete_plan(ref.id))


async def measure() -> None:
    """Print what it came to, as JSON."""
    day = Day()
    await day.fleet.connect()
    report = {}
    began_s = time.monotonic()
    for name, samples in (("warm", WARM_SAMPLES), ("after", SAMPLES - WARM_SAMPLES)):
        await day.live(samples)
        gc.collect()
        report[name] = psutil.Process().memory_info().rss
    report["took_s"] = round(time.monotonic() - began_s)
    await day.fleet.close()
    print(json.dumps(report))


def run() -> list[Result]:
    """In a process of its own."""
    command = [sys.executable, "-m", "benchmarks.day_of_samples"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    report = json.loads(done.stdout)
    print(f"after {WARM_SAMPLES} samples: {report['warm'] / 1e6:.1f} MB resident")
    print(f"after {SAMPLES}: {report['after'] / 1e6:.1f} MB, in {report['took_s']} s")
    growth = report["after"] / report["warm"]
    return [Result("memory after 100,000 samples / 10,000", growth, BAR)]


if __name__ == "__main__":
    asyncio.run(measure())
