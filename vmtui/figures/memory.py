"""The figures of a VM's memory: the balloon's, the guest's own, and the host's."""

from __future__ import annotations

from collections.abc import Callable

from vmtui.counters import GuestMemory, Measure, MemoryCounters
from vmtui.figures.figure import Figure, Source, Unit
from vmtui.rates import GuestRates
from vmtui.views import VMView


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


def _balloon(memory: MemoryCounters) -> float | None:
    if memory.maximum_bytes is None or memory.actual_bytes is None:
        return None
    return memory.maximum_bytes - memory.actual_bytes


def _memory_limit(row: VMView) -> float | None:
    memory = row.counters.memory if row.counters else None
    return (memory.maximum_bytes if memory else None) or row.vm.memory_bytes


_GUEST_ABSENT = "the guest's balloon driver has said nothing for over a period"

MEMORY_FIGURES = (
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
)
