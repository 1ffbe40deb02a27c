"""What Prometheus is told of a host: its raw counters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import attrgetter

from vmtui.counters import CpuTimes, HostCounters
from vmtui.exposition.exported import Exported, Values, each, just, scaled

_MODES = ("user", "system", "idle", "iowait", "steal", "guest")


def _cpu_times(host: HostCounters) -> Values:
    for number, times in enumerate(host.cpus):
        yield from (((str(number), mode), _mode_s(times, mode)) for mode in _MODES)


def _mode_s(times: CpuTimes, mode: str) -> float | None:
    seconds: float | None = getattr(times, f"{mode}_s")
    return seconds


def _pressures(host: HostCounters) -> Values:
    for resource in ("cpu", "memory", "io"):
        pressure = getattr(host, f"{resource}_pressure")
        if pressure is not None:
            yield (resource, "some"), pressure.some_percent / 100
            yield (resource, "full"), scaled(pressure.full_percent, 100)


def _load(place: int) -> Callable[[HostCounters], Values]:
    return just(lambda host: host.load[place] if host.load else None)


def _ksm(name: str) -> Callable[[HostCounters], Values]:
    return just(lambda host: getattr(host.ksm, name) if host.ksm else None)


_HOST_MEMORY: Mapping[str, tuple[str, str]] = {
    "memory_total_bytes": ("memory_total_bytes", "Memory of the host."),
    "memory_available_bytes": ("memory_available_bytes", "Memory that programs could still get."),
    "memory_free_bytes": ("memory_free_bytes", "Memory that nothing uses."),
    "memory_cached_bytes": ("memory_cached_bytes", "Page cache and buffers."),
    "huge_pages_bytes": ("huge_pages_total_bytes", "Memory set aside in huge pages."),
    "huge_pages_free_bytes": ("huge_pages_free_bytes", "What of the huge pages is free."),
    "swap_bytes": ("swap_total_bytes", "Swap space."),
    "swap_used_bytes": ("swap_used_bytes", "Swap space in use."),
    "swap_in_bytes_total": ("swap_in_bytes", "What was read back from swap."),
    "swap_out_bytes_total": ("swap_out_bytes", "What was written to swap."),
}

HOST: tuple[Exported[HostCounters], ...] = (
    Exported("vmtui_host_cpu_seconds_total", "Time of a CPU.", _cpu_times, ("cpu", "mode")),
    *(
        Exported(f"vmtui_host_load{minutes}", f"Load average of {minutes} min.", _load(place))
        for place, minutes in enumerate((1, 5, 15))
    ),
    Exported(
        "vmtui_host_pressure_ratio",
        "Part of the last 10 s in which some, or all, tasks waited for a resource.",
        _pressures,
        ("resource", "kind"),
    ),
    *(
        Exported(f"vmtui_host_{name}", what, just(attrgetter(field)))
        for name, (field, what) in _HOST_MEMORY.items()
    ),
    Exported("vmtui_host_ksm_running", "Whether equal pages are looked for.", _ksm("running")),
    Exported("vmtui_host_ksm_saved_bytes", "Memory that KSM saves.", _ksm("saved_bytes")),
    Exported("vmtui_host_ksm_profit_bytes", "The same less KSM's own.", _ksm("profit_bytes")),
    Exported("vmtui_host_ksm_cpu_seconds_total", "CPU time of ksmd.", _ksm("cpu_s")),
    *(
        Exported(f"vmtui_host_disk_{name}", what, each("disks", "name", field), ("disk",))
        for name, field, what in (
            ("reads_total", "reads", "Read requests."),
            ("read_bytes_total", "read_bytes", "Bytes read."),
            ("writes_total", "writes", "Write requests."),
            ("written_bytes_total", "write_bytes", "Bytes written."),
            ("busy_seconds_total", "busy_s", "Time with at least one request in flight."),
        )
    ),
    *(
        Exported(f"vmtui_host_network_{name}", what, each("nics", "name", field), ("nic",))
        for name, field, what in (
            ("receive_bytes_total", "rx_bytes", "Bytes received."),
            ("transmit_bytes_total", "tx_bytes", "Bytes sent."),
            ("receive_packets_total", "rx_packets", "Packets received."),
            ("transmit_packets_total", "tx_packets", "Packets sent."),
            ("errors_total", "errors", "Damaged packets, both ways."),
            ("drops_total", "drops", "Dropped packets, both ways."),
        )
    ),
)
