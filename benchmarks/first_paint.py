"""From the start of `vmtui --demo` to its first row, beyond what importing Textual takes."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time

from benchmarks.on_pty import OnPty
from benchmarks.result import Result

RUNS = 9
ALLOWED_S = 0.6
LIMIT_S = 60.0
A_ROW = b"ci-runner"  # the first VM by name


def run(runs: int = RUNS) -> list[Result]:
    """Alternate both, so that neither gets the quieter machine; medians."""
    painted, imported = [], []
    with tempfile.TemporaryDirectory(prefix="vmtui-bench-") as folder:
        environment = {
            **os.environ,
            **dict.fromkeys(("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR"), folder),
        }
        for _ in range(runs):
            painted.append(_first_row_s(environment))
            imported.append(_import_s(environment))
    paint_s, import_s = statistics.median(painted), statistics.median(imported)
    print(f"first paint: median {paint_s:.3f} s of {runs}; importing Textual {import_s:.3f} s")
    return [
        Result(f"first paint less import / {ALLOWED_S} s", (paint_s - import_s) / ALLOWED_S, 1.0)
    ]


def _first_row_s(environment: dict[str, str]) -> float:
    with OnPty([sys.executable, "-m", "vmtui", "--demo"], environment) as program:
        while A_ROW not in program.output:
            if not program.read(LIMIT_S):
                raise RuntimeError(f"no row within {LIMIT_S} s: {program.output[-2000:]!r}")
        return time.perf_counter() - program.started_s


def _import_s(environment: dict[str, str]) -> float:
    started_s = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import textual.app"], env=environment, check=True)
    return time.perf_counter() - started_s
