"""The wall clock jumps, by hand or by a time server: figures do not, and nothing is thrown away."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from vmtui import boot_time
from vmtui.backends.base import Endpoint, no_progress
from vmtui.backends.demo import DemoBackend
from vmtui.backends.kvm import procfs
from vmtui.backends.kvm.backend import KvmBackend
from vmtui.backends.kvm.store import Store
from vmtui.fleet import Fleet
from vmtui.model import VM, State, VMId
from vmtui.spec import BLANK, VMSpec
from vmtui.units import MIB
from vmtui.views import VMRef, VMView
from vmtui.widgets.clock import Clock
from vmtui.widgets.columns import uptime_s

DAY_S = 86_400.0
YEAR_S = 365 * DAY_S


@dataclass
class WallClock:
    """What `time.time` tells."""

    now_s: float = 1_700_000_000.0


@pytest.fixture
def wall(monkeypatch: pytest.MonkeyPatch) -> Iterator[WallClock]:
    clock = WallClock()
    monkeypatch.setattr(time, "time", lambda: clock.now_s)
    yield clock
    monkeypatch.undo()  # before what ends a test looks at it


async def left_in_the_trash(root: Path) -> int:
    """After the next start of vmtui."""
    backend = KvmBackend(store=Store(root / "vms", root / "run"))
    await backend.open()
    left = len(await backend.trashed())
    await backend.close()
    return left


async def thrown_away(root: Path) -> None:
    backend = KvmBackend(store=Store(root / "vms", root / "run"))
    await backend.open()
    vm = await backend.create(VMSpec("web", BLANK, disk_bytes=MIB), no_progress)
    await backend.delete(vm, replace(await backend.delete_plan(vm), to_trash=True))
    await backend.close()


async def test_a_jump_empties_no_trash(tmp_path: Path, wall: WallClock) -> None:
    await thrown_away(tmp_path)
    for jump_s in (10 * YEAR_S, -10 * YEAR_S, -30 * YEAR_S, 30 * YEAR_S, 40 * DAY_S, -40 * DAY_S):
        wall.now_s += jump_s
        assert await left_in_the_trash(tmp_path) == 1
    wall.now_s += 29 * DAY_S
    assert await left_in_the_trash(tmp_path) == 1
    wall.now_s += 2 * DAY_S
    assert await left_in_the_trash(tmp_path) == 1, "it is noticed that its time is up"
    wall.now_s += 1 * DAY_S
    assert await left_in_the_trash(tmp_path) == 0


async def figures(wall: WallClock, jumps_s: list[float]) -> list[VMView]:
    """Of a fleet that is sampled once a second, while the wall clock jumps."""
    now_s = 1000.0
    fleet = Fleet([Endpoint(DemoBackend("demo:?vms=4", clock=lambda: now_s), "demo")])
    await fleet.connect()
    for jump_s in jumps_s:
        now_s += 1
        wall.now_s += 1 + jump_s
        await fleet.connections[0].sample()
    view = fleet.view()
    await fleet.close()
    return list(view.connections[0].vms)


async def test_rates_are_those_of_a_clock_that_never_jumps(wall: WallClock) -> None:
    steady = await figures(wall, [0.0] * 6)
    jumping = await figures(wall, [0.0, YEAR_S, -2 * YEAR_S, 0.5, YEAR_S, -7 * DAY_S])
    assert any(row.rates for row in steady)
    for row, other in zip(steady, jumping, strict=True):
        assert (row.rates is None) == (other.rates is None)
        if row.rates and other.rates:
            assert row.rates.cpu == other.rates.cpu
            assert row.rates.disks == other.rates.disks


def test_nothing_has_run_for_less_than_no_time(wall: WallClock) -> None:
    vm = VM(VMId("1"), "web", State.RUNNING, 1, MIB, started_at_s=wall.now_s + YEAR_S)
    assert uptime_s(VMView(VMRef("kvm:", vm.id), vm), Clock(lambda: wall.now_s)) == 0.0


@pytest.mark.parametrize("jump_s", [YEAR_S, -YEAR_S])
def test_uptimes_are_those_of_a_clock_that_never_jumps(
    wall: WallClock, monkeypatch: pytest.MonkeyPatch, jump_s: float
) -> None:
    def uptime_of_this_process_s() -> float:
        started_at_s = procfs.started_at_s(os.getpid())
        vm = VM(VMId("1"), "web", State.RUNNING, 1, MIB, started_at_s=started_at_s)
        uptime = uptime_s(VMView(VMRef("kvm:", vm.id), vm), Clock())
        assert uptime is not None
        return uptime

    since_boot_s = time.clock_gettime(time.CLOCK_BOOTTIME)
    before_s = uptime_of_this_process_s()
    assert 0 < before_s <= since_boot_s + 1
    wall.now_s += jump_s
    after_s = uptime_of_this_process_s()
    assert before_s <= after_s < before_s + DAY_S
    monkeypatch.setattr(boot_time, "_BEGAN_UNIX_S", wall.now_s - since_boot_s)
    assert after_s <= uptime_of_this_process_s() < before_s + DAY_S, "a vmtui that starts now"
