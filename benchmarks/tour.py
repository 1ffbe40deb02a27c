"""The longest hold-up of the event loop in a tour of every screen, against a limit of 50 ms."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Callable, Coroutine
from typing import Any

from benchmarks.libvirt_sampling import daemon
from benchmarks.result import Result
from tests.truth.rigs import Rig, direct, over_libvirt
from tests.tui.support import point, press, running, until
from tests.tui.test_tour import TOUR, Worst, measured
from vmtui.backends.base import Backend
from vmtui.backends.demo import DemoBackend
from vmtui.images import micro

RUNS = 3
LIMIT_S = 0.05


def run(runs: int = RUNS) -> list[Result]:
    """The best of several tours of each backend: other programs only ever add to it."""
    with tempfile.TemporaryDirectory(prefix="vmtui-bench-") as folder:
        os.environ |= {"XDG_CONFIG_HOME": folder, "VMTUI_ACCEL": "tcg"}
        return [
            _result(where, [asyncio.run(tour()) for _ in range(runs)])
            for where, tour in TOURS.items()
        ]


def _result(where: str, worsts: list[Worst]) -> Result:
    best = min(worsts, key=lambda worst: worst.cpu_s)
    print(f"tour of {where}: {1000 * best.cpu_s:.0f} ms at worst ({best.what})")
    return Result(f"tour of {where} / 50 ms", best.cpu_s / LIMIT_S, 1.0)


async def _tour(backend: Backend, name: str = "web-01") -> Worst:
    worst, now = Worst(), [""]
    async with running(backend, size=(120, 40)) as (app, pilot):
        await point(pilot, app, name)
        with measured(worst, now):
            for keys in TOUR:
                now[0] = " ".join(keys)
                await press(pilot, *keys)
                await until(pilot, lambda: app.screen is app.dashboard)
    return worst


async def _with_a_guest(rig: Rig) -> Worst:
    await micro.ensure()
    vm = await rig.started()
    return await _tour(rig.connect(), (await rig.backend.vm(vm)).name)


async def _directly() -> Worst:
    async with direct() as rig:
        return await _with_a_guest(rig)


async def _over_libvirt() -> Worst:
    with daemon() as private:
        async with over_libvirt(private) as rig:
            return await _with_a_guest(rig)


TOURS: dict[str, Callable[[], Coroutine[Any, Any, Worst]]] = {
    "demo:": lambda: _tour(DemoBackend()),
    "demo:?vms=1000": lambda: _tour(DemoBackend("demo:?vms=1000")),
    "kvm:": _directly,
    "qemu:///session": _over_libvirt,
}
