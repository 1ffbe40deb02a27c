"""Automatic balance of real guests: an idle one gives, a busy one gets, and nobody is killed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from tests.truth.changing import changed
from tests.truth.rigs import Rig
from tests.truth.shell import GuestShell
from tests.truth.watched import Watched, counters
from vmtui.balance.balancer import Balancer
from vmtui.balance.moves import Move
from vmtui.balance.rules import Rules
from vmtui.hardware.changes import Assign
from vmtui.units import GIB, MIB
from vmtui.views import VMView

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("talkative")]

CEILING_BYTES = 320 * MIB
LITTLE_BYTES = 192 * MIB
EATEN_MIB = 96
"""More than there is within `LITTLE_BYTES`."""

TALKS_AGAIN = 30.0
"""Periods. How late emulated guests are with their figures is up to what runs beside them."""

GENTLY = 0.05
"""Of the ceiling: a step is less than what a guest keeps that eats while it is taken."""

ENOUGH = Rules(
    interval_s=0.5,
    goal_least_bytes=GIB // 4,
    goal_ratio=0.0,
    pressure_percent=101.0,
    step_ratio=1.0,
    patience_s=60.0,
    stale_periods=TALKS_AGAIN,
)

MISSING_BYTES = 2 * GIB
"""As if the host, were it all free, lacked so much: what idles is taken, and what is pressed is
given to at once."""

SLOW_S = 120.0
"""Emulated guests beside others take their time."""

LEFT_KIB = 40 * 1024
"""Less than what makes it pressed, and more than a bite and a step that is under way."""

EAT = f"""
for i in $(seq {EATEN_MIB // 8}); do
 until [ $(awk '/MemAvailable/ {{ print $2 }}' /proc/meminfo) -gt {LEFT_KIB} ]; do sleep 0.1; done;
 dd if=/dev/zero of=/tmp/eaten.$i bs=1M count=8 2>/dev/null;
done
""".replace("\n", " ")
"""In steps that there is room for: without more memory it never ends."""


async def test_memory_moves_to_who_needs_it_and_comes_back(rig: Rig, tmp_path: Path) -> None:
    vms = [await rig.started(memory_bytes=CEILING_BYTES) for _ in range(2)]
    for vm in vms:
        await changed(rig.backend, vm, Assign("balance", True))
    async with (
        GuestShell.of(rig.backend, vms[0]) as busy_shell,
        GuestShell.of(rig.backend, vms[1]) as idle_shell,
        Watched.over(rig, *vms) as [busy, idle],
    ):
        async with balanced(busy, short(), tmp_path) as balancer:
            for one in (busy, idle):
                await one.until(lambda row: actual_bytes(row) <= LITTLE_BYTES, SLOW_S)
            await busy.until(lambda _: Move.TAKE in moves(balancer), SLOW_S)
        async with balanced(busy, replace(short(), step_ratio=GENTLY), tmp_path) as balancer:
            await busy_shell.run(EAT)
            await busy.until(lambda row: actual_bytes(row) > LITTLE_BYTES, SLOW_S)
            assert actual_bytes(idle.last) <= LITTLE_BYTES
            await busy.until(lambda _: Move.GIVE in moves(balancer), SLOW_S)
            await busy_shell.run("rm /tmp/eaten.*")
        async with balanced(busy, ENOUGH, tmp_path):
            for one in (busy, idle):
                await one.until(lambda row: actual_bytes(row) == CEILING_BYTES, SLOW_S)
        for shell in (busy_shell, idle_shell):
            assert await shell.run("dmesg | grep -ciE 'oom-kill|out of memory' || true") == "0"
    log = (tmp_path / "balance.log").read_text("utf-8").splitlines()
    assert len(log) > len(vms)
    assert all(", because " in line for line in log)


def short() -> Rules:
    """For this host, whatever else begins and ends on it meanwhile."""
    return Rules(
        interval_s=0.5,
        goal_least_bytes=psutil.virtual_memory().total + MISSING_BYTES,
        goal_most_ratio=2.0,
        step_ratio=0.5,
        patience_s=60.0,
        stale_periods=TALKS_AGAIN,
    )


def moves(balancer: Balancer) -> set[Move]:
    """Those of rounds that have ended: a guest may have done what it was asked for before."""
    return {entry.decision.move for entry in balancer.recent}


@asynccontextmanager
async def balanced(watched: Watched, rules: Rules, folder: Path) -> AsyncIterator[Balancer]:
    """Balance runs while inside."""
    balancer = Balancer(watched.fleet, rules=rules, path=folder / "balance.log")
    running = asyncio.create_task(balancer.run())
    try:
        yield balancer
    except TimeoutError as error:
        error.add_note((folder / "balance.log").read_text("utf-8"))
        raise
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def actual_bytes(row: VMView) -> int:
    """What it has now; as long as that is not known, all of it."""
    memory = counters(row).memory if row.counters else None
    return CEILING_BYTES if memory is None else memory.actual_bytes or CEILING_BYTES
