"""The figures of a host that vmtui does not run on, as far as libvirt tells them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import libvirt

from vmtui.backends.libvirt.listing import attempt
from vmtui.counters import CpuTimes, HostCounters, Measure
from vmtui.units import KIB, MIB

CPUS_COST_S = 0.1
"""CPUs are asked for one by one: where that would take longer, only for all together."""

_REMOTE = "libvirt does not tell it of a remote host"
_UNTOLD = (
    Measure.CPU_DETAIL,
    Measure.LOAD,
    Measure.PRESSURE,
    Measure.HUGE_PAGES,
    Measure.SWAP,
    Measure.KSM,
    Measure.DISKS,
    Measure.NICS,
)


def read(connection: libvirt.virConnect) -> HostCounters:
    """CPU time and memory; None for what the driver does not tell."""
    missing = dict.fromkeys(_UNTOLD, _REMOTE)
    started_s = time.monotonic()
    cpu = _cpu(connection, libvirt.VIR_NODE_CPU_STATS_ALL_CPUS)
    each_s = time.monotonic() - started_s
    if cpu is None:
        missing[Measure.CPU] = _REMOTE
    memory = _memory(connection)
    free, cached = memory.get("free"), memory.get("cached", 0) + memory.get("buffers", 0)
    if free is None:
        missing[Measure.MEMORY] = _REMOTE
    return HostCounters(
        at_s=started_s,
        cpu=cpu,
        cpus=_cpus(connection, each_s) if cpu else (),
        memory_total_bytes=total_bytes(connection, memory),
        memory_available_bytes=None if free is None else free + cached,
        memory_free_bytes=free,
        memory_cached_bytes=None if free is None else cached,
        missing=missing,
    )


def _cpu(connection: libvirt.virConnect, number: int) -> CpuTimes | None:
    spent_ns = _asked(lambda: connection.getCPUStats(number))
    if not spent_ns:
        return None
    return CpuTimes(
        user_s=spent_ns.get("user", 0) / 1e9,
        system_s=spent_ns.get("kernel", 0) / 1e9,
        idle_s=spent_ns.get("idle", 0) / 1e9,
        iowait_s=spent_ns["iowait"] / 1e9 if "iowait" in spent_ns else None,
    )


def _cpus(connection: libvirt.virConnect, each_s: float) -> tuple[CpuTimes, ...]:
    answer: Any = attempt(connection.getCPUMap, None)
    online = [number for number, on in enumerate(answer[1]) if on] if answer else []
    if each_s * len(online) > CPUS_COST_S:
        return ()
    times = [_cpu(connection, number) for number in online]
    return tuple(one for one in times if one is not None)


def _memory(connection: libvirt.virConnect) -> Mapping[str, int]:
    """In bytes."""
    answer = _asked(lambda: connection.getMemoryStats(libvirt.VIR_NODE_MEMORY_STATS_ALL_CELLS))
    return {name: kib * KIB for name, kib in answer.items()}


def total_bytes(
    connection: libvirt.virConnect, memory: Mapping[str, int] | None = None
) -> int | None:
    """How much memory there is; `memory`: the statistics, where they were read already."""
    memory = _memory(connection) if memory is None else memory
    if "total" in memory:
        return memory["total"]
    # On some hosts this is only what is online now; the statistics know the whole.
    info: Any = attempt(connection.getInfo, None)
    return int(info[1]) * MIB if info else None


def _asked(question: Callable[[], Any]) -> dict[str, int]:
    return dict(attempt(question, None) or {})
