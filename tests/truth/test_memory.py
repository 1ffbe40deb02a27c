"""What the guest says of its memory: right while it is fresh, and given up soon once it is not."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import pytest

from tests.truth.rigs import Rig
from tests.truth.shell import GuestShell
from tests.truth.watched import Watched, counters
from vmtui.counters import GuestMemory
from vmtui.figures import BY_ID
from vmtui.model import Power, State
from vmtui.units import KIB, MIB
from vmtui.views import VMView

pytestmark = pytest.mark.slow

CLOSE = 0.02
MEMORY_BYTES = 256 * MIB
ATE_BYTES = 64 * MIB


def guest(row: VMView) -> GuestMemory | None:
    memory = row.counters.memory if row.counters else None
    return memory.guest if memory else None


def renewed_after(unix_s: float) -> Callable[[VMView], bool]:
    """Whether the guest reported after that moment, by a clock of whole seconds."""

    def is_so(row: VMView) -> bool:
        found = guest(row)
        return found is not None and found.updated_at_s > unix_s + 1 and fresh(row)

    return is_so


def fresh(row: VMView) -> bool:
    return bool(row.rates and row.rates.guest and row.rates.guest.fresh)


async def meminfo_bytes(shell: GuestShell) -> tuple[int, int]:
    """MemTotal and MemAvailable."""
    text = await shell.run("cat /proc/meminfo")
    found = dict(re.findall(r"^(\w+): +(\d+) kB", text, re.MULTILINE))
    return int(found["MemTotal"]) * KIB, int(found["MemAvailable"]) * KIB


async def test_guest_memory_is_what_the_guest_says(rig: Rig) -> None:
    vm = await rig.started(memory_bytes=MEMORY_BYTES)
    async with (
        GuestShell.of(rig.backend, vm) as shell,
        Watched.over(rig, vm) as [watched],
    ):
        used, really_used_bytes = [], []
        for command in (":", f"dd if=/dev/zero of=/tmp/eaten bs=1M count={ATE_BYTES // MIB}"):
            await shell.run(f"{command} 2>/dev/null")
            row = await watched.until(renewed_after(time.time()))
            total, available = await meminfo_bytes(shell)
            assert BY_ID["guest_total"].of(row) == pytest.approx(total, rel=CLOSE)
            assert BY_ID["guest_available"].of(row) == pytest.approx(available, rel=CLOSE)
            assert BY_ID["guest_used"].of(row) == pytest.approx(
                total - available, abs=CLOSE * total
            )
            used.append(BY_ID["guest_used"].of(row))
            really_used_bytes.append(total - available)
            memory = counters(row).memory
            assert memory is not None
            assert (memory.maximum_bytes, memory.actual_bytes) == (MEMORY_BYTES, MEMORY_BYTES)
        assert used[0] is not None
        assert used[1] is not None
        # Not just what was eaten: its kernel may let go of a little meanwhile, 6.12 of 8 MB.
        assert used[1] - used[0] == pytest.approx(
            really_used_bytes[1] - really_used_bytes[0], abs=CLOSE * MEMORY_BYTES
        )
        assert used[1] - used[0] > 0.75 * ATE_BYTES


async def test_figures_of_a_silent_guest_are_given_up_within_two_periods(rig: Rig) -> None:
    vm = await rig.started()
    async with (
        GuestShell.of(rig.backend, vm) as shell,
        Watched.over(rig, vm) as [watched],
    ):
        found = guest(await watched.until(fresh))
        assert found is not None
        await rig.backend.power(vm, Power.PAUSE)
        await watched.state(State.PAUSED)
        await are_given_up(watched, found.period_s)
        await rig.backend.power(vm, Power.RESUME)
        await watched.until(fresh)
        await shell.run("rmmod virtio_balloon")
        await are_given_up(watched, found.period_s)


async def are_given_up(watched: Watched, period_s: float) -> None:
    """Of a guest that is silent from now on."""
    silent_s = time.monotonic()
    row = await watched.until(lambda row: not fresh(row))
    late = [row for row in watched.rows if counters_at_s(row) > silent_s + 2 * period_s]
    assert not any(map(fresh, late))
    for name in ("guest_total", "guest_used", "guest_available"):
        assert BY_ID[name].of(row) is None
        assert BY_ID[name].why_absent(row)
    assert watched.figure("memory_actual") == row.vm.memory_bytes


def counters_at_s(row: VMView) -> float:
    return row.counters.at_s if row.counters else 0.0
