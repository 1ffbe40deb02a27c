"""What backends measure: raw cumulative counters and gauges, each group with its own time.

Times named `at_s` are monotonic seconds of the machine that vmtui runs on. What a host, a
hypervisor or a guest does not tell is None, never 0, and `missing` says why.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

GUEST_PERIOD_S = 5
"""How often guests are told to report their memory, unless somebody chose a period."""

ALL_EXITS = "all"
"""The kind of exits that counts all of them; the other kinds are parts of it."""


class Measure(StrEnum):
    """What may be missing, of a VM or of a host; figures name the one they are made from."""

    CPU = "cpu"  # time used
    VCPUS = "vcpus"  # time used by each vCPU
    READY = "ready"
    HALT_POLL = "halt-poll"
    EXITS = "exits"
    BALLOON = "balloon"  # ceiling, target, actual
    GUEST_MEMORY = "guest-memory"
    RSS = "rss"
    SWAPPED = "swapped"
    MERGED = "merged"
    DISKS = "disks"
    NICS = "nics"
    # of hosts
    CPU_DETAIL = "cpu-detail"  # steal and guest time
    LOAD = "load"
    PRESSURE = "pressure"
    MEMORY = "memory"
    HUGE_PAGES = "huge-pages"
    SWAP = "swap"
    KSM = "ksm"


@dataclass(frozen=True, slots=True)
class VcpuCounters:
    """One vCPU. `ready_ns`: it could run, and waited for a host CPU."""

    index: int
    time_ns: int | None = None
    ready_ns: int | None = None


@dataclass(frozen=True, slots=True)
class CpuCounters:
    """CPU of one VM.

    `time_ns` is of the whole hypervisor process, its emulator threads included. `halt_poll_ns`:
    KVM waited busily for a halted vCPU to wake. `exits`: how often each kind of work made the
    guest leave its CPU, over all vCPUs. vCPUs, and what KVM counts, have times of their own where
    they are read less often; None: `at_s` is theirs too.
    """

    at_s: float
    time_ns: int | None = None
    user_ns: int | None = None
    system_ns: int | None = None
    vcpus: tuple[VcpuCounters, ...] = ()
    vcpus_at_s: float | None = None
    halt_poll_ns: int | None = None
    exits: Mapping[str, int] | None = None
    kvm_at_s: float | None = None


@dataclass(frozen=True, slots=True)
class GuestMemory:
    """What the guest's balloon driver says; swap and faults are cumulative.

    `updated_at_s` is Unix time on the host's clock, in whole seconds; a guest that runs renews
    it every `period_s`. `age_s` is how old it was when read, where the host's clock is known.
    """

    updated_at_s: float
    period_s: float
    age_s: float | None = None
    total_bytes: int | None = None
    available_bytes: int | None = None  # MemAvailable
    free_bytes: int | None = None  # MemFree
    caches_bytes: int | None = None
    swap_in_bytes: int | None = None
    swap_out_bytes: int | None = None
    major_faults: int | None = None
    minor_faults: int | None = None


@dataclass(frozen=True, slots=True)
class MemoryCounters:
    """Memory of one VM: what it may have, was asked to have, has, and what the host holds of it."""

    at_s: float
    maximum_bytes: int | None = None
    target_bytes: int | None = None
    actual_bytes: int | None = None
    guest: GuestMemory | None = None
    rss_bytes: int | None = None
    swapped_bytes: int | None = None
    merged_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class DiskCounters:
    """One disk of a VM. `*_ns` sum up the time of all requests of their kind."""

    at_s: float
    target: str
    reads: int | None = None
    read_bytes: int | None = None
    read_ns: int | None = None
    writes: int | None = None
    write_bytes: int | None = None
    write_ns: int | None = None
    flushes: int | None = None
    flush_ns: int | None = None
    capacity_bytes: int | None = None
    allocation_bytes: int | None = None  # highest offset written
    physical_bytes: int | None = None  # what the host's file takes


@dataclass(frozen=True, slots=True)
class NicCounters:
    """One network card as the guest sees it: rx is what the guest received.

    `why_missing`: why there are no counters, such as a user-mode network.
    """

    at_s: float
    name: str
    rx_bytes: int | None = None
    rx_packets: int | None = None
    rx_errors: int | None = None
    rx_drops: int | None = None
    tx_bytes: int | None = None
    tx_packets: int | None = None
    tx_errors: int | None = None
    tx_drops: int | None = None
    why_missing: str = ""


@dataclass(frozen=True, slots=True)
class Counters:
    """Figures of one active VM.

    `epoch` changes whenever counters may start anew (a restart); rates never span two epochs.
    A group that was not read again is the same as in the last sample, with its old `at_s`.
    """

    at_s: float
    epoch: str
    cpu: CpuCounters | None = None
    memory: MemoryCounters | None = None
    disks: tuple[DiskCounters, ...] = ()
    nics: tuple[NicCounters, ...] = ()
    missing: Mapping[Measure, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Stalled:
    """A VM that did not answer in time."""

    reason: str


@dataclass(frozen=True, slots=True)
class CpuTimes:
    """Seconds since boot of one host CPU or of all; a guest's time is not part of `user_s`."""

    user_s: float
    system_s: float
    idle_s: float
    iowait_s: float | None = None
    steal_s: float | None = None
    guest_s: float | None = None


@dataclass(frozen=True, slots=True)
class Pressure:
    """PSI: percent of the last 10 s in which some, or all, work waited for a resource."""

    some_percent: float
    full_percent: float | None = None


@dataclass(frozen=True, slots=True)
class Ksm:
    """Merging of equal pages. `profit_bytes` is what is saved less what the bookkeeping takes."""

    running: bool
    saved_bytes: int
    profit_bytes: int | None = None
    cpu_s: float | None = None  # of ksmd, cumulative


@dataclass(frozen=True, slots=True)
class HostDiskCounters:
    """One block device of the host. `busy_s`: time with at least one request in flight."""

    name: str
    reads: int
    read_bytes: int
    writes: int
    write_bytes: int
    busy_s: float | None = None


@dataclass(frozen=True, slots=True)
class HostNicCounters:
    """One network interface of the host, from the host's side."""

    name: str
    rx_bytes: int
    tx_bytes: int
    rx_packets: int | None = None
    tx_packets: int | None = None
    errors: int | None = None
    drops: int | None = None


@dataclass(frozen=True, slots=True)
class HostCounters:
    """Figures of a host at `at_s`."""

    at_s: float
    cpu: CpuTimes | None = None  # over all CPUs
    cpus: tuple[CpuTimes, ...] = ()
    load: tuple[float, float, float] | None = None  # 1, 5 and 15 minutes
    cpu_pressure: Pressure | None = None
    memory_pressure: Pressure | None = None
    io_pressure: Pressure | None = None
    memory_total_bytes: int | None = None
    memory_available_bytes: int | None = None
    memory_free_bytes: int | None = None
    memory_cached_bytes: int | None = None
    huge_pages_total_bytes: int | None = None
    huge_pages_free_bytes: int | None = None
    swap_total_bytes: int | None = None
    swap_used_bytes: int | None = None
    swap_in_bytes: int | None = None  # cumulative
    swap_out_bytes: int | None = None
    ksm: Ksm | None = None
    disks: tuple[HostDiskCounters, ...] = ()
    nics: tuple[HostNicCounters, ...] = ()
    missing: Mapping[Measure, str] = field(default_factory=dict)

    @property
    def memory_used_bytes(self) -> int | None:
        """What is not available."""
        if self.memory_total_bytes is None or self.memory_available_bytes is None:
            return None
        return self.memory_total_bytes - self.memory_available_bytes

    @property
    def memory_percent(self) -> float | None:
        """Of all its memory, what is used."""
        used, total = self.memory_used_bytes, self.memory_total_bytes
        return 100 * used / total if total and used is not None else None
