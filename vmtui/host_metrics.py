"""Rates of hosts from cumulative counters and their own clock."""

from __future__ import annotations

from dataclasses import dataclass

from vmtui.counters import CpuTimes, HostCounters, HostDiskCounters, HostNicCounters


@dataclass(frozen=True, slots=True)
class CpuShares:
    """How the time of one host CPU, or of all, was spent, in percent; together 100."""

    user_percent: float
    system_percent: float
    idle_percent: float
    iowait_percent: float | None = None
    steal_percent: float | None = None
    guest_percent: float | None = None

    @property
    def busy_percent(self) -> float:
        """All that is neither idle nor waiting for a disk."""
        return max(0.0, 100 - self.idle_percent - (self.iowait_percent or 0))


@dataclass(frozen=True, slots=True)
class HostDiskRates:
    """One block device; `busy_percent` of the time had a request in flight."""

    name: str
    reads_per_s: float
    writes_per_s: float
    read_bytes_per_s: float
    write_bytes_per_s: float
    busy_percent: float | None


@dataclass(frozen=True, slots=True)
class HostNicRates:
    """One network interface, from the host's side."""

    name: str
    rx_bytes_per_s: float
    tx_bytes_per_s: float
    errors_per_s: float | None
    drops_per_s: float | None


@dataclass(frozen=True, slots=True)
class HostRates:
    """What a host did between two samples `interval_s` apart (0: only one so far)."""

    at_s: float
    interval_s: float = 0.0
    cpu: CpuShares | None = None
    cpus: tuple[CpuShares | None, ...] = ()
    swap_in_bytes_per_s: float | None = None
    swap_out_bytes_per_s: float | None = None
    ksm_cpu_percent: float | None = None  # of one CPU
    disks: tuple[HostDiskRates, ...] = ()
    nics: tuple[HostNicRates, ...] = ()

    @property
    def cpu_percent(self) -> float | None:
        """Of all CPUs together."""
        return self.cpu.busy_percent if self.cpu else None

    @property
    def read_bytes_per_s(self) -> float | None:
        """From all devices together; None: no device is known."""
        return sum(disk.read_bytes_per_s for disk in self.disks) if self.disks else None

    @property
    def write_bytes_per_s(self) -> float | None:
        """To all devices."""
        return sum(disk.write_bytes_per_s for disk in self.disks) if self.disks else None

    @property
    def rx_bytes_per_s(self) -> float | None:
        """Over all interfaces; None: no interface is known."""
        return sum(nic.rx_bytes_per_s for nic in self.nics) if self.nics else None

    @property
    def tx_bytes_per_s(self) -> float | None:
        """The same, sent."""
        return sum(nic.tx_bytes_per_s for nic in self.nics) if self.nics else None


def host_rates(before: HostCounters | None, now: HostCounters) -> HostRates:
    """Rates between two samples; what started anew or is not known twice is left out."""
    dt = now.at_s - before.at_s if before else 0.0
    if before is None or dt <= 0:
        return HostRates(now.at_s)
    old_disks = {disk.name: disk for disk in before.disks}
    old_nics = {nic.name: nic for nic in before.nics}
    same_cpus = len(before.cpus) == len(now.cpus)
    return HostRates(
        at_s=now.at_s,
        interval_s=dt,
        cpu=_shares(before.cpu, now.cpu),
        cpus=tuple(_shares(b, n) for b, n in zip(before.cpus, now.cpus, strict=True))
        if same_cpus
        else (),
        swap_in_bytes_per_s=_rate(before.swap_in_bytes, now.swap_in_bytes, dt),
        swap_out_bytes_per_s=_rate(before.swap_out_bytes, now.swap_out_bytes, dt),
        ksm_cpu_percent=_percent(
            _rate(before.ksm.cpu_s, now.ksm.cpu_s, dt) if before.ksm and now.ksm else None
        ),
        disks=tuple(
            rate for disk in now.disks if (rate := _disk(old_disks.get(disk.name), disk, dt))
        ),
        nics=tuple(flow for nic in now.nics if (flow := _nic(old_nics.get(nic.name), nic, dt))),
    )


def _rate(before: float | None, now: float | None, dt: float) -> float | None:
    if before is None or now is None or now < before:
        return None
    return (now - before) / dt


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share


def _shares(before: CpuTimes | None, now: CpuTimes | None) -> CpuShares | None:
    if before is None or now is None:
        return None
    spent = {
        name: _spent(getattr(before, name), getattr(now, name))
        for name in ("user_s", "system_s", "idle_s", "iowait_s", "steal_s", "guest_s")
    }
    total_s = sum(s for s in spent.values() if s is not None)
    if total_s <= 0:
        return None
    share = {n: None if s is None else 100 * s / total_s for n, s in spent.items()}
    return CpuShares(
        user_percent=share["user_s"] or 0.0,
        system_percent=share["system_s"] or 0.0,
        idle_percent=share["idle_s"] or 0.0,
        iowait_percent=share["iowait_s"],
        steal_percent=share["steal_s"],
        guest_percent=share["guest_s"],
    )


def _spent(before: float | None, now: float | None) -> float | None:
    # The kernel's idle and iowait are known to step back a little; that is no time at all.
    return None if before is None or now is None else max(0.0, now - before)


def _disk(
    before: HostDiskCounters | None, now: HostDiskCounters, dt: float
) -> HostDiskRates | None:
    if before is None:
        return None
    reads, writes = _rate(before.reads, now.reads, dt), _rate(before.writes, now.writes, dt)
    read_bytes = _rate(before.read_bytes, now.read_bytes, dt)
    write_bytes = _rate(before.write_bytes, now.write_bytes, dt)
    if reads is None or writes is None or read_bytes is None or write_bytes is None:
        return None
    busy = _percent(_rate(before.busy_s, now.busy_s, dt))
    busy = None if busy is None else min(100.0, busy)
    return HostDiskRates(now.name, reads, writes, read_bytes, write_bytes, busy)


def _nic(before: HostNicCounters | None, now: HostNicCounters, dt: float) -> HostNicRates | None:
    if before is None:
        return None
    rx, tx = _rate(before.rx_bytes, now.rx_bytes, dt), _rate(before.tx_bytes, now.tx_bytes, dt)
    if rx is None or tx is None:
        return None
    errors = _rate(before.errors, now.errors, dt)
    return HostNicRates(now.name, rx, tx, errors, _rate(before.drops, now.drops, dt))
