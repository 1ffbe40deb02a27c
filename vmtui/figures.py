"""Every figure of a VM, declared once: what it is, its unit, where it comes from, how to get it.

Tables, graphs, alarms, `vmtui top` and the explanations of the interface are made from this.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

from vmtui.counters import ALL_EXITS, GuestMemory, Measure, MemoryCounters
from vmtui.metrics import CpuRates, DiskRates, GuestRates, NicRates
from vmtui.model import Accel, State
from vmtui.units import bytes_per_s, count, milliseconds, percent, size
from vmtui.views import VMView


class Unit(Enum):
    """The unit of a figure. The value is how it is written out."""

    PERCENT = "%"
    BYTES = "bytes"
    BYTES_PER_S = "bytes/s"
    PER_S = "per second"
    MS = "ms"
    COUNT = ""
    SECONDS = "s"
    RATIO = "×"


_FORMATS: dict[Unit, Callable[[float | None], str]] = {
    Unit.PERCENT: percent,
    Unit.BYTES: size,
    Unit.BYTES_PER_S: bytes_per_s,
    Unit.PER_S: count,
    Unit.MS: milliseconds,
    Unit.COUNT: count,
    Unit.SECONDS: count,
    Unit.RATIO: lambda ratio: "–" if ratio is None else f"{ratio:.2f}",
}


def written(value: float | None, unit: Unit) -> str:
    """A value as its unit is written; an en dash where there is none."""
    return _FORMATS[unit](value)


@dataclass(frozen=True, slots=True)
class Source:
    """The counters that a figure is computed from, by kind of backend, as those who know say it."""

    direct: str
    libvirt: str


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure. `value` gives None where it is not known; `why_absent` then says why."""

    id: str
    title: str
    unit: Unit
    meaning: str
    source: Source
    measure: Measure
    value: Callable[[VMView], float | None]
    absent: str = "the hypervisor does not tell"
    moving: bool = True  # a VM that stands still has none

    def text(self, row: VMView) -> str:
        """The value in words; an en dash where there is none."""
        return written(self.of(row), self.unit)

    def of(self, row: VMView) -> float | None:
        """The value as far as it means something in the VM's state."""
        if not row.vm.state.active:
            return None
        if self.moving and row.vm.state not in MOVING:
            return None
        return self.value(row)

    def why_absent(self, row: VMView) -> str:
        """Why there is no value for this VM; "" where there is one."""
        if self.of(row) is not None:
            return ""
        state = row.vm.state
        if not state.active or (self.moving and state not in MOVING):
            return f"it is {state.value}"
        if row.counters is None:
            return row.stalled or "it was not sampled yet"
        if row.rates is None and self.measure not in row.counters.missing:
            return "a rate needs two samples"
        return row.counters.missing.get(self.measure, self.absent)


MOVING = frozenset({State.RUNNING, State.STOPPING})
"""In other states nothing moves: there are no rates to show."""


def _from_cpu(get: Callable[[CpuRates], float | None]) -> Callable[[VMView], float | None]:
    def value(row: VMView) -> float | None:
        return get(row.rates.cpu) if row.rates and row.rates.cpu else None

    return value


def _from_memory(get: Callable[[MemoryCounters], float | None]) -> Callable[[VMView], float | None]:
    def value(row: VMView) -> float | None:
        return get(row.counters.memory) if row.counters and row.counters.memory else None

    return value


def _from_guest(get: Callable[[GuestRates], float | None]) -> Callable[[VMView], float | None]:
    def value(row: VMView) -> float | None:
        guest = row.rates.guest if row.rates else None
        return get(guest) if guest is not None and guest.fresh else None

    return value


def _from_fresh(get: Callable[[GuestMemory], float | None]) -> Callable[[VMView], float | None]:
    def value(row: VMView) -> float | None:
        rates = row.rates.guest if row.rates else None
        memory = row.counters.memory if row.counters else None
        if rates is None or not rates.fresh or memory is None or memory.guest is None:
            return None
        return get(memory.guest)

    return value


def _total(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _over_disks(get: Callable[[DiskRates], float | None]) -> Callable[[VMView], float | None]:
    def value(row: VMView) -> float | None:
        return _total(map(get, row.rates.disks)) if row.rates else None

    return value


def _over_nics(get: Callable[[NicRates], float | None]) -> Callable[[VMView], float | None]:
    def value(row: VMView) -> float | None:
        return _total(map(get, row.rates.nics)) if row.rates else None

    return value


def _mean_latency(
    get: Callable[[DiskRates], float | None], weigh: Callable[[DiskRates], float | None]
) -> Callable[[VMView], float | None]:
    """Over all disks, each with the weight of its requests."""

    def value(row: VMView) -> float | None:
        if row.rates is None:
            return None
        pairs = [(get(disk), weigh(disk)) for disk in row.rates.disks]
        known = [(latency, weight) for latency, weight in pairs if latency is not None and weight]
        requests = sum(weight for _, weight in known)
        return sum(latency * weight for latency, weight in known) / requests if known else None

    return value


def _requests(disk: DiskRates) -> float | None:
    return _total((disk.reads_per_s, disk.writes_per_s))


def _cpu_host(row: VMView) -> float | None:
    core = row.rates.cpu.core_percent if row.rates and row.rates.cpu else None
    return core / row.host_cpus if core is not None and row.host_cpus else None


def _exits(cpu: CpuRates) -> float | None:
    if cpu.exits_per_s is None:
        return None
    return cpu.exits_per_s.get(ALL_EXITS, sum(cpu.exits_per_s.values()))


def _steal(row: VMView) -> float | None:
    # KVM tells the guest its vCPU threads' run delay as steal time; TCG tells nothing.
    if row.vm.accel is not Accel.KVM:
        return None
    return row.rates.cpu.ready_mean_percent if row.rates and row.rates.cpu else None


def _balloon(memory: MemoryCounters) -> float | None:
    if memory.maximum_bytes is None or memory.actual_bytes is None:
        return None
    return memory.maximum_bytes - memory.actual_bytes


def _memory_limit(row: VMView) -> float | None:
    memory = row.counters.memory if row.counters else None
    return (memory.maximum_bytes if memory else None) or row.vm.memory_bytes


def _disk_sizes(name: str) -> Callable[[VMView], float | None]:
    def value(row: VMView) -> float | None:
        return _total(getattr(d, name) for d in row.counters.disks) if row.counters else None

    return value


def _drops(row: VMView) -> float | None:
    percents = [nic.drop_percent for nic in row.rates.nics] if row.rates else []
    return max((percent for percent in percents if percent is not None), default=None)


_GUEST_ABSENT = "the guest's balloon driver has said nothing for over a period"
_NO_REQUESTS = "there were no requests, so there is no latency"
_BLOCK = Source("QMP query-blockstats", "block.N.*")
_STATS = Source("QMP balloon0.guest-stats", "balloon.*")

FIGURES: tuple[Figure, ...] = (
    Figure(
        "cpu",
        "CPU %",
        Unit.PERCENT,
        "CPU time the VM used, in percent of all its vCPUs. QEMU's own threads count, so that it "
        "can pass 100.",
        Source("/proc/PID/stat utime+stime", "cpu.time"),
        Measure.CPU,
        _from_cpu(lambda cpu: cpu.vm_percent),
    ),
    Figure(
        "cpu_core",
        "CORE %",
        Unit.PERCENT,
        "CPU time the VM used, in percent of one host CPU.",
        Source("/proc/PID/stat utime+stime", "cpu.time"),
        Measure.CPU,
        _from_cpu(lambda cpu: cpu.core_percent),
    ),
    Figure(
        "cpu_host",
        "HOST %",
        Unit.PERCENT,
        "CPU time the VM used, in percent of all CPUs of its host.",
        Source("/proc/PID/stat utime+stime", "cpu.time"),
        Measure.CPU,
        _cpu_host,
    ),
    Figure(
        "cpu_user",
        "USER %",
        Unit.PERCENT,
        "The part of the CPU time in user mode of the host, in percent of one host CPU; an "
        "emulated guest runs there.",
        Source("/proc/PID/stat utime", "cpu.user"),
        Measure.CPU,
        _from_cpu(lambda cpu: cpu.user_core_percent),
    ),
    Figure(
        "cpu_system",
        "SYS %",
        Unit.PERCENT,
        "The part of the CPU time in the host's kernel, in percent of one host CPU; under KVM "
        "that includes the guest.",
        Source("/proc/PID/stat stime", "cpu.system"),
        Measure.CPU,
        _from_cpu(lambda cpu: cpu.system_core_percent),
    ),
    Figure(
        "ready",
        "RDY %",
        Unit.PERCENT,
        "Ready time: how much of the time a vCPU could run but waited for a host CPU; mean of "
        "the vCPUs. esxtop's %RDY of one vCPU.",
        Source("/proc/PID/task/TID/schedstat, 2nd field", "vcpu.N.delay"),
        Measure.READY,
        _from_cpu(lambda cpu: cpu.ready_mean_percent),
    ),
    Figure(
        "ready_max",
        "RDY MAX",
        Unit.PERCENT,
        "Ready time of the vCPU that waits most.",
        Source("/proc/PID/task/TID/schedstat, 2nd field", "vcpu.N.delay"),
        Measure.READY,
        _from_cpu(lambda cpu: cpu.ready_max_percent),
    ),
    Figure(
        "steal",
        "STEAL %",
        Unit.PERCENT,
        "What the guest sees as steal time, per vCPU: KVM hands it the time that its vCPU "
        "threads waited for a host CPU.",
        Source("/proc/PID/task/TID/schedstat, 2nd field", "vcpu.N.delay"),
        Measure.READY,
        _steal,
        "only KVM tells its guests of steal time; this one is emulated",
    ),
    Figure(
        "halt_poll",
        "POLL %",
        Unit.PERCENT,
        "CPU time that KVM spent waiting busily for a halted vCPU to wake, in percent of one "
        "host CPU. It looks like load and is none.",
        Source("QMP query-stats halt_poll_*_ns", "cpu.haltpoll.*.time"),
        Measure.HALT_POLL,
        _from_cpu(lambda cpu: cpu.halt_poll_core_percent),
        "only KVM polls for halted vCPUs",
    ),
    Figure(
        "exits",
        "EXITS/s",
        Unit.PER_S,
        "How often per second the guest left its CPU for KVM or QEMU to do something, over all "
        "vCPUs and kinds.",
        Source("QMP query-stats *_exits", "vcpu.N.*_exits.sum"),
        Measure.EXITS,
        _from_cpu(_exits),
        "only KVM counts exits",
    ),
    Figure(
        "memory",
        "MEMORY",
        Unit.BYTES,
        "The ceiling: memory the VM was started with, or may have at most.",
        Source("-m", "balloon.maximum"),
        Measure.BALLOON,
        _memory_limit,
        moving=False,
    ),
    Figure(
        "memory_target",
        "TARGET",
        Unit.BYTES,
        "The memory that the balloon was last asked to leave the guest. Asked is not done: "
        "compare it with what the guest actually has.",
        Source("the last request", "the last request"),
        Measure.BALLOON,
        _from_memory(lambda memory: memory.target_bytes),
        "no size was asked for",
        moving=False,
    ),
    Figure(
        "memory_actual",
        "ACTUAL",
        Unit.BYTES,
        "The memory that the balloon leaves the guest now.",
        Source("QMP query-balloon", "balloon.current"),
        Measure.BALLOON,
        _from_memory(lambda memory: memory.actual_bytes),
        moving=False,
    ),
    Figure(
        "balloon",
        "BALLOON",
        Unit.BYTES,
        "What the balloon has taken from the guest: ceiling less actual size. esxtop's MCTLSZ.",
        Source("-m less query-balloon", "balloon.maximum less balloon.current"),
        Measure.BALLOON,
        _from_memory(_balloon),
        moving=False,
    ),
    Figure(
        "guest_total",
        "TOTAL",
        Unit.BYTES,
        "Memory that the guest's kernel manages: its own MemTotal.",
        Source("QMP guest-stats stat-total-memory", "balloon.available"),
        Measure.GUEST_MEMORY,
        _from_fresh(lambda guest: guest.total_bytes),
        _GUEST_ABSENT,
        moving=False,
    ),
    Figure(
        "guest_used",
        "USED",
        Unit.BYTES,
        "Memory in use inside the guest: its MemTotal less its MemAvailable. Page cache, which "
        "it would give back, does not count.",
        Source(
            "QMP guest-stats stat-total-memory less stat-available-memory",
            "balloon.available less balloon.usable",
        ),
        Measure.GUEST_MEMORY,
        _from_guest(lambda guest: guest.used_bytes),
        _GUEST_ABSENT,
        moving=False,
    ),
    Figure(
        "guest_available",
        "AVAIL",
        Unit.BYTES,
        "Memory that the guest could give to programs without swapping: its own MemAvailable.",
        Source("QMP guest-stats stat-available-memory", "balloon.usable"),
        Measure.GUEST_MEMORY,
        _from_fresh(lambda guest: guest.available_bytes),
        _GUEST_ABSENT,
        moving=False,
    ),
    Figure(
        "guest_caches",
        "CACHES",
        Unit.BYTES,
        "Page cache inside the guest, which it can give back.",
        Source("QMP guest-stats stat-disk-caches", "balloon.disk_caches"),
        Measure.GUEST_MEMORY,
        _from_fresh(lambda guest: guest.caches_bytes),
        _GUEST_ABSENT,
        moving=False,
    ),
    Figure(
        "guest_swap_in",
        "SWAP IN",
        Unit.BYTES_PER_S,
        "What the guest itself reads back from its swap.",
        Source("QMP guest-stats stat-swap-in", "balloon.swap_in"),
        Measure.GUEST_MEMORY,
        _from_guest(lambda guest: guest.swap_in_bytes_per_s),
        _GUEST_ABSENT,
    ),
    Figure(
        "guest_swap_out",
        "SWAP OUT",
        Unit.BYTES_PER_S,
        "What the guest itself writes to its swap: it has too little memory.",
        Source("QMP guest-stats stat-swap-out", "balloon.swap_out"),
        Measure.GUEST_MEMORY,
        _from_guest(lambda guest: guest.swap_out_bytes_per_s),
        _GUEST_ABSENT,
    ),
    Figure(
        "guest_faults",
        "FAULTS/s",
        Unit.PER_S,
        "Major page faults inside the guest: memory that had to be read from a disk first.",
        Source("QMP guest-stats stat-major-faults", "balloon.major_fault"),
        Measure.GUEST_MEMORY,
        _from_guest(lambda guest: guest.major_faults_per_s),
        _GUEST_ABSENT,
    ),
    Figure(
        "rss",
        "ON HOST",
        Unit.BYTES,
        "Memory of the host that QEMU's process holds, its own included.",
        Source("/proc/PID/status VmRSS", "balloon.rss"),
        Measure.RSS,
        _from_memory(lambda memory: memory.rss_bytes),
        moving=False,
    ),
    Figure(
        "swapped",
        "SWAPPED",
        Unit.BYTES,
        "Memory of the VM that the host has moved to its swap, without the guest knowing. "
        "esxtop's SWCUR.",
        Source("/proc/PID/status VmSwap", "/proc/PID/status VmSwap, on this machine"),
        Measure.SWAPPED,
        _from_memory(lambda memory: memory.swapped_bytes),
        moving=False,
    ),
    Figure(
        "merged",
        "MERGED",
        Unit.BYTES,
        "Memory of the VM that the host shares with equal pages elsewhere (KSM).",
        Source(
            "/proc/PID/ksm_merging_pages × page size",
            "/proc/PID/ksm_merging_pages × page size, on this machine",
        ),
        Measure.MERGED,
        _from_memory(lambda memory: memory.merged_bytes),
        moving=False,
    ),
    Figure(
        "read_iops",
        "READ/s",
        Unit.PER_S,
        "Read requests per second, over all disks.",
        _BLOCK,
        Measure.DISKS,
        _over_disks(lambda disk: disk.reads_per_s),
    ),
    Figure(
        "write_iops",
        "WRITE/s",
        Unit.PER_S,
        "Write requests per second, over all disks.",
        _BLOCK,
        Measure.DISKS,
        _over_disks(lambda disk: disk.writes_per_s),
    ),
    Figure(
        "flush_iops",
        "FLUSH/s",
        Unit.PER_S,
        "Flushes per second, over all disks: what the guest's fsync comes to.",
        _BLOCK,
        Measure.DISKS,
        _over_disks(lambda disk: disk.flushes_per_s),
    ),
    Figure(
        "read_bytes",
        "READ",
        Unit.BYTES_PER_S,
        "Bytes read per second, over all disks.",
        _BLOCK,
        Measure.DISKS,
        _over_disks(lambda disk: disk.read_bytes_per_s),
    ),
    Figure(
        "write_bytes",
        "WRITE",
        Unit.BYTES_PER_S,
        "Bytes written per second, over all disks.",
        _BLOCK,
        Measure.DISKS,
        _over_disks(lambda disk: disk.write_bytes_per_s),
    ),
    Figure(
        "latency",
        "LAT ms",
        Unit.MS,
        "How long a read or write took from QEMU's side, mean of all requests. esxtop's GAVG. "
        "Without requests there is none.",
        Source("QMP query-blockstats *_total_time_ns", "block.N.{rd,wr}.times / reqs"),
        Measure.DISKS,
        _mean_latency(lambda disk: disk.latency_ms, _requests),
        _NO_REQUESTS,
    ),
    Figure(
        "read_latency",
        "R ms",
        Unit.MS,
        "How long a read took, mean of all requests.",
        Source("QMP query-blockstats rd_total_time_ns", "block.N.rd.times / rd.reqs"),
        Measure.DISKS,
        _mean_latency(lambda disk: disk.read_latency_ms, lambda disk: disk.reads_per_s),
        _NO_REQUESTS,
    ),
    Figure(
        "write_latency",
        "W ms",
        Unit.MS,
        "How long a write took, mean of all requests.",
        Source("QMP query-blockstats wr_total_time_ns", "block.N.wr.times / wr.reqs"),
        Measure.DISKS,
        _mean_latency(lambda disk: disk.write_latency_ms, lambda disk: disk.writes_per_s),
        _NO_REQUESTS,
    ),
    Figure(
        "flush_latency",
        "F ms",
        Unit.MS,
        "How long a flush took: what an fsync costs the guest.",
        Source("QMP query-blockstats flush_total_time_ns", "block.N.fl.times / fl.reqs"),
        Measure.DISKS,
        _mean_latency(lambda disk: disk.flush_latency_ms, lambda disk: disk.flushes_per_s),
        "there were no flushes",
    ),
    Figure(
        "in_flight",
        "ACTV",
        Unit.COUNT,
        "Requests under way at any moment, mean of the interval: the time of all requests "
        "divided by the time that passed (Little's law). esxtop's ACTV.",
        Source("QMP query-blockstats *_total_time_ns", "block.N.{rd,wr}.times"),
        Measure.DISKS,
        _over_disks(lambda disk: disk.in_flight),
    ),
    Figure(
        "capacity",
        "CAPACITY",
        Unit.BYTES,
        "Size of the disks as the guest sees them.",
        Source("the image's header", "block.N.capacity"),
        Measure.DISKS,
        _disk_sizes("capacity_bytes"),
        moving=False,
    ),
    Figure(
        "allocation",
        "ALLOC",
        Unit.BYTES,
        "The highest offset that was written in the images.",
        Source("QMP query-blockstats wr_highest_offset", "block.N.allocation"),
        Measure.DISKS,
        _disk_sizes("allocation_bytes"),
        moving=False,
    ),
    Figure(
        "physical",
        "ON DISK",
        Unit.BYTES,
        "What the images take on the host's disks.",
        Source("stat: blocks of the file", "block.N.physical"),
        Measure.DISKS,
        _disk_sizes("physical_bytes"),
        moving=False,
    ),
    Figure(
        "rx_bytes",
        "RX",
        Unit.BYTES_PER_S,
        "Bytes per second that the guest received, over all cards.",
        Source("the tap's tx_bytes", "net.N.rx.bytes"),
        Measure.NICS,
        _over_nics(lambda nic: nic.rx_bytes_per_s),
    ),
    Figure(
        "tx_bytes",
        "TX",
        Unit.BYTES_PER_S,
        "Bytes per second that the guest sent, over all cards.",
        Source("the tap's rx_bytes", "net.N.tx.bytes"),
        Measure.NICS,
        _over_nics(lambda nic: nic.tx_bytes_per_s),
    ),
    Figure(
        "rx_packets",
        "RX PKT/s",
        Unit.PER_S,
        "Packets per second that the guest received.",
        Source("the tap's tx_packets", "net.N.rx.pkts"),
        Measure.NICS,
        _over_nics(lambda nic: nic.rx_packets_per_s),
    ),
    Figure(
        "tx_packets",
        "TX PKT/s",
        Unit.PER_S,
        "Packets per second that the guest sent.",
        Source("the tap's rx_packets", "net.N.tx.pkts"),
        Measure.NICS,
        _over_nics(lambda nic: nic.tx_packets_per_s),
    ),
    Figure(
        "errors",
        "ERR/s",
        Unit.PER_S,
        "Packets per second that were damaged, both ways.",
        Source("the tap's *_errors", "net.N.{rx,tx}.errs"),
        Measure.NICS,
        _over_nics(lambda nic: nic.errors_per_s),
    ),
    Figure(
        "drops",
        "DROP %",
        Unit.PERCENT,
        "Packets that were dropped instead of delivered, both ways, in percent of all; the worst "
        "card.",
        Source("the tap's *_dropped", "net.N.{rx,tx}.drop"),
        Measure.NICS,
        _drops,
    ),
)

BY_ID: Mapping[str, Figure] = {figure.id: figure for figure in FIGURES}

KEPT: tuple[str, ...] = (
    "cpu",
    "ready",
    "guest_used",
    "memory_actual",
    "rss",
    "read_bytes",
    "write_bytes",
    "latency",
    "rx_bytes",
    "tx_bytes",
)
"""The figures of each VM that have a history."""

_KEPT = tuple(BY_ID[name] for name in KEPT)


def kept(row: VMView) -> list[float | None]:
    """The values of `KEPT`, in that order."""
    return [figure.of(row) for figure in _KEPT]
