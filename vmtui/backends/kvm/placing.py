"""Where a VM's threads run: their CPUs set and told, as the kernel has them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from vmtui.backends import host_cores
from vmtui.backends.kvm import cgroups
from vmtui.backends.kvm.hardware import TuningDefinition
from vmtui.backends.kvm.machine import Machine
from vmtui.backends.kvm.procfs import stat_fields
from vmtui.backends.kvm.tuning import Tuned, tuned
from vmtui.errors import InputError, OperationError, UnsupportedError, VmtuiError
from vmtui.hardware.cores import CoreMap, Placed, parse_cpus

EMULATOR = "emulator"
IO = "I/O"


@dataclass(frozen=True, slots=True)
class Threads:
    """The threads of a QEMU by what they do."""

    pid: int
    vcpus: Mapping[int, int]  # thread ids by the vCPU's number
    io: frozenset[int] = frozenset()

    @property
    def rest(self) -> frozenset[int]:
        """All that are no vCPU: QEMU's main thread, its workers and those of disks."""
        return frozenset(_tasks(self.pid)) - set(self.vcpus.values())


async def threads(machine: Machine) -> Threads:
    """Those of a VM that runs. Raises UnreachableError, OperationError."""
    assert machine.process is not None
    async with machine.asked() as monitor:
        vcpus = await monitor.execute("query-cpus-fast")
        io = await monitor.execute("query-iothreads")
    return Threads(
        machine.process.pid,
        {int(cpu["cpu-index"]): int(cpu["thread-id"]) for cpu in vcpus},
        frozenset(int(thread["thread-id"]) for thread in io),
    )


def place(found: Threads, wanted: Tuned) -> None:
    """Let each thread run where it is to, and those without a place where vmtui itself may.

    Raises OperationError with the kernel's reason, such as a cpuset that forbids it.
    """
    everywhere = os.sched_getaffinity(0)
    for number, thread in found.vcpus.items():
        _bind(thread, wanted.vcpus.get(number) or everywhere, f"vCPU {number}")
    for thread in found.rest:
        _bind(thread, wanted.emulator or everywhere, EMULATOR)


def _bind(thread: int, cpus: tuple[int, ...] | set[int], what: str) -> None:
    try:
        os.sched_setaffinity(thread, cpus)
    except ProcessLookupError:
        pass  # workers come and go
    except OSError as error:
        raise OperationError(
            f"the threads of {what} can't be placed", why=error.strerror or ""
        ) from error


async def apply(machine: Machine, wanted: Tuned) -> list[str]:
    """Give a VM that runs its places and its share; what could not be, and why."""
    assert machine.process is not None
    problems = []
    try:
        place(await threads(machine), wanted)
    except VmtuiError as error:
        problems.append(f"{error.what}: {error.why}")
    tree = await asyncio.to_thread(cgroups.find)
    try:
        await cgroups.give(tree, machine.id, machine.process.pid, wanted)
    except VmtuiError as error:
        problems.append(f"{error.what}: {error.why}")
    return problems


def check(name: str, wanted: TuningDefinition, vcpus: int) -> None:
    """Raise InputError, UnsupportedError for what this host can't give. Blocks, for a moment."""
    try:
        found = tuned(wanted, vcpus, CoreMap(host_cores.read()))
    except ValueError as error:
        raise InputError(f"{name} can't have its CPUs", why=str(error)) from error
    tree = cgroups.find()
    if found.shares and isinstance(tree, str):
        raise UnsupportedError(f"{name} can't have a share of the CPU", why=tree)


async def placed(machine: Machine) -> tuple[Placed, ...]:
    """Where the threads of a VM that runs may run, and were last."""
    found = await threads(machine)
    rows = [(f"vCPU {number}", thread) for number, thread in sorted(found.vcpus.items())]
    rows += [(IO, thread) for thread in sorted(found.io)]
    rows.append((EMULATOR, found.pid))
    return tuple(
        Placed(machine.id, machine.name, what, cpus, _last_cpu(found.pid, thread))
        for what, thread in rows
        if (cpus := allowed(found.pid, thread))
    )


async def core_map(machines: Iterable[Machine], but: Machine | None = None) -> CoreMap:
    """The host's CPUs with the threads of all VMs that run, less those of one."""
    rows: list[Placed] = []
    for machine in machines:
        if machine.active and machine is not but:
            with suppress(VmtuiError):  # one that hangs shows nowhere
                rows += await placed(machine)
    return CoreMap(host_cores.read(), tuple(rows))


def allowed(pid: int, thread: int) -> frozenset[int]:
    """Where a thread may run (proc(5), Cpus_allowed_list); empty if it is gone."""
    try:
        lines = Path(f"/proc/{pid}/task/{thread}/status").read_text("utf-8", "replace")
    except OSError:
        return frozenset()
    found = dict(line.split(":\t", 1) for line in lines.splitlines() if ":\t" in line)
    return frozenset(parse_cpus(found.get("Cpus_allowed_list", "")))


def _last_cpu(pid: int, thread: int) -> int | None:
    fields = stat_fields(pid, thread)  # field 39
    return int(fields[36]) if len(fields) > 36 else None


def _tasks(pid: int) -> list[int]:
    try:
        return [int(task.name) for task in Path(f"/proc/{pid}/task").iterdir()]
    except OSError:
        return []
