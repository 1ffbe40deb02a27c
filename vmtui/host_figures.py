"""Every figure of a host, declared once: what it is, its unit, its source, how to get it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from vmtui.counters import HostCounters, Ksm, Measure, Pressure
from vmtui.figures import Unit
from vmtui.figures.host_figure import HostFigure, HostSource
from vmtui.host_metrics import CpuShares, HostDiskRates, HostNicRates, HostRates
from vmtui.views import ConnectionView

Value = Callable[[ConnectionView], float | None]


def _from_counters(get: Callable[[HostCounters], float | None]) -> Value:
    def value(connection: ConnectionView) -> float | None:
        return get(connection.host_counters) if connection.host_counters else None

    return value


def _from_rates(get: Callable[[HostRates], float | None]) -> Value:
    def value(connection: ConnectionView) -> float | None:
        return get(connection.host_rates) if connection.host_rates else None

    return value


def _from_cpu(get: Callable[[CpuShares], float | None]) -> Value:
    return _from_rates(lambda rates: get(rates.cpu) if rates.cpu else None)


def _from_ksm(get: Callable[[Ksm], float | None]) -> Value:
    return _from_counters(lambda now: get(now.ksm) if now.ksm else None)


def _load(place: int) -> Value:
    return _from_counters(lambda now: now.load[place] if now.load else None)


def _pressure(resource: Callable[[HostCounters], Pressure | None], kind: str) -> Value:
    def get(now: HostCounters) -> float | None:
        pressure = resource(now)
        if pressure is None:
            return None
        return pressure.some_percent if kind == "some" else pressure.full_percent

    return _from_counters(get)


def _total(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _over_disks(get: Callable[[HostDiskRates], float | None]) -> Value:
    return _from_rates(lambda rates: _total(map(get, rates.disks)))


def _over_nics(get: Callable[[HostNicRates], float | None]) -> Value:
    return _from_rates(lambda rates: _total(map(get, rates.nics)))


def _busiest(rates: HostRates) -> float | None:
    known = (disk.busy_percent for disk in rates.disks)
    return max((percent for percent in known if percent is not None), default=None)


def _less(now: float | None, free: float | None) -> float | None:
    return None if now is None or free is None else now - free


def _held(connection: ConnectionView) -> float | None:
    active = [row for row in connection.vms if row.vm.state.active]
    return _total(row.memory_rss_bytes for row in active) if active else 0.0


def promised_bytes(connection: ConnectionView) -> int:
    """Memory that the active VMs may have at most."""
    return sum(row.vm.memory_bytes for row in connection.vms if row.vm.state.active)


def promised_vcpus(connection: ConnectionView) -> int:
    """vCPUs of the active VMs."""
    return sum(row.vm.vcpus for row in connection.vms if row.vm.state.active)


def _memory_ratio(connection: ConnectionView) -> float | None:
    total = connection.memory_total_bytes or (
        connection.host.memory_bytes if connection.host else None
    )
    return promised_bytes(connection) / total if total else None


def _vcpu_ratio(connection: ConnectionView) -> float | None:
    cpus = connection.host.cpus if connection.host else None
    return promised_vcpus(connection) / cpus if cpus else None


_STAT = HostSource("/proc/stat", "virNodeGetCPUStats")
_STAT_ONLY = HostSource("/proc/stat")
_LOAD = HostSource("/proc/loadavg")
_MEMINFO = HostSource("/proc/meminfo", "virNodeGetMemoryStats")
_MEMINFO_ONLY = HostSource("/proc/meminfo")
_HUGE = HostSource("/sys/kernel/mm/hugepages")
_SWAP = HostSource("/proc/vmstat pswpin, pswpout")
_DISKSTATS = HostSource("/proc/diskstats")
_NET = HostSource("/proc/net/dev")
_OWN = HostSource("the VMs themselves", "the VMs themselves")


def _cpu_figures() -> Iterable[HostFigure]:
    for name, title, meaning, source, measure, get in (
        ("cpu", "CPU", "Time that the host's CPUs worked, in percent of all of them: neither idle "
         "nor waiting for a disk.", _STAT, Measure.CPU, lambda cpu: cpu.busy_percent),
        ("user", "user", "The part in programs of the host; guests are counted apart.",
         _STAT, Measure.CPU, lambda cpu: cpu.user_percent),
        ("system", "system", "The part in the host's kernel, interrupts included.",
         _STAT, Measure.CPU, lambda cpu: cpu.system_percent),
        ("iowait", "iowait", "Time that CPUs were idle while a program waited for a disk.",
         _STAT, Measure.CPU, lambda cpu: cpu.iowait_percent),
        ("steal", "steal", "Time that a hypervisor below this host gave to others instead.",
         _STAT_ONLY, Measure.CPU_DETAIL, lambda cpu: cpu.steal_percent),
        ("guest", "guest", "The part inside guests that run on KVM; an emulated guest counts as a "
         "program.", _STAT_ONLY, Measure.CPU_DETAIL, lambda cpu: cpu.guest_percent),
    ):  # fmt: skip
        yield HostFigure(
            name, title, Unit.PERCENT, meaning, source, measure, _from_cpu(get), rate=True
        )


def _load_figures() -> Iterable[HostFigure]:
    for place, minutes in enumerate((1, 5, 15)):
        yield HostFigure(
            f"load{minutes}",
            f"load {minutes}",
            Unit.COUNT,
            "How many tasks of the host ran, were ready to run or waited for a disk, smoothed over "
            f"{minutes} min. Every busy vCPU is one.",
            _LOAD,
            Measure.LOAD,
            _load(place),
        )


def _pressure_figures() -> Iterable[HostFigure]:
    resources: tuple[tuple[str, str, Callable[[HostCounters], Pressure | None]], ...] = (
        ("cpu", "a CPU", lambda now: now.cpu_pressure),
        ("memory", "memory", lambda now: now.memory_pressure),
        ("io", "a disk", lambda now: now.io_pressure),
    )
    for resource, what, get in resources:
        for kind, who in (("some", "at least one task"), ("full", "every task at once")):
            yield HostFigure(
                f"psi_{resource}_{kind}",
                f"psi {kind}",
                Unit.PERCENT,
                f"Pressure: how much of the last 10 s {who} waited for {what}.",
                HostSource(f"/proc/pressure/{resource} {kind} avg10"),
                Measure.PRESSURE,
                _pressure(get, kind),
            )


def _memory_figures() -> Iterable[HostFigure]:
    for name, title, meaning, source, measure, value in (
        ("memory_total", "total", "Memory of the host.", _MEMINFO, Measure.MEMORY,
         _from_counters(lambda now: now.memory_total_bytes)),
        ("memory_used", "used", "Memory that programs, guests and the kernel hold and would not "
         "give back: total less available.", _MEMINFO, Measure.MEMORY,
         lambda connection: connection.memory_used_bytes),
        ("memory_cached", "cache", "Page cache and buffers, most of which the kernel gives back "
         "when programs want memory.", _MEMINFO, Measure.MEMORY,
         _from_counters(lambda now: now.memory_cached_bytes)),
        ("memory_available", "available", "Memory that programs could still get without swapping.",
         _MEMINFO, Measure.MEMORY, _from_counters(lambda now: now.memory_available_bytes)),
        ("memory_free", "free", "Memory that nothing uses at all, not even as cache.",
         _MEMINFO, Measure.MEMORY, _from_counters(lambda now: now.memory_free_bytes)),
        ("held", "held by VMs", "Memory of the host that the VMs' processes hold.", _OWN,
         Measure.RSS, _held),
        ("huge_total", "huge pages", "Memory set aside in huge pages, of all sizes.", _HUGE,
         Measure.HUGE_PAGES, _from_counters(lambda now: now.huge_pages_total_bytes)),
        ("huge_used", "huge used", "What of the huge pages is in use.", _HUGE, Measure.HUGE_PAGES,
         _from_counters(
             lambda now: _less(now.huge_pages_total_bytes, now.huge_pages_free_bytes))),
        ("swap_total", "swap", "Swap space of the host.", _MEMINFO_ONLY, Measure.SWAP,
         _from_counters(lambda now: now.swap_total_bytes)),
        ("swap_used", "swap used", "What of the swap space is in use.", _MEMINFO_ONLY,
         Measure.SWAP, _from_counters(lambda now: now.swap_used_bytes)),
        ("ksm_saved", "KSM saved", "Memory that the host need not have because equal pages are "
         "kept once.", HostSource("/sys/kernel/mm/ksm/pages_sharing × page size"), Measure.KSM,
         _from_ksm(lambda ksm: ksm.saved_bytes)),
        ("ksm_profit", "KSM net", "What KSM saves less what its own bookkeeping takes; below 0 it "
         "costs memory.", HostSource("/sys/kernel/mm/ksm/general_profit"), Measure.KSM,
         _from_ksm(lambda ksm: ksm.profit_bytes)),
    ):  # fmt: skip
        yield HostFigure(name, title, Unit.BYTES, meaning, source, measure, value)


def _device_figures() -> Iterable[HostFigure]:
    for name, title, unit, meaning, source, measure, value in (
        ("swap_in", "swap in", Unit.BYTES_PER_S, "What the host reads back from its swap.", _SWAP,
         Measure.SWAP, _from_rates(lambda rates: rates.swap_in_bytes_per_s)),
        ("swap_out", "swap out", Unit.BYTES_PER_S, "What the host writes to its swap: it has too "
         "little memory.", _SWAP, Measure.SWAP,
         _from_rates(lambda rates: rates.swap_out_bytes_per_s)),
        ("ksm_cpu", "ksmd", Unit.PERCENT, "CPU time that the search for equal pages takes, in "
         "percent of one CPU.", HostSource("/proc/PID/stat of ksmd"), Measure.KSM,
         _from_rates(lambda rates: rates.ksm_cpu_percent)),
        ("read_bytes", "read", Unit.BYTES_PER_S, "Bytes read per second from the devices of the "
         "host; what lies above them is not counted twice.", _DISKSTATS, Measure.DISKS,
         _from_rates(lambda rates: rates.read_bytes_per_s)),
        ("write_bytes", "write", Unit.BYTES_PER_S, "Bytes written per second to the devices of the "
         "host.", _DISKSTATS, Measure.DISKS, _from_rates(lambda rates: rates.write_bytes_per_s)),
        ("iops", "IOPS", Unit.PER_S, "Requests per second to the devices of the host, both ways.",
         _DISKSTATS, Measure.DISKS,
         _over_disks(lambda disk: disk.reads_per_s + disk.writes_per_s)),
        ("disk_busy", "busy", Unit.PERCENT, "How much of the time the busiest device had a request "
         "to work on. A device that works on many at once is not full at 100.", _DISKSTATS,
         Measure.DISKS, _from_rates(_busiest)),
        ("rx_bytes", "rx", Unit.BYTES_PER_S, "Bytes per second that the host received, over its "
         "interfaces to the outside.", _NET, Measure.NICS,
         _from_rates(lambda rates: rates.rx_bytes_per_s)),
        ("tx_bytes", "tx", Unit.BYTES_PER_S, "Bytes per second that the host sent.", _NET,
         Measure.NICS, _from_rates(lambda rates: rates.tx_bytes_per_s)),
        ("errors", "errors", Unit.PER_S, "Packets per second that were damaged, both ways.", _NET,
         Measure.NICS, _over_nics(lambda nic: nic.errors_per_s)),
        ("drops", "drops", Unit.PER_S, "Packets per second that the host dropped, both ways.",
         _NET, Measure.NICS, _over_nics(lambda nic: nic.drops_per_s)),
    ):  # fmt: skip
        yield HostFigure(name, title, unit, meaning, source, measure, value, rate=True)


def _other_figures() -> Iterable[HostFigure]:
    yield HostFigure(
        "ksm_running",
        "KSM",
        Unit.COUNT,
        "Whether the host looks for equal pages to keep once: 1 or 0.",
        HostSource("/sys/kernel/mm/ksm/run"),
        Measure.KSM,
        _from_ksm(lambda ksm: float(ksm.running)),
    )
    yield HostFigure(
        "memory_ratio",
        "memory promised",
        Unit.RATIO,
        "Memory that the active VMs may have at most, as a multiple of the host's. Above 1 not all "
        "can have what they were promised.",
        _OWN,
        Measure.MEMORY,
        _memory_ratio,
    )
    yield HostFigure(
        "vcpu_ratio",
        "vCPUs promised",
        Unit.RATIO,
        "vCPUs of the active VMs for each CPU of the host. Above 1 they may have to wait: watch "
        "their ready time.",
        _OWN,
        Measure.CPU,
        _vcpu_ratio,
    )


HOST_FIGURES: tuple[HostFigure, ...] = (
    *_cpu_figures(),
    *_load_figures(),
    *_pressure_figures(),
    *_memory_figures(),
    *_device_figures(),
    *_other_figures(),
)

HOST_BY_ID: Mapping[str, HostFigure] = {figure.id: figure for figure in HOST_FIGURES}
