"""Rates from cumulative counters and their own clock: the only place that divides by time."""

from __future__ import annotations

from dataclasses import dataclass

from vmtui.model import Counters, HostCounters


@dataclass(frozen=True, slots=True)
class Rates:
    """What one VM did between two samples `interval_s` apart.

    `cpu_core_percent` is of one host core (emulator threads included), `cpu_percent` of all the
    VM's vCPUs, so that it can pass 100.
    """

    interval_s: float
    cpu_core_percent: float | None = None
    cpu_percent: float | None = None


@dataclass(frozen=True, slots=True)
class HostRates:
    """What the host did: CPU in percent of all its CPUs, memory as it is now."""

    cpu_percent: float | None = None
    memory_used_bytes: int | None = None
    memory_total_bytes: int | None = None


def rates(before: Counters | None, now: Counters, vcpus: int) -> Rates | None:
    """Rates between two samples of one VM, or None where they do not span one run of it.

    CPU: `100·d(cpu.time)/(dt·1e9)`. A counter that went backwards, a restart or a clock that
    stood still drop the interval.
    """
    if before is None or before.epoch != now.epoch:
        return None
    interval_s = now.at_s - before.at_s
    if interval_s <= 0:
        return None
    if before.cpu_time_ns is None or now.cpu_time_ns is None:
        return Rates(interval_s)
    spent_ns = now.cpu_time_ns - before.cpu_time_ns
    if spent_ns < 0:
        return None
    core_percent = 100 * spent_ns / (interval_s * 1e9)
    return Rates(interval_s, core_percent, core_percent / max(1, vcpus))


def host_rates(before: HostCounters | None, now: HostCounters) -> HostRates:
    """The host between two samples; memory needs only the second."""
    used = (
        now.memory_total_bytes - now.memory_available_bytes
        if now.memory_total_bytes is not None and now.memory_available_bytes is not None
        else None
    )
    return HostRates(_busy_percent(before, now), used, now.memory_total_bytes)


def _busy_percent(before: HostCounters | None, now: HostCounters) -> float | None:
    if (
        before is None
        or before.cpu_busy_s is None
        or before.cpu_total_s is None
        or now.cpu_busy_s is None
        or now.cpu_total_s is None
    ):
        return None
    total_s = now.cpu_total_s - before.cpu_total_s
    busy_s = now.cpu_busy_s - before.cpu_busy_s
    if total_s <= 0 or busy_s < 0:
        return None
    return min(100.0, 100 * busy_s / total_s)
