"""`vmtui create --image micro --start --wait` against the bare QEMU command line that it runs."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec

from benchmarks.result import Result
from vmtui.backends.kvm.process import Record
from vmtui.readiness import LoginPrompt

RUNS = 15
BAR = 1.15
LOOK_INTERVAL_S = 0.002
LIMIT_S = 60.0


def run(runs: int = RUNS) -> Result:
    """Alternate both, so that neither gets the quieter machine; medians."""
    ours, bare = [], []
    for _ in range(runs):
        with tempfile.TemporaryDirectory(prefix="vmtui-bench-") as folder:
            ours_s, argv = _vmtui(Path(folder))
            ours.append(ours_s)
            bare.append(_bare(argv))
    ratio = statistics.median(ours) / statistics.median(bare)
    print(f"time to prompt, vmtui: {_shown(ours)}")
    print(f"time to prompt, bare QEMU: {_shown(bare)}")
    return Result("create --start --wait / bare QEMU", ratio, BAR)


def _shown(times_s: list[float]) -> str:
    return f"median {statistics.median(times_s):.3f} s of " + " ".join(
        f"{time_s:.3f}" for time_s in times_s
    )


def _vmtui(folder: Path) -> tuple[float, list[str]]:
    environment = {
        **os.environ,
        "XDG_DATA_HOME": str(folder / "data"),
        "XDG_CONFIG_HOME": str(folder / "config"),
        "XDG_RUNTIME_DIR": str(folder),
    }

    def vmtui(*arguments: str) -> None:
        subprocess.run(
            [sys.executable, "-m", "vmtui", "-c", "kvm:", *arguments],
            env=environment,
            check=True,
            stdout=subprocess.DEVNULL,
        )

    started_s = time.perf_counter()
    vmtui("create", "bench", "--image", "micro", "--start", "--wait")
    took_s = time.perf_counter() - started_s
    record = msgspec.json.decode(
        (folder / "vmtui" / "bench" / "process.json").read_bytes(), type=Record
    )
    vmtui("delete", "bench", "--yes")
    return took_s, record.argv


def _bare(argv: list[str]) -> float:
    """The same command line, its prompt seen in the same log."""
    log = Path(next(a for a in argv if "logfile=" in a).partition("logfile=")[2])
    shutil.rmtree(log.parent, ignore_errors=True)
    log.parent.mkdir(parents=True)
    prompt = LoginPrompt()
    started_s = time.perf_counter()
    qemu = subprocess.Popen(argv, stdin=subprocess.DEVNULL)
    try:
        while not log.exists():
            _still_runs(qemu, started_s)
        with log.open("rb") as console:
            while not prompt.seen_in(console.read()):
                _still_runs(qemu, started_s)
        return time.perf_counter() - started_s
    finally:
        qemu.kill()
        qemu.wait()


def _still_runs(qemu: subprocess.Popen[bytes], started_s: float) -> None:
    if qemu.poll() is not None or time.perf_counter() - started_s > LIMIT_S:
        raise RuntimeError("QEMU did not get to its prompt")
    time.sleep(LOOK_INTERVAL_S)
