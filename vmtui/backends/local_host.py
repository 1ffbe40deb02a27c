"""The figures of the machine that vmtui runs on, from its kernel."""

from __future__ import annotations

import asyncio
import os
import re
import time
from functools import lru_cache
from pathlib import Path

import psutil

from vmtui import ksm
from vmtui.counters import (
    CpuTimes,
    HostCounters,
    HostDiskCounters,
    HostNicCounters,
    Ksm,
    Measure,
    Pressure,
)
from vmtui.errors import UnsupportedError
from vmtui.whole import whole_in_thread

_PRESSURE = re.compile(r"^(some|full) avg10=([\d.]+)", re.MULTILINE)


def read() -> HostCounters:
    """All of it; takes about half a millisecond."""
    missing: dict[Measure, str] = {}
    memory = psutil.virtual_memory()
    swap = psutil.swap_memory()
    total_bytes, free_bytes = _huge_pages()
    merged = _ksm()
    if merged is None:
        missing[Measure.KSM] = "this kernel has no KSM"
    pressure = {name: _pressure(name) for name in ("cpu", "memory", "io")}
    if pressure["cpu"] is None:
        missing[Measure.PRESSURE] = "this kernel keeps no PSI (boot it with psi=1)"
    return HostCounters(
        at_s=time.monotonic(),
        cpu=_times(psutil.cpu_times()),
        cpus=tuple(_times(times) for times in psutil.cpu_times(percpu=True)),
        load=os.getloadavg(),
        cpu_pressure=pressure["cpu"],
        memory_pressure=pressure["memory"],
        io_pressure=pressure["io"],
        memory_total_bytes=memory.total,
        memory_available_bytes=memory.available,
        memory_free_bytes=memory.free,
        memory_cached_bytes=memory.cached + memory.buffers,
        huge_pages_total_bytes=total_bytes,
        huge_pages_free_bytes=free_bytes,
        swap_total_bytes=swap.total,
        swap_used_bytes=swap.used,
        swap_in_bytes=swap.sin,
        swap_out_bytes=swap.sout,
        ksm=merged,
        disks=_disks(),
        nics=_nics(),
        missing=missing,
    )


async def page_sharing() -> ksm.KsmState:
    """What its kernel tells of KSM. Raises UnsupportedError without it."""
    return await asyncio.to_thread(ksm.read, ksm.ROOT)


async def share_pages(to: ksm.Switch) -> None:
    """Switch it, seen to its end: unmerging goes through all that is shared."""
    await whole_in_thread(ksm.switch, to, ksm.ROOT)


def _times(times: psutil._pslinux.scputimes) -> CpuTimes:
    # The kernel counts a guest's time in user time (proc_stat in the kernel's documentation).
    guest_s = times.guest + times.guest_nice
    return CpuTimes(
        user_s=times.user + times.nice - guest_s,
        system_s=times.system + times.irq + times.softirq,
        idle_s=times.idle,
        iowait_s=times.iowait,
        steal_s=times.steal,
        guest_s=guest_s,
    )


def _pressure(resource: str) -> Pressure | None:
    try:
        text = Path("/proc/pressure", resource).read_text("ascii")
    except OSError:
        return None
    found = {kind: float(value) for kind, value in _PRESSURE.findall(text)}
    return Pressure(found["some"], found.get("full")) if "some" in found else None


def _huge_pages() -> tuple[int | None, int | None]:
    total = free = 0
    try:
        for size in Path("/sys/kernel/mm/hugepages").iterdir():
            size_bytes = int(size.name.removeprefix("hugepages-").removesuffix("kB")) * 1024
            total += size_bytes * int((size / "nr_hugepages").read_text("ascii"))
            free += size_bytes * int((size / "free_hugepages").read_text("ascii"))
    except (OSError, ValueError):
        return None, None
    return total, free


def _ksm() -> Ksm | None:
    try:
        state = ksm.read()
    except UnsupportedError:
        return None
    return Ksm(state.running, state.saved_bytes, state.profit_bytes, _ksmd_cpu_s())


def _ksmd_cpu_s() -> float | None:
    pid = _ksmd()
    if pid is None:
        return None
    try:
        times = psutil.Process(pid).cpu_times()
    except psutil.Error:
        return None
    return times.user + times.system


@lru_cache(maxsize=1)
def _ksmd() -> int | None:
    """The kernel's thread; it stays the same until the next boot. Absent in a container."""
    for process in psutil.process_iter(["name"]):
        if process.name() == "ksmd" and process.ppid() == 2:
            return process.pid
    return None


def _disks() -> tuple[HostDiskCounters, ...]:
    """Devices of hardware only: what lies above them would be counted twice."""
    return tuple(
        HostDiskCounters(
            name,
            disk.read_count,
            disk.read_bytes,
            disk.write_count,
            disk.write_bytes,
            disk.busy_time / 1000,
        )
        for name, disk in sorted(psutil.disk_io_counters(perdisk=True, nowrap=False).items())
        if _is_hardware(name)
    )


@lru_cache(maxsize=256)
def _is_hardware(name: str) -> bool:
    return Path("/sys/block", name, "device").exists()


def _nics() -> tuple[HostNicCounters, ...]:
    """Interfaces to the outside: hardware; without any (in a container) all but the loopback."""
    counted = psutil.net_io_counters(pernic=True, nowrap=False)
    names = [name for name in counted if _is_card(name)] or [n for n in counted if n != "lo"]
    return tuple(
        HostNicCounters(
            name,
            nic.bytes_recv,
            nic.bytes_sent,
            nic.packets_recv,
            nic.packets_sent,
            nic.errin + nic.errout,
            nic.dropin + nic.dropout,
        )
        for name, nic in sorted((name, counted[name]) for name in names)
    )


@lru_cache(maxsize=256)
def _is_card(name: str) -> bool:
    # Bridges, taps and the like would count twice what goes through them.
    return Path("/sys/class/net", name, "device").exists()
