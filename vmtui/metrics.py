"""Rates of VMs from cumulative counters and their own clock.

Formulas: d is the difference of two samples, dt their distance in seconds. A counter that went
backwards, a restart, a vCPU that came or went, or a clock that stood still drop the interval.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from vmtui.counters import (
    Counters,
    CpuCounters,
    DiskCounters,
    GuestMemory,
    MemoryCounters,
    NicCounters,
    VcpuCounters,
)
from vmtui.rates import CpuRates, DiskRates, GuestRates, NicRates, Rates, VcpuRates

LATE_S = 2.5
"""A guest's report is seen at most this much later than it was due, however short its period."""


def rates(
    before: Counters | None, now: Counters, vcpus: int, last: Rates | None = None
) -> Rates | None:
    """Rates between two samples of one VM, or None where they do not span one run of it.

    A group that was not read again keeps its rates of `last`.
    """
    if before is None or before.epoch != now.epoch or now.at_s < before.at_s:
        return None
    if now is before:
        return last
    disks = {disk.target: disk for disk in before.disks}
    nics = {nic.name: nic for nic in before.nics}
    last_disks = {disk.target: disk for disk in last.disks} if last else {}
    last_nics = {nic.name: nic for nic in last.nics} if last else {}
    return Rates(
        at_s=now.at_s,
        cpu=_cpu(before.cpu, now.cpu, vcpus, last.cpu if last else None),
        guest=_guest(before.memory, now.memory, now.at_s, last.guest if last else None),
        disks=tuple(
            rate
            for disk in now.disks
            if (rate := _disk(disks.get(disk.target), disk, last_disks.get(disk.target)))
        ),
        nics=tuple(
            flow
            for nic in now.nics
            if (flow := _nic(nics.get(nic.name), nic, last_nics.get(nic.name)))
        ),
    )


class _BackwardsError(Exception):
    """A counter that has started anew."""


def _d(before: float | None, now: float | None) -> float | None:
    if before is None or now is None:
        return None
    if now < before:
        raise _BackwardsError
    return now - before


def _per(amount: float | None, divisor: float | None, factor: float = 1.0) -> float | None:
    return factor * amount / divisor if amount is not None and divisor else None


def _sum(*amounts: float | None) -> float | None:
    return None if None in amounts else sum(a for a in amounts if a is not None)


def _cpu(
    before: CpuCounters | None, now: CpuCounters | None, vcpus: int, last: CpuRates | None
) -> CpuRates | None:
    if before is None or now is None:
        return None
    dt = now.at_s - before.at_s
    if dt <= 0:
        return last if dt == 0 else None
    if [v.index for v in before.vcpus] != [v.index for v in now.vcpus]:
        return None
    try:
        # 100·d(cpu.time)/(dt·1e9)
        core = _per(_d(before.time_ns, now.time_ns), dt, 1e-7)
        each = _vcpus(before, now, last)
        ready = [v.ready_percent for v in each if v.ready_percent is not None]
        halt_poll, exits = _kvm(before, now, last)
        return CpuRates(
            interval_s=dt,
            core_percent=core,
            vm_percent=_per(core, max(1, vcpus)),
            user_core_percent=_per(_d(before.user_ns, now.user_ns), dt, 1e-7),
            system_core_percent=_per(_d(before.system_ns, now.system_ns), dt, 1e-7),
            ready_mean_percent=sum(ready) / len(ready) if ready else None,
            ready_max_percent=max(ready, default=None),
            halt_poll_core_percent=halt_poll,
            vcpus=each,
            exits_per_s=exits,
        )
    except _BackwardsError:
        return None


def _vcpus(before: CpuCounters, now: CpuCounters, last: CpuRates | None) -> tuple[VcpuRates, ...]:
    dt = _own(now.vcpus_at_s, now) - _own(before.vcpus_at_s, before)
    if dt <= 0:
        return last.vcpus if last and dt == 0 else ()
    return tuple(_vcpu(b, n, dt) for b, n in zip(before.vcpus, now.vcpus, strict=True))


def _kvm(
    before: CpuCounters, now: CpuCounters, last: CpuRates | None
) -> tuple[float | None, Mapping[str, float] | None]:
    dt = _own(now.kvm_at_s, now) - _own(before.kvm_at_s, before)
    if dt <= 0:
        return (last.halt_poll_core_percent, last.exits_per_s) if last and dt == 0 else (None, None)
    halt_poll = _per(_d(before.halt_poll_ns, now.halt_poll_ns), dt, 1e-7)
    return halt_poll, _exits(before.exits, now.exits, dt)


def _own(group_at_s: float | None, of: CpuCounters) -> float:
    return of.at_s if group_at_s is None else group_at_s


def _vcpu(before: VcpuCounters, now: VcpuCounters, dt: float) -> VcpuRates:
    return VcpuRates(
        now.index,
        _per(_d(before.time_ns, now.time_ns), dt, 1e-7),
        _per(_d(before.ready_ns, now.ready_ns), dt, 1e-7),
    )


def _exits(
    before: Mapping[str, int] | None, now: Mapping[str, int] | None, dt: float
) -> Mapping[str, float] | None:
    if before is None or now is None:
        return None
    differences = {kind: _d(before.get(kind), count) for kind, count in now.items()}
    return {kind: d / dt for kind, d in differences.items() if d is not None}


def _guest(
    before: MemoryCounters | None,
    now: MemoryCounters | None,
    at_s: float,
    last: GuestRates | None,
) -> GuestRates | None:
    guest = now.guest if now else None
    if now is None or guest is None:
        return None
    earlier = before.guest if before else None
    renewed = earlier is None or earlier.updated_at_s != guest.updated_at_s or last is None
    renewed_at_s = last.renewed_at_s if last and not renewed else now.at_s
    if last is None and guest.age_s is not None:
        renewed_at_s -= max(0.0, guest.age_s)  # it may have been silent for long
    # It goes on while nobody reads the group, which may also be read after the sample's own moment.
    age_s = max(0.0, at_s - renewed_at_s)
    # Grace for a guest that is late, a clock that counts whole seconds, and samples in between:
    # of a period of 5 s the figures are given up before two have passed.
    if age_s > guest.period_s + max(guest.period_s / 2, LATE_S):
        return GuestRates(renewed_at_s, age_s, fresh=False)
    fresh = GuestRates(renewed_at_s, age_s, fresh=True, used_bytes=_used(guest))
    if not renewed and last is not None:
        return replace(
            fresh,
            swap_in_bytes_per_s=last.swap_in_bytes_per_s,
            swap_out_bytes_per_s=last.swap_out_bytes_per_s,
            major_faults_per_s=last.major_faults_per_s,
        )
    return _paged(fresh, earlier, guest) if earlier else fresh


def _paged(rates: GuestRates, before: GuestMemory, now: GuestMemory) -> GuestRates:
    """With what it swapped and read in; by the guest's own clock."""
    dt = now.updated_at_s - before.updated_at_s
    if dt <= 0:
        return rates
    try:
        return replace(
            rates,
            swap_in_bytes_per_s=_per(_d(before.swap_in_bytes, now.swap_in_bytes), dt),
            swap_out_bytes_per_s=_per(_d(before.swap_out_bytes, now.swap_out_bytes), dt),
            major_faults_per_s=_per(_d(before.major_faults, now.major_faults), dt),
        )
    except _BackwardsError:
        return rates


def _used(guest: GuestMemory) -> int | None:
    if guest.total_bytes is None or guest.available_bytes is None:
        return None
    return max(0, guest.total_bytes - guest.available_bytes)


def _disk(
    before: DiskCounters | None, now: DiskCounters, last: DiskRates | None
) -> DiskRates | None:
    if before is None:
        return None
    dt = now.at_s - before.at_s
    if dt <= 0:
        return last if dt == 0 else None
    try:
        reads, writes = _d(before.reads, now.reads), _d(before.writes, now.writes)
        read_ns, write_ns = _d(before.read_ns, now.read_ns), _d(before.write_ns, now.write_ns)
        flushes, flush_ns = _d(before.flushes, now.flushes), _d(before.flush_ns, now.flush_ns)
        read_bytes = _d(before.read_bytes, now.read_bytes)
        write_bytes = _d(before.write_bytes, now.write_bytes)
    except _BackwardsError:
        return None
    return DiskRates(
        target=now.target,
        interval_s=dt,
        reads_per_s=_per(reads, dt),
        writes_per_s=_per(writes, dt),
        flushes_per_s=_per(flushes, dt),
        read_bytes_per_s=_per(read_bytes, dt),
        write_bytes_per_s=_per(write_bytes, dt),
        read_latency_ms=_per(read_ns, reads, 1e-6),
        write_latency_ms=_per(write_ns, writes, 1e-6),
        latency_ms=_per(_sum(read_ns, write_ns), _sum(reads, writes), 1e-6),
        flush_latency_ms=_per(flush_ns, flushes, 1e-6),
        in_flight=_per(_sum(read_ns, write_ns), dt, 1e-9),
    )


def _nic(before: NicCounters | None, now: NicCounters, last: NicRates | None) -> NicRates | None:
    if before is None or now.why_missing:
        return None
    dt = now.at_s - before.at_s
    if dt <= 0:
        return last if dt == 0 else None
    try:
        rx, tx = _d(before.rx_packets, now.rx_packets), _d(before.tx_packets, now.tx_packets)
        drops = _sum(_d(before.rx_drops, now.rx_drops), _d(before.tx_drops, now.tx_drops))
        errors = _sum(_d(before.rx_errors, now.rx_errors), _d(before.tx_errors, now.tx_errors))
        rx_bytes = _d(before.rx_bytes, now.rx_bytes)
        tx_bytes = _d(before.tx_bytes, now.tx_bytes)
    except _BackwardsError:
        return None
    handled = _sum(rx, tx, drops)
    return NicRates(
        name=now.name,
        interval_s=dt,
        rx_bytes_per_s=_per(rx_bytes, dt),
        tx_bytes_per_s=_per(tx_bytes, dt),
        rx_packets_per_s=_per(rx, dt),
        tx_packets_per_s=_per(tx, dt),
        errors_per_s=_per(errors, dt),
        drops_per_s=_per(drops, dt),
        # 100·d(drop)/(d(pkts)+d(drop)); where nothing was sent, nothing was dropped
        drop_percent=0.0 if handled == 0 else _per(drops, handled, 100.0),
    )
