"""vmtui on a fleet of demo hosts with an hour behind it, with its event loop under observation.

Run by `fleet_1000` on a terminal of its own: `python -m benchmarks.observed REPORT HOSTS VMS`.
With BENCH_PROFILE=FILE in the environment it also says where the time goes (cProfile).
"""

from __future__ import annotations

import asyncio
import cProfile
import json
import os
import resource
import signal
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

from vmtui.app import VmtuiApp
from vmtui.backends.base import Endpoint
from vmtui.backends.demo import DemoBackend
from vmtui.config import Config
from vmtui.connection import Connection
from vmtui.fleet import Fleet
from vmtui.model import VMId

HOUR_S = 3600.0
FILL_STEP_S = 30.0
BEAT_S = 0.005
SETTLED_S = 4.0
"""The start is measured by another benchmark."""


class Clock:
    """The demo hosts' clock: behind the real one while the past is made."""

    def __init__(self) -> None:
        self.behind_s = 0.0

    def __call__(self) -> float:
        """Monotonic seconds."""
        return time.monotonic() - self.behind_s


class Observer:
    """Lateness of a heartbeat, and CPU time spent sampling. Time without a CPU is taken off."""

    def __init__(self) -> None:
        self.late_s: list[float] = []
        self.sampling_s = 0.0
        self._cpu_s = 0.0
        self._since_s = 0.0
        self.profiler: cProfile.Profile | None = None

    async def beat(self) -> None:
        """Note for ever how much later than asked the loop comes back."""
        await asyncio.sleep(SETTLED_S)
        if self.profiler is not None:
            self.profiler.enable()
        self._cpu_s, self._since_s = time.process_time(), time.monotonic()
        self.sampling_s = 0.0
        while True:
            asked_s, waited_s = time.monotonic(), _waited_s()
            await asyncio.sleep(BEAT_S)
            late_s = time.monotonic() - asked_s - BEAT_S - (_waited_s() - waited_s)
            self.late_s.append(max(0.0, late_s))

    def report(self) -> dict[str, float]:
        """All that was observed since things settled."""
        span_s = time.monotonic() - self._since_s
        return {
            "stall_p99_s": statistics.quantiles(self.late_s, n=100)[98],
            "stall_max_s": max(self.late_s),
            "cpu_share": (time.process_time() - self._cpu_s) / span_s,
            "sampling_share": self.sampling_s / span_s,
            "rss_bytes": psutil.Process().memory_info().rss,
            "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        }


def _waited_s() -> float:
    """How long this thread could have run and had no CPU."""
    return int(Path("/proc/thread-self/schedstat").read_text("ascii").split()[1]) / 1e9


class ObservedConnection(Connection):
    """Tells what its samples cost."""

    observer: Observer

    async def sample(self, vms: Sequence[VMId] | None = None) -> None:
        """Timed: a demo host answers without waiting for anything."""
        started_s = time.thread_time()
        await super().sample(vms)
        self.observer.sampling_s += time.thread_time() - started_s


async def fill(connections: Sequence[Connection], clock: Clock) -> None:
    """Let an hour pass."""
    for connection in connections:
        await connection.resync()
        await connection.load_host()
    clock.behind_s = HOUR_S
    while clock.behind_s > 0:
        for connection in connections:
            await connection.sample()
        clock.behind_s -= FILL_STEP_S
    clock.behind_s = 0.0


async def session(report: Path, hosts: int, vms: int) -> None:
    """The interface until it is told to end; then the report is written."""
    clock, observer = Clock(), Observer()
    clock.behind_s = HOUR_S
    backends = [
        DemoBackend(f"demo:?vms={vms // hosts}&host=h{i}", clock=clock) for i in range(hosts)
    ]
    fleet = Fleet([Endpoint(backend, f"h{i}") for i, backend in enumerate(backends)])
    await fill(fleet.connections, clock)
    ObservedConnection.observer = observer
    for connection in fleet.connections:
        connection.__class__ = ObservedConnection
    app = VmtuiApp(fleet, Config())
    profile = os.environ.get("BENCH_PROFILE")
    observer.profiler = cProfile.Profile() if profile else None
    heart = asyncio.create_task(observer.beat())

    def end() -> None:
        heart.cancel()
        report.write_text(json.dumps(observer.report()))
        app.exit()

    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, end)
    try:
        await app.run_async()
    finally:
        if profile and observer.profiler is not None:
            observer.profiler.dump_stats(profile)
        await fleet.close()


def main() -> None:
    """The arguments are the report's file, the number of hosts and that of all their VMs."""
    report, hosts, vms = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    asyncio.run(session(report, hosts, vms))


if __name__ == "__main__":
    main()
