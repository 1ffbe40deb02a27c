"""What the demo fleet pretends to do: counters as pure functions of the time that a VM ran."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache

from vmtui.counters import (
    GUEST_PERIOD_S,
    Counters,
    CpuCounters,
    CpuTimes,
    DiskCounters,
    GuestMemory,
    HostCounters,
    HostDiskCounters,
    HostNicCounters,
    MemoryCounters,
    NicCounters,
    Pressure,
    VcpuCounters,
)
from vmtui.model import VM
from vmtui.units import GIB, MIB

_SWING = 0.6
_BLOCK_BYTES = 16384
_PACKET_BYTES = 900


@dataclass(frozen=True, slots=True)
class Load:
    """How busy one VM is, as means over time; `phase` sets it apart from the others."""

    cores: float
    ready: float = 0.004  # share of the time that each vCPU waits
    reads_per_s: float = 4.0
    writes_per_s: float = 12.0
    latency_s: float = 0.0008
    rx_bytes_per_s: float = 40e3
    tx_bytes_per_s: float = 15e3
    balloon_bytes: int = 0
    used: float = 0.4  # share of its memory that the guest uses
    merges: bool = True  # some of its pages are equal to others'
    phase: float = 0.0


def _so_far(mean: float, ran_s: float, phase: float, pace: float) -> float:
    """The integral of mean·(1 + swing·sin(pace·t + phase)): it never decreases."""
    wave = _SWING / pace * (math.cos(phase) - math.cos(pace * ran_s + phase))
    return mean * max(0.0, ran_s + wave)


def vm_counters(
    vm: VM,
    load: Load,
    *,
    ran_s: float,
    at_s: float,
    epoch: str,
    unix_s: float,
    target_bytes: int | None = None,
) -> Counters:
    """The counters of a VM that has run for `ran_s`."""
    capacity = next((d.capacity_bytes for d in vm.disks if d.capacity_bytes), None)
    return Counters(
        at_s=at_s,
        epoch=epoch,
        cpu=_cpu(vm, load, ran_s, at_s),
        memory=replace(_memory(vm, load, ran_s, at_s, unix_s), target_bytes=target_bytes),
        disks=(_disk(load, ran_s, at_s, capacity),) if capacity else (),
        nics=tuple(_nic(load, ran_s, at_s, f"vnet{i}") for i in range(len(vm.nics))),
    )


def _cpu(vm: VM, load: Load, ran_s: float, at_s: float) -> CpuCounters:
    busy_ns = int(_so_far(load.cores, ran_s, load.phase, 0.2) * 1e9)
    ready_ns = int(_so_far(load.ready, ran_s, load.phase, 0.13) * 1e9)
    return CpuCounters(
        at_s,
        time_ns=busy_ns,
        user_ns=busy_ns // 8,
        system_ns=busy_ns - busy_ns // 8,
        halt_poll_ns=busy_ns // 50,
        vcpus=tuple(
            VcpuCounters(i, int(busy_ns * weight), int(ready_ns * weight * vm.vcpus))
            for i, weight in enumerate(_weights(vm.vcpus, load.cores))
        ),
        exits={
            "io": busy_ns // 400_000,
            "mmio": busy_ns // 900_000,
            "halt": busy_ns // 250_000,
            "irq": busy_ns // 600_000,
        },
    )


def _disk(load: Load, ran_s: float, at_s: float, capacity_bytes: int) -> DiskCounters:
    reads = int(_so_far(load.reads_per_s, ran_s, load.phase + 1, 0.31))
    writes = int(_so_far(load.writes_per_s, ran_s, load.phase + 2, 0.27))
    flushes = writes // 5
    return DiskCounters(
        at_s,
        "vda",
        reads=reads,
        read_bytes=reads * _BLOCK_BYTES,
        read_ns=int(reads * load.latency_s * 1e9),
        writes=writes,
        write_bytes=writes * _BLOCK_BYTES,
        write_ns=int(writes * load.latency_s * 1.6e9),
        flushes=flushes,
        flush_ns=int(flushes * load.latency_s * 4e9),
        capacity_bytes=capacity_bytes,
        allocation_bytes=capacity_bytes * 3 // 5,
        physical_bytes=capacity_bytes // 2,
    )


def _nic(load: Load, ran_s: float, at_s: float, name: str) -> NicCounters:
    rx_bytes = int(_so_far(load.rx_bytes_per_s, ran_s, load.phase + 3, 0.17))
    tx_bytes = int(_so_far(load.tx_bytes_per_s, ran_s, load.phase + 4, 0.23))
    return NicCounters(
        at_s,
        name,
        rx_bytes=rx_bytes,
        rx_packets=rx_bytes // _PACKET_BYTES,
        rx_errors=0,
        rx_drops=0,
        tx_bytes=tx_bytes,
        tx_packets=tx_bytes // _PACKET_BYTES,
        tx_errors=0,
        tx_drops=0,
    )


@lru_cache(maxsize=64)
def _weights(vcpus: int, cores: float) -> tuple[float, ...]:
    """The part of each vCPU: the first do more, unless all are busy."""
    even = min(1.0, cores * (1 + _SWING) / vcpus)
    skewed = [3.0 / (3 + i) for i in range(vcpus)]
    return tuple(even / vcpus + (1 - even) * part / sum(skewed) for part in skewed)


def _memory(vm: VM, load: Load, ran_s: float, at_s: float, unix_s: float) -> MemoryCounters:
    actual = vm.memory_bytes - load.balloon_bytes
    total = actual - 48 * MIB
    wanted = vm.memory_bytes * load.used * (1 + 0.1 * math.sin(0.05 * ran_s + load.phase))
    used = int(min(wanted, total * 0.97))
    # The guest renews its figures every few seconds of the time that it runs.
    behind_s = ran_s % GUEST_PERIOD_S
    return MemoryCounters(
        at_s,
        maximum_bytes=vm.memory_bytes,
        actual_bytes=actual,
        guest=GuestMemory(
            updated_at_s=float(int(unix_s - behind_s)),
            period_s=GUEST_PERIOD_S,
            age_s=behind_s,
            total_bytes=total,
            available_bytes=total - used,
            free_bytes=(total - used) // 2,
            caches_bytes=(total - used) // 2,
            swap_in_bytes=0,
            swap_out_bytes=0,
            major_faults=int(ran_s / 20),
            minor_faults=int(ran_s * 40),
        ),
        rss_bytes=min(actual, int(used * 1.3) + 60 * MIB),
        swapped_bytes=0,
        merged_bytes=vm.memory_bytes // 40 if load.merges else 0,
    )


def host_counters(
    at_s: float, up_s: float, cpus: int, memory_bytes: int, vms: list[Counters]
) -> HostCounters:
    """A host that does what its VMs do, and a little more."""
    guest_s = sum(vm.cpu.time_ns or 0 for vm in vms if vm.cpu) / 1e9
    system_s, user_s, iowait_s = 0.12 * up_s, 0.28 * up_s, 0.02 * up_s
    busy_s = guest_s + system_s + user_s + iowait_s
    whole = CpuTimes(
        user_s, system_s, max(0.0, up_s * cpus - busy_s), iowait_s, steal_s=0.0, guest_s=guest_s
    )
    held = sum(vm.memory.rss_bytes or 0 for vm in vms if vm.memory)
    available = max(GIB, memory_bytes - held - 4 * GIB)
    disks = [disk for vm in vms for disk in vm.disks]
    nics = [nic for vm in vms for nic in vm.nics]
    share = busy_s / (up_s * cpus) if up_s else 0.0
    writes = sum(disk.writes or 0 for disk in disks)
    return HostCounters(
        at_s=at_s,
        cpu=whole,
        cpus=tuple(_one_cpu(whole, i, cpus) for i in range(cpus)),
        load=(share * cpus, share * cpus * 0.9, share * cpus * 0.8),
        cpu_pressure=Pressure(round(4 * share, 2), 0.0),
        memory_pressure=Pressure(0.0, 0.0),
        io_pressure=Pressure(0.31, 0.12),
        memory_total_bytes=memory_bytes,
        memory_available_bytes=available,
        memory_free_bytes=available // 2,
        memory_cached_bytes=available // 2,
        huge_pages_total_bytes=0,
        huge_pages_free_bytes=0,
        swap_total_bytes=8 * GIB,
        swap_used_bytes=0,
        swap_in_bytes=0,
        swap_out_bytes=0,
        disks=(
            HostDiskCounters(
                "nvme0n1",
                reads=sum(disk.reads or 0 for disk in disks),
                read_bytes=sum(disk.read_bytes or 0 for disk in disks),
                writes=writes,
                write_bytes=sum(disk.write_bytes or 0 for disk in disks),
                busy_s=min(up_s, writes * 0.0001),
            ),
        ),
        nics=(
            HostNicCounters(
                "eth0",
                rx_bytes=sum(nic.rx_bytes or 0 for nic in nics),
                tx_bytes=sum(nic.tx_bytes or 0 for nic in nics),
                rx_packets=sum(nic.rx_packets or 0 for nic in nics),
                tx_packets=sum(nic.tx_packets or 0 for nic in nics),
                errors=0,
                drops=0,
            ),
        ),
    )


def _one_cpu(whole: CpuTimes, index: int, cpus: int) -> CpuTimes:
    """Its part of the whole; the first CPUs do more."""
    total_s = (
        whole.user_s + whole.system_s + whole.idle_s + (whole.iowait_s or 0) + (whole.guest_s or 0)
    ) / cpus
    part = 2 * (cpus - index) / (cpus * (cpus + 1))
    busy = [
        s * part for s in (whole.user_s, whole.system_s, whole.iowait_s or 0, whole.guest_s or 0)
    ]
    scale = min(1.0, 0.98 * total_s / sum(busy)) if sum(busy) else 1.0
    user_s, system_s, iowait_s, guest_s = (s * scale for s in busy)
    idle_s = total_s - user_s - system_s - iowait_s - guest_s
    return CpuTimes(user_s, system_s, idle_s, iowait_s, steal_s=0.0, guest_s=guest_s)
