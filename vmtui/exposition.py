"""What Prometheus is told: every counter of the fleet in base units, by the names of that world.

A figure that is not known, or of a VM that does not answer, is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Generic, TypeVar

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from vmtui.alarms import Thresholds
from vmtui.counters import ALL_EXITS, CpuTimes, GuestMemory, HostCounters
from vmtui.figures import BY_ID
from vmtui.model import State
from vmtui.units import plain
from vmtui.views import ConnectionStatus, ConnectionView, FleetView, VMView

T = TypeVar("T")

Values = Iterable[tuple[tuple[str, ...], float | None]]
"""Values of one metric of one thing, by its own labels."""


@dataclass(frozen=True, slots=True)
class Exported(Generic[T]):
    """One metric. A name that ends in `_total` is a counter, any other a gauge."""

    name: str
    help: str
    values: Callable[[T], Values]
    labels: tuple[str, ...] = ()

    def family(self, common: tuple[str, ...]) -> Metric:
        """It, empty, under its full name."""
        kind = CounterMetricFamily if self.name.endswith("_total") else GaugeMetricFamily
        return kind(self.name, self.help, labels=(*common, *self.labels))


def families(view: FleetView, thresholds: Thresholds, now_s: float) -> Iterator[Metric]:
    """All metrics of a view at `now_s` (monotonic)."""
    connections = [((plain(c.label),), c) for c in view.connections]
    yield from _filled(_connection_metrics(now_s), ("connection",), connections)
    up = [(labels, c) for labels, c in connections if c.status is ConnectionStatus.UP]
    hosts = [(labels, c.host_counters) for labels, c in up if c.host_counters is not None]
    yield from _filled(HOST, ("connection",), hosts)
    rows = [((*labels, plain(row.vm.name), row.vm.uuid), row) for labels, c in up for row in c.vms]
    common = ("connection", "vm", "uuid")
    yield from _filled((*VM_ALWAYS, _alarms(thresholds)), common, rows)
    answering = [
        (labels, row)
        for labels, row in rows
        if row.vm.state.active and row.counters is not None and not row.stalled
    ]
    yield from _filled(VM_COUNTED, common, answering)


def _filled(
    metrics: Iterable[Exported[T]],
    common: tuple[str, ...],
    things: Iterable[tuple[tuple[str, ...], T]],
) -> Iterator[Metric]:
    for metric in metrics:
        family: Any = metric.family(common)
        for labels, thing in things:
            for own, value in metric.values(thing):
                if value is not None:
                    family.add_metric((*labels, *own), value)
        if family.samples:
            yield family


def _just(get: Callable[[T], float | None]) -> Callable[[T], Values]:
    return lambda thing: (((), get(thing)),)


def _scaled(value: float | None, divisor: float) -> float | None:
    return None if value is None else value / divisor


# -- connections -----------------------------------------------------------------------------------


def _connection_metrics(now_s: float) -> tuple[Exported[ConnectionView], ...]:
    def age_s(connection: ConnectionView) -> float | None:
        counters = connection.host_counters
        return max(0.0, now_s - counters.at_s) if counters is not None else None

    return (
        Exported(
            "vmtui_up",
            "Whether the connection is up.",
            _just(lambda c: float(c.status is ConnectionStatus.UP)),
        ),
        Exported(
            "vmtui_sampling_interval_seconds",
            "Time between the last two samples of the connection.",
            _just(lambda c: c.interval_s or None),
        ),
        Exported(
            "vmtui_sample_age_seconds",
            "How old the last sample of the connection is.",
            _just(age_s),
        ),
    )


# -- VMs -------------------------------------------------------------------------------------------


def _info(row: VMView) -> Values:
    vm = row.vm
    facts = (vm.accel, vm.firmware, vm.image and plain(vm.image))
    yield tuple(str(fact or "") for fact in facts), 1.0


def _states(row: VMView) -> Values:
    return (((state.value,), float(row.vm.state is state)) for state in State)


VM_ALWAYS: tuple[Exported[VMView], ...] = (
    Exported("vmtui_vm_info", "What the VM is.", _info, ("accel", "firmware", "image")),
    Exported("vmtui_vm_state", "1 for the state that the VM is in.", _states, ("state",)),
    Exported("vmtui_vm_vcpus", "vCPUs of the VM.", _just(lambda row: row.vm.vcpus)),
    Exported(
        "vmtui_vm_stalled",
        "Whether the VM does not answer; its other figures are left out then.",
        _just(lambda row: float(bool(row.stalled))),
    ),
)


def _alarms(thresholds: Thresholds) -> Exported[VMView]:
    def values(row: VMView) -> Values:
        breached = {breach.figure for breach in row.breaches}
        for figure in thresholds.above:
            if not row.stalled and BY_ID[figure].of(row) is not None:
                yield (figure,), float(figure in breached)

    return Exported(
        "vmtui_vm_alarm", "Whether a figure has been above its threshold.", values, ("figure",)
    )


def _cpu(name: str) -> Callable[[VMView], Values]:
    def get(row: VMView) -> float | None:
        cpu = row.counters.cpu if row.counters else None
        return _scaled(getattr(cpu, name), 1e9) if cpu else None

    return _just(get)


def _each_vcpu(name: str) -> Callable[[VMView], Values]:
    def values(row: VMView) -> Values:
        cpu = row.counters.cpu if row.counters else None
        for vcpu in cpu.vcpus if cpu else ():
            yield (str(vcpu.index),), _scaled(getattr(vcpu, name), 1e9)

    return values


def _exits(row: VMView) -> Values:
    """By kind, so that they add up to all of them."""
    exits = row.counters.cpu.exits if row.counters and row.counters.cpu else None
    kinds = {kind: count for kind, count in (exits or {}).items() if kind != ALL_EXITS}
    if exits and ALL_EXITS in exits:
        kinds["other"] = max(0, exits[ALL_EXITS] - sum(kinds.values()))
    return (((kind,), count) for kind, count in kinds.items())


def _memory(name: str) -> Callable[[VMView], Values]:
    def get(row: VMView) -> float | None:
        memory = row.counters.memory if row.counters else None
        return getattr(memory, name) if memory else None

    return _just(get)


def _fresh(get: Callable[[GuestMemory], float | None]) -> Callable[[VMView], Values]:
    def value(row: VMView) -> float | None:
        memory = row.counters.memory if row.counters else None
        known = row.rates.guest if row.rates else None
        if memory is None or memory.guest is None or known is None or not known.fresh:
            return None
        return get(memory.guest)

    return _just(value)


def _each(things: str, key: str, name: str, divisor: float = 1) -> Callable[[Any], Values]:
    """A figure of each disk or card, by its name."""

    def values(holder: Any) -> Values:
        for thing in getattr(holder, things):
            yield (plain(getattr(thing, key)),), _scaled(getattr(thing, name), divisor)

    return values


def _of_row(values: Callable[[Any], Values]) -> Callable[[VMView], Values]:
    return lambda row: values(row.counters) if row.counters else ()


def _vm_memory() -> Iterator[Exported[VMView]]:
    for name, what in (
        ("maximum", "The memory that the VM may have at most."),
        ("target", "The memory that the balloon was last asked to leave the guest."),
        ("actual", "The memory that the balloon leaves the guest."),
        ("rss", "Memory of the host that the VM's process holds."),
        ("swapped", "Memory of the VM that the host has moved to its swap."),
        ("merged", "Memory of the VM that the host shares with equal pages elsewhere."),
    ):
        yield Exported(f"vmtui_vm_memory_{name}_bytes", what, _memory(f"{name}_bytes"))
    for name, field, what in (
        ("memory_total_bytes", "total_bytes", "MemTotal of the guest."),
        ("memory_available_bytes", "available_bytes", "MemAvailable of the guest."),
        ("memory_free_bytes", "free_bytes", "MemFree of the guest."),
        ("memory_caches_bytes", "caches_bytes", "Page cache of the guest."),
        ("swap_in_bytes_total", "swap_in_bytes", "What the guest read back from its swap."),
        ("swap_out_bytes_total", "swap_out_bytes", "What the guest wrote to its swap."),
        ("major_faults_total", "major_faults", "Page faults of the guest that read a disk."),
        ("minor_faults_total", "minor_faults", "Page faults of the guest that read no disk."),
    ):
        yield Exported(f"vmtui_vm_guest_{name}", what, _fresh(attrgetter(field)))


def _vm_disks() -> Iterator[Exported[VMView]]:
    for name, field, divisor, what in (
        ("reads_total", "reads", 1, "Read requests."),
        ("read_bytes_total", "read_bytes", 1, "Bytes read."),
        ("read_seconds_total", "read_ns", 1e9, "Time of all read requests."),
        ("writes_total", "writes", 1, "Write requests."),
        ("written_bytes_total", "write_bytes", 1, "Bytes written."),
        ("write_seconds_total", "write_ns", 1e9, "Time of all write requests."),
        ("flushes_total", "flushes", 1, "Flushes."),
        ("flush_seconds_total", "flush_ns", 1e9, "Time of all flushes."),
        ("capacity_bytes", "capacity_bytes", 1, "Size as the guest sees it."),
        ("allocation_bytes", "allocation_bytes", 1, "The highest offset that was written."),
        ("physical_bytes", "physical_bytes", 1, "What the image takes on the host."),
    ):
        values = _of_row(_each("disks", "target", field, divisor))
        yield Exported(f"vmtui_vm_disk_{name}", what, values, ("disk",))


def _vm_nics() -> Iterator[Exported[VMView]]:
    for way, short, verb in (("receive", "rx", "received"), ("transmit", "tx", "sent")):
        for name, what in (
            ("bytes", f"Bytes that the guest {verb}."),
            ("packets", f"Packets that the guest {verb}."),
            ("errors", f"Damaged packets that the guest {verb}."),
            ("drops", f"Packets that were dropped instead of being {verb}."),
        ):
            values = _of_row(_each("nics", "name", f"{short}_{name}"))
            yield Exported(f"vmtui_vm_network_{way}_{name}_total", what, values, ("nic",))


VM_COUNTED: tuple[Exported[VMView], ...] = (
    Exported("vmtui_vm_cpu_seconds_total", "CPU time, QEMU's own included.", _cpu("time_ns")),
    Exported("vmtui_vm_cpu_user_seconds_total", "Its part in user mode.", _cpu("user_ns")),
    Exported("vmtui_vm_cpu_system_seconds_total", "Its part in the kernel.", _cpu("system_ns")),
    Exported(
        "vmtui_vm_vcpu_seconds_total", "CPU time of a vCPU.", _each_vcpu("time_ns"), ("vcpu",)
    ),
    Exported(
        "vmtui_vm_vcpu_ready_seconds_total",
        "Time that a vCPU could run but waited for a host CPU.",
        _each_vcpu("ready_ns"),
        ("vcpu",),
    ),
    Exported(
        "vmtui_vm_halt_poll_seconds_total",
        "Time that KVM waited busily for halted vCPUs.",
        _cpu("halt_poll_ns"),
    ),
    Exported("vmtui_vm_exits_total", "How often the guest left its CPU.", _exits, ("kind",)),
    *_vm_memory(),
    *_vm_disks(),
    *_vm_nics(),
)


# -- hosts -----------------------------------------------------------------------------------------

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
            yield (resource, "full"), _scaled(pressure.full_percent, 100)


def _load(place: int) -> Callable[[HostCounters], Values]:
    return _just(lambda host: host.load[place] if host.load else None)


def _ksm(name: str) -> Callable[[HostCounters], Values]:
    return _just(lambda host: getattr(host.ksm, name) if host.ksm else None)


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
        Exported(f"vmtui_host_{name}", what, _just(attrgetter(field)))
        for name, (field, what) in _HOST_MEMORY.items()
    ),
    Exported("vmtui_host_ksm_running", "Whether equal pages are looked for.", _ksm("running")),
    Exported("vmtui_host_ksm_saved_bytes", "Memory that KSM saves.", _ksm("saved_bytes")),
    Exported("vmtui_host_ksm_profit_bytes", "The same less KSM's own.", _ksm("profit_bytes")),
    Exported("vmtui_host_ksm_cpu_seconds_total", "CPU time of ksmd.", _ksm("cpu_s")),
    *(
        Exported(f"vmtui_host_disk_{name}", what, _each("disks", "name", field), ("disk",))
        for name, field, what in (
            ("reads_total", "reads", "Read requests."),
            ("read_bytes_total", "read_bytes", "Bytes read."),
            ("writes_total", "writes", "Write requests."),
            ("written_bytes_total", "write_bytes", "Bytes written."),
            ("busy_seconds_total", "busy_s", "Time with at least one request in flight."),
        )
    ),
    *(
        Exported(f"vmtui_host_network_{name}", what, _each("nics", "name", field), ("nic",))
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
