"""The longest hold-up of the event loop in a tour of every screen, against a limit of 50 ms."""

from __future__ import annotations

import asyncio
import os
import tempfile
from pathlib import Path

from benchmarks.result import Result
from tests.tui.support import point, press, running, until
from tests.tui.test_tour import TOUR, Worst, measured
from vmtui.backends.demo import DemoBackend

RUNS = 3
LIMIT_S = 0.05


def run(runs: int = RUNS) -> list[Result]:
    """The best of several tours of each fleet: other programs only ever add to it."""
    results = []
    with tempfile.TemporaryDirectory(prefix="vmtui-bench-") as folder:
        os.environ["XDG_CONFIG_HOME"] = str(Path(folder))
        for uri in ("demo:", "demo:?vms=1000"):
            worsts = [asyncio.run(_tour(uri)) for _ in range(runs)]
            best = min(worsts, key=lambda worst: worst.cpu_s)
            print(f"tour of {uri}: {1000 * best.cpu_s:.0f} ms at worst ({best.what})")
            results.append(Result(f"tour of {uri} / 50 ms", best.cpu_s / LIMIT_S, 1.0))
    return results


async def _tour(uri: str) -> Worst:
    worst, now = Worst(), [""]
    async with running(DemoBackend(uri), size=(120, 40)) as (app, pilot):
        await point(pilot, app, "web-01")
        with measured(worst, now):
            for keys in TOUR:
                now[0] = " ".join(keys)
                await press(pilot, *keys)
                await until(pilot, lambda: app.screen is app.dashboard)
    return worst
