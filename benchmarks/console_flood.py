"""One console floods vmtui: how late the event loop is then, and when a key elsewhere echoes."""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from benchmarks.result import Result
from tests.truth.desk import Desk
from tests.truth.rigs import Rig, direct
from vmtui.backends.ways_in import Console, Consoles
from vmtui.consoles import OpenConsole
from vmtui.images import micro
from vmtui.model import Power, VMId

KEYS = 500
BETWEEN_KEYS_S = 0.03
BEAT_S = 0.005
STALL_BAR_MS = 16
ECHO_BAR_MS = 50
LINES = "seq 100000 | sed 's/$/\\r/' >/tmp/a"
FLOOD = "stty -opost; while :; do cat /tmp/a; done"
"""Raw: with the terminal's own line ends the guest is too slow to be a flood."""


def run() -> list[Result]:
    """Two guests on the direct backend: one floods its virtio console, keys go to the other."""
    os.environ["VMTUI_ACCEL"] = "tcg"
    return asyncio.run(_measured())


async def _measured() -> list[Result]:
    await micro.ensure()
    async with direct() as rig, Desk.over(rig) as desk:
        loud = desk.open(await _started(rig, "virtio"))
        quiet_vm = await _started(rig, "serial")
        quiet = desk.open(quiet_vm)
        for console in (loud, quiet):
            await desk.shows(console, "login: *$")
            await desk.log_in(console)
        quiet.type(b"cat >/dev/null\r")
        await desk.run(loud, f"{LINES}; echo made", "made")
        async with _beating() as jitter_s:
            still_s = await _echoes_s(desk, quiet)
        loud.seen()
        loud.type(FLOOD.encode() + b"\r")
        await desk.until(lambda: loud.unseen_bytes > 1_000_000)
        began_s, before = time.monotonic(), loud.unseen_bytes
        async with _beating() as stalls_s:
            flooded_s = await _echoes_s(desk, quiet)
        rate = (loud.unseen_bytes - before) / (time.monotonic() - began_s) / 1e6
        await desk.consoles.close(quiet.key)
        bare_s = await _bare_echoes_s(rig, quiet_vm)
    print(f"the flood: {rate:.1f} MB/s")
    print(f"loop late: p99 {_p99_ms(jitter_s):.1f} ms at rest, {_p99_ms(stalls_s):.1f} ms flooded")
    print(
        f"echo: p99 {_p99_ms(still_s):.1f} ms at rest, {_p99_ms(flooded_s):.1f} ms flooded, "
        f"{_p99_ms(bare_s):.1f} ms on the bare socket while flooded"
    )
    return [
        Result("loop stall p99 in a flood / 16 ms", _p99_ms(stalls_s) / STALL_BAR_MS, 1.0),
        Result("key to echo p99 in a flood / 50 ms", _p99_ms(flooded_s) / ECHO_BAR_MS, 1.0),
    ]


async def _started(rig: Rig, kind: str) -> VMId:
    vm = await rig.made()
    assert rig.store is not None
    path = rig.store.folder((await rig.backend.vm(vm)).name) / "vm.toml"
    with path.open("r+", encoding="utf-8") as file:
        content = file.read()
        file.seek(0)
        file.write(f'console = ["{kind}"]\n{content}')
    await rig.backend.power(vm, Power.START)
    return vm


@asynccontextmanager
async def _beating() -> AsyncIterator[list[float]]:
    """How late the loop came back each time; without the time in which it had no CPU."""
    late_s: list[float] = []

    async def beat() -> None:
        while True:
            asked_s, waited_s = time.monotonic(), _waited_s()
            await asyncio.sleep(BEAT_S)
            late = time.monotonic() - asked_s - BEAT_S - (_waited_s() - waited_s)
            late_s.append(max(0.0, late))

    heart = asyncio.create_task(beat())
    try:
        yield late_s
    finally:
        heart.cancel()
        await asyncio.gather(heart, return_exceptions=True)


def _waited_s() -> float:
    return int(Path("/proc/thread-self/schedstat").read_text("ascii").split()[1]) / 1e9


async def _echoes_s(desk: Desk, console: OpenConsole) -> list[float]:
    """From `type` to the terminal."""
    taken_s = []
    for _ in range(KEYS):
        console.seen()
        typed_s = time.monotonic()
        console.type(b"x")
        await desk.until(lambda: console.unseen_bytes > 0)
        taken_s.append(time.monotonic() - typed_s)
        await asyncio.sleep(BETWEEN_KEYS_S)
    return taken_s


async def _bare_echoes_s(rig: Rig, vm: VMId) -> list[float]:
    """From the socket and back, with no terminal in between."""
    assert isinstance(rig.backend, Consoles)
    console: Console = await rig.backend.console(vm)
    taken_s = []
    try:
        for _ in range(KEYS):
            typed_s = time.monotonic()
            await console.write(b"x")
            await console.read()
            taken_s.append(time.monotonic() - typed_s)
            await asyncio.sleep(BETWEEN_KEYS_S)
    finally:
        await console.close()
    return taken_s


def _p99_ms(values_s: list[float]) -> float:
    return 1000 * statistics.quantiles(values_s, n=100)[98]


if __name__ == "__main__":
    for result in run():
        print(f"{result.name}: {result.ratio:.2f} (bar {result.bar})")
