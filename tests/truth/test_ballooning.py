"""Memory taken and given back: what was asked for, what the VM has and what its guest counts."""

from __future__ import annotations

from functools import partial

import pytest

from tests.truth.rigs import Rig
from tests.truth.shell import GuestShell
from tests.truth.test_memory import meminfo_bytes
from tests.truth.watched import Watched, counters
from vmtui import ballooning
from vmtui.ballooning import Compliance, Complied
from vmtui.figures import BY_ID
from vmtui.fleet import Fleet
from vmtui.model import State
from vmtui.units import MIB
from vmtui.views import VMRef, VMView

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("talkative")]

CLOSE = 0.02
CEILING_BYTES, LESS_BYTES = 384 * MIB, 192 * MIB


async def test_target_actual_and_the_guests_own_total_agree(rig: Rig) -> None:
    vm = await rig.started(memory_bytes=CEILING_BYTES)
    async with GuestShell.of(rig.backend, vm) as shell, Watched.over(rig, vm) as [watched]:
        fleet, ref = watched.fleet, (await watched.state(State.RUNNING)).ref
        whole_bytes, _ = await meminfo_bytes(shell)
        for target in (LESS_BYTES, CEILING_BYTES):
            came = await asked(fleet, ref, target)
            assert came.compliance is Compliance.REACHED, came
            assert came.actual_bytes == pytest.approx(target, rel=CLOSE)
            # What the kernel keeps for itself at its start stays its own.
            total_bytes, _ = await meminfo_bytes(shell)
            assert whole_bytes - total_bytes == pytest.approx(
                CEILING_BYTES - target, abs=CLOSE * CEILING_BYTES
            )
            await watched.until(partial(all_agree, target, total_bytes))

        await shell.run("rmmod virtio_balloon")
        came = await asked(fleet, ref, LESS_BYTES)
        assert came.compliance in (Compliance.NO_DRIVER, Compliance.STILL)
        assert came.actual_bytes == pytest.approx(CEILING_BYTES, rel=CLOSE)
        assert "384 MiB: asked for 192 MiB" in came.told("it")
        assert (await meminfo_bytes(shell))[0] == whole_bytes

        # The request stands until somebody can follow it.
        await shell.run("modprobe virtio_balloon")
        came = await ballooning.follow(fleet, ref, LESS_BYTES)
        assert came.compliance is Compliance.REACHED, came


async def asked(fleet: Fleet, ref: VMRef, target_bytes: int) -> Complied:
    """As `vmtui balloon NAME SIZE --wait`."""
    await ballooning.ask(fleet, ref, target_bytes)
    return await ballooning.follow(fleet, ref, target_bytes)


def all_agree(target_bytes: int, total_bytes: int, row: VMView) -> bool:
    """Whether users see all three, each from who knows it."""
    memory = counters(row).memory if row.counters else None
    return (
        memory is not None
        and memory.target_bytes == target_bytes
        and memory.actual_bytes == pytest.approx(target_bytes, rel=CLOSE)
        and BY_ID["guest_total"].of(row) == pytest.approx(total_bytes, rel=CLOSE)
    )
