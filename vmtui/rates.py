"""What a VM did for each second between two samples: what `metrics` makes, and the rest reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class VcpuRates:
    """One vCPU, in percent of one host CPU."""

    index: int
    used_percent: float | None
    ready_percent: float | None


@dataclass(frozen=True, slots=True)
class CpuRates:
    """CPU of one VM.

    `core_percent` is of one host CPU (emulator threads included), `vm_percent` of all the VM's
    vCPUs, so that it can pass 100. Ready time is of one vCPU: their mean, and the worst.
    """

    interval_s: float
    core_percent: float | None = None
    vm_percent: float | None = None
    user_core_percent: float | None = None
    system_core_percent: float | None = None
    ready_mean_percent: float | None = None
    ready_max_percent: float | None = None
    halt_poll_core_percent: float | None = None
    vcpus: tuple[VcpuRates, ...] = ()
    exits_per_s: Mapping[str, float] | None = None


@dataclass(frozen=True, slots=True)
class GuestRates:
    """What the guest says of its memory; `used_bytes` and the rates only while it is fresh.

    `renewed_at_s` is when vmtui first saw the figures as they are (monotonic): a guest that has
    stopped renewing them is noticed whatever the host's clock says.
    """

    renewed_at_s: float
    age_s: float
    fresh: bool
    used_bytes: int | None = None
    swap_in_bytes_per_s: float | None = None
    swap_out_bytes_per_s: float | None = None
    major_faults_per_s: float | None = None


@dataclass(frozen=True, slots=True)
class DiskRates:
    """One disk. Latencies are None without requests; `in_flight` is by Little's law."""

    target: str
    interval_s: float
    reads_per_s: float | None = None
    writes_per_s: float | None = None
    flushes_per_s: float | None = None
    read_bytes_per_s: float | None = None
    write_bytes_per_s: float | None = None
    read_latency_ms: float | None = None
    write_latency_ms: float | None = None
    latency_ms: float | None = None  # of reads and writes together
    flush_latency_ms: float | None = None
    in_flight: float | None = None


@dataclass(frozen=True, slots=True)
class NicRates:
    """One network card, from the guest's side. Drops are a percentage of all packets."""

    name: str
    interval_s: float
    rx_bytes_per_s: float | None = None
    tx_bytes_per_s: float | None = None
    rx_packets_per_s: float | None = None
    tx_packets_per_s: float | None = None
    errors_per_s: float | None = None
    drops_per_s: float | None = None
    drop_percent: float | None = None


@dataclass(frozen=True, slots=True)
class Rates:
    """What one VM did up to `at_s`; each group over an interval of its own."""

    at_s: float
    cpu: CpuRates | None = None
    guest: GuestRates | None = None
    disks: tuple[DiskRates, ...] = ()
    nics: tuple[NicRates, ...] = ()
