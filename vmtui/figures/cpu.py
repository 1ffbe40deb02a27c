"""The figures of a VM's CPU."""

from __future__ import annotations

from collections.abc import Callable

from vmtui.counters import ALL_EXITS, Measure
from vmtui.figures.figure import Figure, Source, Unit
from vmtui.model import Accel
from vmtui.rates import CpuRates
from vmtui.views import VMView


def _from_cpu(get: Callable[[CpuRates], float | None]) -> Callable[[VMView], float | None]:
    def value(row: VMView) -> float | None:
        return get(row.rates.cpu) if row.rates and row.rates.cpu else None

    return value


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


CPU_FIGURES = (
    Figure(
        "cpu",
        "CPU %",
        Unit.PERCENT,
        "CPU time the VM used, in percent of all its vCPUs. QEMU's own threads count, so that it "
        "can pass 100.",
        Source("/proc/PID/stat utime+stime", "cpu.time; on this machine /proc/PID/stat"),
        Measure.CPU,
        _from_cpu(lambda cpu: cpu.vm_percent),
    ),
    Figure(
        "cpu_core",
        "CORE %",
        Unit.PERCENT,
        "CPU time the VM used, in percent of one host CPU.",
        Source("/proc/PID/stat utime+stime", "cpu.time; on this machine /proc/PID/stat"),
        Measure.CPU,
        _from_cpu(lambda cpu: cpu.core_percent),
    ),
    Figure(
        "cpu_host",
        "HOST %",
        Unit.PERCENT,
        "CPU time the VM used, in percent of all CPUs of its host.",
        Source("/proc/PID/stat utime+stime", "cpu.time; on this machine /proc/PID/stat"),
        Measure.CPU,
        _cpu_host,
    ),
    Figure(
        "cpu_user",
        "USER %",
        Unit.PERCENT,
        "The part of the CPU time in user mode of the host, in percent of one host CPU; an "
        "emulated guest runs there.",
        Source("/proc/PID/stat utime", "cpu.user; on this machine /proc/PID/stat"),
        Measure.CPU,
        _from_cpu(lambda cpu: cpu.user_core_percent),
    ),
    Figure(
        "cpu_system",
        "SYS %",
        Unit.PERCENT,
        "The part of the CPU time in the host's kernel, in percent of one host CPU; under KVM "
        "that includes the guest.",
        Source("/proc/PID/stat stime", "cpu.system; on this machine /proc/PID/stat"),
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
)
