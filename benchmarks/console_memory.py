"""Resident memory of vmtui with 50 consoles open, the scrollback of each full of coloured log."""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import psutil

from benchmarks.result import Result
from vmtui.backends.base import Endpoint, Feature
from vmtui.backends.demo import DemoBackend
from vmtui.backends.ways_in import Console, Ending
from vmtui.fleet import Fleet
from vmtui.model import VM, State, VMId
from vmtui.terminal.emulator import SCROLLBACK_LINES
from vmtui.views import VMRef

CONSOLES = 50
BAR_BYTES = 250_000_000
COLUMNS, ROWS = 120, 40
READ_LINES = 500

_WORDS = [
    "systemd",
    "kernel",
    "mounted",
    "Reached",
    "target",
    "network",
    "device",
    "eth0",
    "link",
    "up",
    "ext4",
    "started",
    "usb",
]


class Logging:
    """A console that prints more lines than are kept, and then waits."""

    history_bytes = 0
    ending = Ending.DETACHED
    ended_because = ""

    def __init__(self, seed: int) -> None:
        self._pieces = _pieces(seed)

    async def read(self) -> bytes:
        piece = next(self._pieces, b"")
        if not piece:
            await asyncio.Event().wait()
        return piece

    async def write(self, data: bytes) -> None:
        pass

    async def close(self) -> None:
        pass


def _pieces(seed: int) -> Iterator[bytes]:
    """No two lines are alike, as in a real log."""
    randomly = random.Random(seed)
    for start in range(0, SCROLLBACK_LINES + 2 * ROWS, READ_LINES):
        yield "".join(
            f"[{start + n:5}.{randomly.randrange(10**6):06}] \x1b[1;32m  OK  \x1b[0m "
            + " ".join(randomly.choices(_WORDS, k=randomly.randrange(3, 11)))
            + f" \x1b[33m{randomly.randrange(10**9):x}\x1b[0m\r\n"
            for n in range(READ_LINES)
        ).encode()


class Loggers(DemoBackend):
    """Running VMs, each with such a console."""

    features = DemoBackend.features | Feature.CONSOLE

    async def vms(self) -> list[VM]:
        return [
            replace(vm, state=State.RUNNING, consoles=("serial0",)) for vm in await super().vms()
        ]

    async def console(self, vm: VMId, *_: object, **__: object) -> Console:  # type: ignore[override]
        return Logging(hash(vm))


async def measure() -> None:
    """Print what it came to, as JSON."""
    import vmtui.app  # noqa: F401, PLC0415 (the interface is part of the memory)
    from vmtui.consoles import ConsoleKey, OpenConsoles  # noqa: PLC0415

    backend = Loggers(f"demo:?vms={CONSOLES}")
    fleet = Fleet([Endpoint(backend, "demo")])
    await fleet.connect()
    process = psutil.Process()
    before_bytes = process.memory_info().rss
    consoles = OpenConsoles(fleet)
    refs = [VMRef(backend.uri, vm.id) for vm in fleet.connections[0].vms][:CONSOLES]
    for ref in refs:
        consoles.open(ConsoleKey(ref)).resize(COLUMNS, ROWS)
    while any(c.terminal.scrollback_count < SCROLLBACK_LINES for c in consoles.all):
        await asyncio.sleep(0.1)
    report = {
        "consoles": len(consoles.all),
        "before": before_bytes,
        "after": process.memory_info().rss,
    }
    await consoles.close_all()
    await fleet.close()
    print(json.dumps(report))


def run() -> list[Result]:
    """In a process of its own."""
    command = [sys.executable, "-m", "benchmarks.console_memory"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    report = json.loads(done.stdout)
    if report["consoles"] != CONSOLES:
        raise RuntimeError(f"only {report['consoles']} consoles were open")
    print(f"without a console: {report['before'] / 1e6:.0f} MB resident")
    print(f"with {CONSOLES}: {report['after'] / 1e6:.0f} MB")
    return [Result("memory with 50 consoles / 250 MB", report["after"] / BAR_BYTES, 1.0)]


if __name__ == "__main__":
    asyncio.run(measure())
