"""The CPUs of a host: how they are laid out, and which threads of VMs may run on which."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from vmtui.model import VMId


@dataclass(frozen=True, slots=True)
class HostCpu:
    """One logical CPU. CPUs of the same `package` and `core` share the core's power."""

    number: int
    node: int = 0  # NUMA
    package: int = 0
    core: int = 0


@dataclass(frozen=True, slots=True)
class Placed:
    """A thread of a running VM, or several that are alike."""

    vm: VMId
    name: str
    what: str  # `vCPU 0`, `I/O`, `emulator`
    cpus: frozenset[int]  # where it may run, as the kernel has it
    last: int | None = None  # where it was last


@dataclass(frozen=True, slots=True)
class CoreMap:
    """All CPUs of a host that are online, and what may run on them."""

    cpus: tuple[HostCpu, ...]
    placed: tuple[Placed, ...] = ()

    @property
    def numbers(self) -> frozenset[int]:
        """Of its CPUs."""
        return frozenset(cpu.number for cpu in self.cpus)

    @property
    def nodes(self) -> tuple[int, ...]:
        """Its NUMA nodes."""
        return tuple(sorted({cpu.node for cpu in self.cpus}))

    def pinned_to(self, number: int) -> tuple[Placed, ...]:
        """What may run on that CPU and not on all of them."""
        everywhere = self.numbers
        return tuple(p for p in self.placed if number in p.cpus and not p.cpus >= everywhere)


def parse_cpus(text: str) -> tuple[int, ...]:
    """The CPUs of a list such as `0-3,8`, as the kernel writes it. Raises ValueError."""
    found: set[int] = set()
    for part in filter(None, text.strip().split(",")):
        first, dash, last = part.partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise ValueError(f"{part!r} is not a CPU's number or a range such as 0-3")
        end = int(last) if dash else int(first)
        if end < int(first) or end > _MOST:
            raise ValueError(f"{part!r} is not a range of CPUs")
        found.update(range(int(first), end + 1))
    return tuple(sorted(found))


_MOST = 8191
"""As many CPUs as Linux can be built for."""


def cpus_text(cpus: Iterable[int]) -> str:
    """The CPUs as `parse_cpus` reads them."""
    ranges: list[list[int]] = []
    for number in sorted(set(cpus)):
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return ",".join(f"{a}" if a == b else f"{a}-{b}" for a, b in ranges)
