"""What a VM is to get of the host's CPUs: a profile in one word, and what is said beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from vmtui.backends.kvm.hardware import TuningDefinition
from vmtui.hardware.cores import CoreMap, HostCpu, parse_cpus

USUAL_WEIGHT = 100
USUAL_PERIOD_US = 100_000

_WEIGHTS = {"low": 25, "normal": USUAL_WEIGHT, "high": 400}
_LOW_QUOTA_PERCENT = 50
"""Of each vCPU."""


@dataclass(frozen=True, slots=True)
class Tuned:
    """What to give a VM's threads. None and empty: whatever the kernel gives."""

    weight: int | None = None
    quota_percent: int | None = None  # of one CPU
    period_us: int = USUAL_PERIOD_US
    vcpus: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    emulator: tuple[int, ...] = ()

    @property
    def shares(self) -> bool:
        """Whether a control group is needed for it."""
        return self.weight not in (None, USUAL_WEIGHT) or self.quota_percent is not None

    @property
    def pins(self) -> bool:
        """Whether a thread has its place."""
        return bool(self.vcpus or self.emulator)


def tuned(wanted: TuningDefinition, vcpus: int, cores: CoreMap) -> Tuned:
    """What `wanted` comes to on a host, on which `cores.placed` are the other VMs' threads.

    What is said by itself goes before the profile. Raises ValueError with what can't be.
    """
    pinned = pins(wanted.pin, vcpus)
    emulator = parse_cpus(wanted.emulator)
    for cpus in (*pinned.values(), emulator):
        absent = sorted(set(cpus) - cores.numbers)
        if absent:
            raise ValueError(f"this host has no CPU {absent[0]}")
    if wanted.profile == "dedicated" and not pinned:
        own = _own_cpus(vcpus, cores)
        pinned = {number: (cpu,) for number, cpu in enumerate(own)}
        emulator = emulator or tuple(sorted(cores.numbers - set(own)))
    quota = wanted.quota or (_LOW_QUOTA_PERCENT * vcpus if wanted.profile == "low" else None)
    return Tuned(
        wanted.weight or _WEIGHTS.get(wanted.profile),
        quota,
        wanted.period_us or USUAL_PERIOD_US,
        pinned,
        emulator,
    )


def pins(text: str, vcpus: int) -> dict[int, tuple[int, ...]]:
    """By vCPU, the host's CPUs of a text such as `0=0-3 1=4` or `all=0-3`. Raises ValueError."""
    found: dict[int, tuple[int, ...]] = {}
    for part in text.split():
        vcpu, equals, cpus = part.partition("=")
        if not equals or not (vcpu == "all" or vcpu.isdecimal()) or not parse_cpus(cpus):
            raise ValueError(f"{part!r} is not vCPU=CPUs, such as 0=0-3 or all=0-3")
        if vcpu != "all" and int(vcpu) >= vcpus:
            raise ValueError(f"there is no vCPU {vcpu}; they are 0 to {vcpus - 1}")
        for number in range(vcpus) if vcpu == "all" else [int(vcpu)]:
            found[number] = parse_cpus(cpus)
    return found


def _own_cpus(vcpus: int, cores: CoreMap) -> tuple[int, ...]:
    """CPUs for vCPUs that share them with nobody: of one NUMA node if they fit, core by core.

    One CPU stays for all else. Raises ValueError if there are not as many.
    """
    taken = {cpu for placed in cores.placed for cpu in placed.cpus if len(placed.cpus) == 1}
    free = [cpu for cpu in cores.cpus if cpu.number not in taken]
    if len(free) <= vcpus:
        raise ValueError(
            f"{vcpus} CPUs of its own and one for all else are needed; "
            f"{len(free)} of the host's {len(cores.cpus)} are free"
        )
    by_node = sorted(free, key=lambda cpu: (_room(cpu, free) < vcpus, cpu.node, _core(cpu)))
    chosen = by_node[:vcpus]
    return tuple(cpu.number for cpu in chosen)


def _room(cpu: HostCpu, free: list[HostCpu]) -> int:
    return sum(other.node == cpu.node for other in free)


def _core(cpu: HostCpu) -> tuple[int, int, int]:
    return cpu.package, cpu.core, cpu.number
