"""The interface with two consoles side by side, one of them flooded: stalls, redraws, keys."""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.on_pty import OnPty
from benchmarks.result import Result
from tests.truth.desk import Desk
from tests.truth.rigs import Rig
from vmtui.backends.base import no_progress
from vmtui.backends.kvm.backend import KvmBackend
from vmtui.cli import FRAMES
from vmtui.images import micro
from vmtui.model import Power, VMId
from vmtui.spec import VMSpec
from vmtui.units import MIB

QUIET, LOUD = "a-quiet", "b-loud"
KEYS = 300
ERASE = b"\x15"
KEY_INTERVAL_S = 0.1
KEY_LIMIT_S = 10.0
WATCHED_S = 10.0
SETTLED_S = 5.0
STALL_BAR_S = 0.016
ECHO_BAR_S = 0.05
REDRAWS_BAR = 30.0
FLOOD = "stty -opost; while :; do cat /tmp/a; done"
LINES = "seq 100000 | sed 's/$/\\r/' >/tmp/a"


def run() -> list[Result]:
    """Two real guests on the direct backend, in the interface on a terminal of 160x50."""
    os.environ["VMTUI_ACCEL"] = "tcg"
    with _home() as home:
        asyncio.run(_prepared())
        try:
            return _watched(home)
        finally:
            asyncio.run(_removed())


@contextmanager
def _home() -> Iterator[Path]:
    names = ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR", "XDG_STATE_HOME")
    before = {name: os.environ.get(name) for name in names}
    with tempfile.TemporaryDirectory(prefix="vmtui-") as folder:
        os.environ.update(dict.fromkeys(names, folder))
        try:
            yield Path(folder)
        finally:
            for name, value in before.items():
                os.environ.pop(name)
                if value is not None:
                    os.environ[name] = value


async def _prepared() -> None:
    """Both run and are logged in; one prints for ever, the other echoes."""
    await micro.ensure()
    rig = Rig(KvmBackend, lambda _: 0)
    await rig.backend.open()
    try:
        quiet, loud = [await _started(rig, name) for name in (QUIET, LOUD)]
        async with Desk.over(rig) as desk:
            for vm in (quiet, loud):
                await desk.shows(desk.open(vm), "login: *$")
                await desk.log_in(desk.open(vm))
            desk.open(quiet).type(b"clear; cat >/dev/null\r")
            await desk.run(desk.open(loud), f"{LINES}; echo made", "made")
            desk.open(loud).type(FLOOD.encode() + b"\r")
            await desk.shows(desk.open(loud), r"^\d{3,}$")
    finally:
        await rig.backend.close()


async def _started(rig: Rig, name: str) -> VMId:
    vm = await rig.backend.create(VMSpec(name, memory_bytes=160 * MIB), no_progress)
    assert isinstance(rig.backend, KvmBackend)
    if name == LOUD:
        # A virtio console is the only one that a guest without KVM can flood.
        path = Path(os.environ["XDG_DATA_HOME"]) / "vmtui" / "vms" / name / "vm.toml"
        text = 'console = ["virtio"]\n' + path.read_text("utf-8")
        path.write_text(text, "utf-8")
    await rig.backend.power(vm, Power.START)
    return vm


async def _removed() -> None:
    backend = KvmBackend()
    await backend.open()
    try:
        for vm in await backend.vms():
            await backend.delete(vm.id, await backend.delete_plan(vm.id))
    finally:
        await backend.close()


def _watched(home: Path) -> list[Result]:
    report = home / "report.json"
    argv = [sys.executable, "-m", "benchmarks.observed_console", str(report)]
    with OnPty(argv, {**os.environ, **FRAMES}) as program:
        _until(program, QUIET.encode())
        program.write(b"*")
        program.drain(1.0)
        program.write(b"w")
        program.drain(SETTLED_S)
        program.drain(WATCHED_S)
        echoes_s = [_key_to_echo_s(program) for _ in range(KEYS)]
    observed = json.loads(report.read_text())
    stall_p99_s, frames = observed["stall_p99_s"], observed["frames_per_s"]
    echo_p99_s = statistics.quantiles(echoes_s, n=100)[98]
    print(f"redraws: {frames:.1f} a second; loop late: p99 {1000 * stall_p99_s:.1f} ms")
    print(
        f"key to echo on the other console: median {1000 * statistics.median(echoes_s):.0f} ms, "
        f"p99 {1000 * echo_p99_s:.0f} ms"
    )
    return [
        Result("flooded screen, stall p99 / 16 ms", stall_p99_s / STALL_BAR_S, 1.0),
        Result("flooded screen, echo p99 / 50 ms", echo_p99_s / ECHO_BAR_S, 1.0),
        Result("flooded screen, redraws / 30 a second", frames / REDRAWS_BAR, 1.1),
    ]


def _until(program: OnPty, word: bytes) -> None:
    while word not in program.output:
        if not program.read(KEY_LIMIT_S):
            raise RuntimeError(f"{word!r} was not drawn")


def _key_to_echo_s(program: OnPty) -> float:
    """From a key to its character on the screen; the flood is of digits."""
    program.write(ERASE)  # what was typed before would be found again where its line is redrawn
    program.drain(KEY_INTERVAL_S)
    pressed_s = time.perf_counter()
    program.write(b"Q")
    while b"Q" not in program.output:
        if not program.read(KEY_LIMIT_S):
            raise RuntimeError("a key was not answered")
    return time.perf_counter() - pressed_s
