"""What the kernel tells of a QEMU process: CPU, ready time, memory and its taps."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from vmtui import boot_time

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_NS = 1_000_000_000
_START = 19  # proc(5)'s field 22, counted from the third on
_COMMAND_SHOWN = 60


def stat_fields(pid: int, tid: int | None = None) -> list[str]:
    """The fields of /proc/PID/stat, or of a thread's, from the third on; empty if it is gone."""
    task = f"/task/{tid}" if tid is not None else ""
    # proc(5): the second field is the name in parentheses and may hold anything.
    try:
        content = Path(f"/proc/{pid}{task}/stat").read_text("utf-8", "replace")
    except OSError:
        return []
    return content.rpartition(")")[2].split()


def command_of(pid: int) -> str:
    """What the process runs, without the interpreter and the folders; "" if it is gone."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_text("utf-8", "replace").split("\0")[:-1]
    except OSError:
        return ""
    if words and Path(words[0]).name.startswith("python"):
        words = words[2:] if words[1:2] == ["-m"] else words[1:]
    return " ".join([Path(words[0]).name, *words[1:]])[:_COMMAND_SHOWN] if words else ""


@dataclass(frozen=True, slots=True)
class Spent:
    """CPU time of all threads of a process at `at_s`, in steps of a tick.

    `stopped`: by a signal, so that it answers nobody. `start_ticks` tell it from another process
    that gets its pid.
    """

    at_s: float
    user_ns: int
    system_ns: int
    stopped: bool
    start_ticks: int


def spent(pid: int) -> Spent | None:
    """From proc(5)'s fields 3, 14, 15 and 22; None if it is gone."""
    at_s = time.monotonic()
    fields = stat_fields(pid)
    if len(fields) <= _START or fields[0] in ("Z", "X"):
        return None
    user_ns, system_ns = (int(ticks) * _NS // _TICKS_PER_S for ticks in fields[11:13])
    return Spent(at_s, user_ns, system_ns, fields[0] in ("T", "t"), int(fields[_START]))


def start_ticks(pid: int) -> int | None:
    """When a process started, in clock ticks since boot (proc(5), field 22)."""
    fields = stat_fields(pid)
    return int(fields[_START]) if len(fields) > _START else None


def started_at_s(pid: int) -> float | None:
    """When it started, by the clock of `boot_time`; None if it is gone."""
    ticks = start_ticks(pid)
    return None if ticks is None else boot_time.unix_at_s(ticks / _TICKS_PER_S)


def thread_ns(pid: int, tid: int) -> tuple[int, int] | None:
    """Time on a CPU and time spent waiting for one (sched-stats.rst, /proc/PID/schedstat)."""
    try:
        text = Path(f"/proc/{pid}/task/{tid}/schedstat").read_text("ascii")
    except OSError:
        return None
    ran, waited, _ = text.split()
    return int(ran), int(waited)


@dataclass(frozen=True, slots=True)
class Held:
    """The host's memory that a process holds; None where the kernel does not tell."""

    rss_bytes: int | None = None
    swapped_bytes: int | None = None
    merged_bytes: int | None = None


def memory(pid: int) -> Held:
    """VmRSS and VmSwap of its status (kB), and what KSM shares of it."""
    found = {}
    try:
        with Path(f"/proc/{pid}/status").open("rb") as status:
            for line in status:
                if line.startswith((b"VmRSS:", b"VmSwap:")):
                    found[line[:5]] = int(line.split()[1]) * 1024
    except OSError:
        return Held()
    return Held(found.get(b"VmRSS"), found.get(b"VmSwa"), _merged_bytes(pid))


def _merged_bytes(pid: int) -> int | None:
    try:  # since kernel 6.1
        pages = Path(f"/proc/{pid}/ksm_merging_pages").read_text("ascii")
    except OSError:
        return None
    return int(pages) * _PAGE_BYTES


def interfaces(pid: int) -> dict[str, list[int]]:
    """The counters of the interfaces that the process sees: those of its network namespace.

    By name, in the order of proc_net_dev(5): 8 numbers received (bytes, packets, errs, drop,
    fifo, frame, compressed, multicast), then 8 sent.
    """
    try:
        lines = Path(f"/proc/{pid}/net/dev").read_text("utf-8", "replace").splitlines()[2:]
    except OSError:
        return {}
    parted = (line.partition(":") for line in lines)
    return {name.strip(): [int(n) for n in rest.split()] for name, _, rest in parted}


def tap(pid: int, descriptor: str) -> str:
    """The name of the tap that a process has open under that number; "" for none."""
    with suppress(OSError):
        text = Path(f"/proc/{pid}/fdinfo/{descriptor}").read_text("utf-8", "replace")
        found = dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)
        return found.get("iff", "")
    return ""
