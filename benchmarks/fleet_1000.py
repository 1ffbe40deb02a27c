"""A demo fleet of 1,000 VMs over 10 connections at 1 s, in a real terminal of 160x50.

Smoothness, memory with an hour of history, and how the cost grows with the fleet.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.on_pty import OnPty
from benchmarks.result import Result
from vmtui.cli import FRAMES

RUNS = 3
HOSTS = 10
VMS = 1000
FEW_VMS = 200
KEYS = 120
KEY_INTERVAL_S = 0.13  # not in step with the samples
COLUMN_SETS = (b"2", b"3", b"4", b"5", b"1")
WATCHED_S = 4.0  # each
FILL_LIMIT_S = 300.0
KEY_LIMIT_S = 10.0

STALL_P99_S = 0.016
STALL_MAX_S = 0.05
KEY_P99_S = 0.05
MEMORY_BYTES = 150e6
GROWTH = 2.0
"""The same rows on the screen, five times the VMs: what is not sampling may grow by this."""

_CURSOR_LINE = re.compile(rb"\x1b\[(\d+);1H(?:\x1b\[[\d;]*m)*" + "▸".encode())


@dataclass(frozen=True, slots=True)
class Observed:
    """What one run says of itself, and how long each key took to be seen."""

    report: Mapping[str, float]
    painted_s: list[float]


def run(runs: int = RUNS) -> list[Result]:
    """Medians of several runs; keys of all runs together."""
    many = [_observed(VMS) for _ in range(runs)]
    few = [_observed(FEW_VMS) for _ in range(runs)]
    drawing = [
        statistics.median(one.report["cpu_share"] - one.report["sampling_share"] for one in found)
        for found in (many, few)
    ]
    for name in many[0].report:
        print(
            f"{VMS} VMs, {name}: {_median(many, name):.4g}; of {FEW_VMS}: {_median(few, name):.4g}"
        )
    print(f"CPU share beside sampling: {drawing[0]:.3f} of {VMS}, {drawing[1]:.3f} of {FEW_VMS}")
    painted_s = [took_s for one in many for took_s in one.painted_s]
    key_p99_s = statistics.quantiles(painted_s, n=100)[98]
    print(
        f"key to paint: median {1000 * statistics.median(painted_s):.0f} ms, "
        f"p99 {1000 * key_p99_s:.0f} ms"
    )
    return [
        Result("stall of 1,000 VMs, p99 / 16 ms", _median(many, "stall_p99_s") / STALL_P99_S, 1.0),
        Result("stall of 1,000 VMs, max / 50 ms", _median(many, "stall_max_s") / STALL_MAX_S, 1.0),
        Result("key to paint, p99 / 50 ms", key_p99_s / KEY_P99_S, 1.0),
        Result("memory with an hour / 150 MB", _median(many, "rss_bytes") / MEMORY_BYTES, 1.0),
        Result("drawing 1,000 VMs / 200 VMs", drawing[0] / drawing[1], GROWTH),
    ]


def _median(found: list[Observed], name: str) -> float:
    return statistics.median(one.report[name] for one in found)


def _observed(vms: int) -> Observed:
    with tempfile.TemporaryDirectory(prefix="vmtui-bench-") as folder:
        report = Path(folder) / "report.json"
        environment = {
            **os.environ,
            **FRAMES,
            **dict.fromkeys(("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR"), folder),
        }
        argv = [sys.executable, "-m", "benchmarks.observed", str(report), str(HOSTS), str(vms)]
        painted_s = []
        with OnPty(argv, environment) as program:
            while not _cursor_line(program.output):
                if not program.read(FILL_LIMIT_S):
                    raise RuntimeError("no row was drawn")
            line = _cursor_line(program.output)
            for key in COLUMN_SETS:
                program.drain(WATCHED_S)
                program.write(key)
            for key in [b"j", b"k"] * (KEYS // 2):
                took_s, line = _key_to_paint(program, key, line)
                painted_s.append(took_s)
        return Observed(json.loads(report.read_text()), painted_s)


def _key_to_paint(program: OnPty, key: bytes, line: int) -> tuple[float, int]:
    """From a key to the row that it moved the cursor to, away from `line`; seconds and line."""
    program.drain(KEY_INTERVAL_S)
    pressed_s = time.perf_counter()
    program.write(key)
    while (now := _cursor_line(program.output)) in (0, line):
        if not program.read(KEY_LIMIT_S):
            raise RuntimeError("a key was not answered")
    return time.perf_counter() - pressed_s, now


def _cursor_line(output: bytes) -> int:
    """Where a row with the cursor was drawn last; 0 if none was."""
    drawn = _CURSOR_LINE.findall(output)
    return int(drawn[-1]) if drawn else 0
