"""What Prometheus is told of a VM: its state, its alarms and its raw counters."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from operator import attrgetter
from typing import Any

from vmtui.alarms import Thresholds
from vmtui.counters import ALL_EXITS, GuestMemory
from vmtui.exposition.exported import Exported, Values, each, just, scaled
from vmtui.figures import BY_ID
from vmtui.model import State
from vmtui.units import plain
from vmtui.views import VMView


def _info(row: VMView) -> Values:
    vm = row.vm
    facts = (vm.accel, vm.firmware, vm.image and plain(vm.image))
    yield tuple(str(fact or "") for fact in facts), 1.0


def _states(row: VMView) -> Values:
    return (((state.value,), float(row.vm.state is state)) for state in State)


VM_ALWAYS: tuple[Exported[VMView], ...] = (
    Exported("vmtui_vm_info", "What the VM is.", _info, ("accel", "firmware", "image")),
    Exported("vmtui_vm_state", "1 for the state that the VM is in.", _states, ("state",)),
    Exported("vmtui_vm_vcpus", "vCPUs of the VM.", just(lambda row: row.vm.vcpus)),
    Exported(
        "vmtui_vm_stalled",
        "Whether the VM does not answer; its other figures are left out then.",
        just(lambda row: float(bool(row.stalled))),
    ),
)


def alarms(thresholds: Thresholds) -> Exported[VMView]:
    """Of each figure that has a threshold, whether it is above it."""

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
        return scaled(getattr(cpu, name), 1e9) if cpu else None

    return just(get)


def _each_vcpu(name: str) -> Callable[[VMView], Values]:
    def values(row: VMView) -> Values:
        cpu = row.counters.cpu if row.counters else None
        for vcpu in cpu.vcpus if cpu else ():
            yield (str(vcpu.index),), scaled(getattr(vcpu, name), 1e9)

    return values


def _exits(row: VMView) -> Values:
    """By kind. KVM counts one exit under several, so they do not add up to all of them."""
    exits = row.counters.cpu.exits if row.counters and row.counters.cpu else None
    return (((kind,), count) for kind, count in (exits or {}).items() if kind != ALL_EXITS)


def _all_exits(row: VMView) -> float | None:
    exits = row.counters.cpu.exits if row.counters and row.counters.cpu else None
    return (exits or {}).get(ALL_EXITS)


def _memory(name: str) -> Callable[[VMView], Values]:
    def get(row: VMView) -> float | None:
        memory = row.counters.memory if row.counters else None
        return getattr(memory, name) if memory else None

    return just(get)


def _fresh(get: Callable[[GuestMemory], float | None]) -> Callable[[VMView], Values]:
    def value(row: VMView) -> float | None:
        memory = row.counters.memory if row.counters else None
        known = row.rates.guest if row.rates else None
        if memory is None or memory.guest is None or known is None or not known.fresh:
            return None
        return get(memory.guest)

    return just(value)


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
        values = _of_row(each("disks", "target", field, divisor))
        yield Exported(f"vmtui_vm_disk_{name}", what, values, ("disk",))


def _vm_nics() -> Iterator[Exported[VMView]]:
    for way, short, verb in (("receive", "rx", "received"), ("transmit", "tx", "sent")):
        for name, what in (
            ("bytes", f"Bytes that the guest {verb}."),
            ("packets", f"Packets that the guest {verb}."),
            ("errors", f"Damaged packets that the guest {verb}."),
            ("drops", f"Packets that were dropped instead of being {verb}."),
        ):
            values = _of_row(each("nics", "name", f"{short}_{name}"))
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
    Exported("vmtui_vm_all_exits_total", "How often the guest left its CPU.", just(_all_exits)),
    Exported("vmtui_vm_exits_total", "The same by kind; some count twice.", _exits, ("kind",)),
    *_vm_memory(),
    *_vm_disks(),
    *_vm_nics(),
)
