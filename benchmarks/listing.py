"""`vmtui list` against its allowance of 0.3 s, on a store of VMs that are off."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.result import Result

RUNS = 9
VMS = 40
ALLOWED_S = 0.3


def run(runs: int = RUNS) -> Result:
    """Median of the whole command, the start of Python included."""
    with tempfile.TemporaryDirectory(prefix="vmtui-bench-") as folder:
        environment = {
            **os.environ,
            "XDG_DATA_HOME": folder,
            "XDG_CONFIG_HOME": folder,
            "XDG_RUNTIME_DIR": folder,
        }
        _fill(Path(folder) / "vmtui" / "vms")
        times_s = []
        for _ in range(runs):
            started_s = time.perf_counter()
            subprocess.run(
                [sys.executable, "-m", "vmtui", "-c", "kvm:", "list"],
                env=environment,
                check=True,
                stdout=subprocess.DEVNULL,
            )
            times_s.append(time.perf_counter() - started_s)
    median_s = statistics.median(times_s)
    print(f"vmtui list of {VMS} VMs: median {median_s:.3f} s of {runs}")
    return Result(f"list / {ALLOWED_S} s", median_s / ALLOWED_S, 1.0)


def _fill(store: Path) -> None:
    for index in range(VMS):
        folder = store / f"vm-{index:03}"
        folder.mkdir(parents=True)
        (folder / "vm.toml").write_text(
            f'version = 1\nuuid = "00000000-0000-4000-8000-{index:012}"\n'
            'vcpus = 1\nmemory = "256M"\nboot = "micro"\n'
        )
