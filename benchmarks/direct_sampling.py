"""One full sample of 40 running guests by the direct backend, against libvirt's of as many."""

from __future__ import annotations

import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from benchmarks import libvirt_sampling
from benchmarks.libvirt_sampling import GUESTS, MEMORY_BYTES
from benchmarks.result import Result
from vmtui.backends.base import no_progress
from vmtui.backends.kvm.backend import KvmBackend
from vmtui.backends.kvm.gauge import THOROUGH_INTERVAL_S
from vmtui.backends.kvm.store import Store
from vmtui.counters import Counters, Stalled
from vmtui.images import micro
from vmtui.model import Power, VMId
from vmtui.readiness import wait_for_login
from vmtui.spec import MICRO, VMSpec
from vmtui.units import MIB

RUNS = 15
ROUNDS = 3
"""So many times as often it is tried: a guest that answers late is taken the next time."""
BAR = 0.5
BOOT_LIMIT_S = 300.0


def run(runs: int = RUNS, guests: int = GUESTS) -> list[Result]:
    """First ours, then libvirt's, each with the machine for itself; medians."""
    os.environ["VMTUI_ACCEL"] = "tcg"
    ours_s = asyncio.run(_direct_s(runs, guests))
    with libvirt_sampling.daemon() as private:
        asyncio.run(libvirt_sampling.boot(private, guests))
        libvirts_s = libvirt_sampling.full_sample_s(private, runs)
    print(f"one full sample of {guests} guests: {1000 * ours_s:.1f} ms")
    print(f"the same by libvirt: {1000 * libvirts_s:.1f} ms")
    return [Result("direct sample / libvirt's", ours_s / libvirts_s, BAR)]


async def _direct_s(runs: int, guests: int) -> float:
    with tempfile.TemporaryDirectory(prefix="vmtui-") as folder:
        async with _booted(Store(Path(folder) / "vms", Path(folder) / "run"), guests) as (
            backend,
            vms,
        ):
            listening = asyncio.create_task(_listen(backend))  # keeps a monitor of each open
            times_s: list[float] = []
            missing = ""
            for tried in range(1, 3 + ROUNDS * runs):
                # Slow enough for every sample to hold all there is to ask for.
                await asyncio.sleep(THOROUGH_INTERVAL_S)
                started_s = time.monotonic()
                found = await backend.counters(vms)
                took_s = time.monotonic() - started_s
                missing = _missing(list(found.values()), guests, started_s)
                if not missing:  # the first two find out what there is
                    times_s.append(took_s)
                if len(times_s) == runs:
                    print(f"{runs} whole samples in {tried} rounds")
                    break
            else:
                raise RuntimeError(f"{len(times_s)} of {runs} samples were whole; {missing}")
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
            return statistics.median(times_s)


def _missing(found: Sequence[Counters | Stalled], guests: int, started_s: float) -> str:
    """What a sample lacks that is not whole."""
    samples = [sample for sample in found if isinstance(sample, Counters)]
    whole = {
        "samples": len(samples),
        "CPU": sum(s.cpu is not None and len(s.cpu.vcpus) == 1 for s in samples),
        "disks": sum([disk.at_s >= started_s for disk in s.disks] == [True] for s in samples),
        "guests' memory": sum(s.memory is not None and s.memory.guest is not None for s in samples),
    }
    return ", ".join(f"{what} of {n} in {guests}" for what, n in whole.items() if n != guests)


async def _listen(backend: KvmBackend) -> None:
    async for _ in backend.events():
        pass


@asynccontextmanager
async def _booted(store: Store, guests: int) -> AsyncIterator[tuple[KvmBackend, list[VMId]]]:
    """The same guests as libvirt's, at their prompts."""
    await micro.ensure()
    backend = KvmBackend(store=store)
    await backend.open()
    slots = asyncio.Semaphore(os.cpu_count() or 1)

    async def one(number: int) -> VMId:
        name = f"guest-{number:02}"
        spec = VMSpec(name, boot=MICRO, memory_bytes=MEMORY_BYTES, disk_bytes=8 * MIB)
        async with slots:
            vm = await backend.create(spec, no_progress)
            await backend.power(vm, Power.START)
            await wait_for_login(backend.console_output(vm), name, BOOT_LIMIT_S)
        return vm

    try:
        yield backend, list(await asyncio.gather(*map(one, range(guests))))
    finally:
        for vm in await backend.vms():
            await backend.delete(vm.id, await backend.delete_plan(vm.id))
        await backend.close()
