"""The terminal on a coloured boot log: against a floor, and against the bare engine."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable

from avt._avt import Vt

from benchmarks.result import Result
from vmtui.terminal.emulator import Emulator

LOG_BYTES = 4_000_000
READ_BYTES = 16_384
RUNS = 15
FLOOR_BYTES_S = 20e6
COLUMNS, ROWS = 80, 24

_UNITS = (
    "Network Manager", "Load Kernel Modules", "Create Volatile Files and Directories",
    "D-Bus System Message Bus", "OpenBSD Secure Shell server", "Getty on tty1",
)  # fmt: skip
_DEVICES = (
    "pci 0000:00:1f.2: reg 0x20: [io  0xc0c0-0xc0df]", "usb 1-1: new high-speed USB device",
    "virtio_net virtio0 enp1s0: renamed from eth0", "ext4 filesystem mounted, quota mode: none",
    "Memory: 487912K/523764K available (14339K kernel code)",
)  # fmt: skip


def boot_log(size_bytes: int = LOG_BYTES) -> bytes:
    """Kernel messages as `dmesg --color` prints them, and systemd's; always the same."""
    chosen = random.Random(4)
    lines: list[str] = []
    length = 0
    while length < size_bytes:
        if chosen.random() < 0.5:
            unit = chosen.choice(_UNITS)
            line = f"[\x1b[0;32m  OK  \x1b[0m] Started \x1b[0;1;39m{unit}\x1b[0m.\r\n"
            if chosen.random() < 0.1:
                line = f"[\x1b[0;1;31mFAILED\x1b[0m] Failed to start {unit}.\r\n"
        else:
            subject, _, message = chosen.choice(_DEVICES).partition(": ")
            clock_s = chosen.random() * 100
            line = f"\x1b[32m[{clock_s:12.6f}] \x1b[0m\x1b[33m{subject}\x1b[0m: {message}\r\n"
        lines.append(line)
        length += len(line)
    return "".join(lines).encode()


def run(runs: int = RUNS) -> list[Result]:
    """Each time both, one right after the other, as the machine has its moods; medians."""
    log = boot_log()
    reads = [log[start : start + READ_BYTES] for start in range(0, len(log), READ_BYTES)]
    pairs = [(_took_s(lambda: _ours(reads)), _took_s(lambda: _bare(reads))) for _ in range(runs)]
    ours_s, bare_s = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = statistics.median(ours / bare for ours, bare in pairs)
    ours_mb_s, bare_mb_s = (len(log) / took_s / 1e6 for took_s in (ours_s, bare_s))
    print(f"terminal: {ours_mb_s:.1f} MB/s; avt alone {bare_mb_s:.1f} MB/s")
    return [
        Result("20 MB/s / terminal", FLOOR_BYTES_S * ours_s / len(log), 1.0),
        Result("terminal / bare engine", ratio, 1.5),
    ]


def _took_s(work: Callable[[], None]) -> float:
    started_s = time.process_time()
    work()
    return time.process_time() - started_s


def _bare(reads: list[bytes]) -> None:
    vt = Vt(COLUMNS, ROWS, 0)
    for read in reads:
        vt.feed_str(read.decode())


def _ours(reads: list[bytes]) -> None:
    terminal = Emulator(COLUMNS, ROWS)
    for read in reads:
        terminal.feed(read)
