"""A 512 MiB balloon step, from the request to the guest's compliance, against raw QMP."""

from __future__ import annotations

import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from qemu.qmp import QMPClient

from benchmarks.result import Result
from vmtui.backends.base import Endpoint, no_progress
from vmtui.backends.kvm.argv import MONITORS
from vmtui.backends.kvm.backend import KvmBackend
from vmtui.backends.kvm.store import Store
from vmtui.ballooning import TOLERANCE_BYTES, Compliance, ask, follow
from vmtui.fleet import Fleet
from vmtui.images import micro
from vmtui.model import Power
from vmtui.readiness import wait_for_login
from vmtui.spec import MICRO, VMSpec
from vmtui.units import MIB
from vmtui.views import VMRef

RUNS = 5
BAR = 1.2
CEILING_BYTES = 1024 * MIB
STEP_BYTES = 512 * MIB
LOOK_S = 0.001
LIMIT_S = 60.0

Step = Callable[[int], Awaitable[None]]


def run(runs: int = RUNS) -> list[Result]:
    """Down and up again, by turns; medians."""
    os.environ["VMTUI_ACCEL"] = "tcg"
    asyncio.run(micro.ensure())
    ours, raw = asyncio.run(_measured(runs))
    print(f"balloon down and up by {STEP_BYTES // MIB} MiB, vmtui: {_shown(ours)}")
    print(f"balloon down and up by {STEP_BYTES // MIB} MiB, raw QMP: {_shown(raw)}")
    ratio = statistics.median(ours) / statistics.median(raw)
    return [Result("balloon step / raw QMP", ratio, BAR)]


def _shown(times_s: list[float]) -> str:
    return f"median {statistics.median(times_s):.3f} s of " + " ".join(
        f"{time_s:.3f}" for time_s in times_s
    )


async def _measured(runs: int) -> tuple[list[float], list[float]]:
    with tempfile.TemporaryDirectory(prefix="vmtui-") as folder:
        store = Store(Path(folder) / "vms", Path(folder) / "run")
        backend = KvmBackend(store=store)
        fleet = Fleet([Endpoint(backend, "kvm")])
        fleet.supervise()  # as the interface does
        try:
            return await _by_turns(fleet, backend, store.runtime("bench"), runs)
        finally:
            for vm in await backend.vms():
                await backend.delete(vm.id, await backend.delete_plan(vm.id))
            await fleet.close()


async def _by_turns(
    fleet: Fleet, backend: KvmBackend, runtime: Path, runs: int
) -> tuple[list[float], list[float]]:
    while not fleet.connections[0].up:
        await asyncio.sleep(LOOK_S)
    spec = VMSpec("bench", boot=MICRO, memory_bytes=CEILING_BYTES)
    ref = VMRef(backend.uri, await backend.create(spec, no_progress))
    await fleet.connection(ref.uri).refresh(ref.id)
    await backend.power(ref.id, Power.START)
    await wait_for_login(backend.console_output(ref.id), "bench", LIMIT_S)
    client = QMPClient("bench")
    # Before the last: that one is shared among short commands, the first is vmtui's for events.
    await client.connect(str(runtime / f"monitor{MONITORS - 2}.sock"))

    async def by_vmtui(target_bytes: int) -> None:
        await ask(fleet, ref, target_bytes)
        came = await follow(fleet, ref, target_bytes)
        if came.compliance is not Compliance.REACHED:
            raise RuntimeError(came.told("bench"))

    async def by_qmp(target_bytes: int) -> None:
        await client.execute("balloon", {"value": target_bytes})
        while True:
            answer = await client.execute("query-balloon")
            if abs(answer["actual"] - target_bytes) <= TOLERANCE_BYTES:  # type: ignore[index]
                return
            await asyncio.sleep(LOOK_S)

    try:
        await _timed(by_qmp)  # the guest's pages are touched for the first time
        ours, raw = [], []
        for _ in range(runs):
            ours.append(await _timed(by_vmtui))
            raw.append(await _timed(by_qmp))
        return ours, raw
    finally:
        await client.disconnect()


async def _timed(step: Step) -> float:
    started_s = time.perf_counter()
    async with asyncio.timeout(LIMIT_S):
        await step(CEILING_BYTES - STEP_BYTES)
        await step(CEILING_BYTES)
    return time.perf_counter() - started_s
