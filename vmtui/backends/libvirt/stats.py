"""The figures of domains: what libvirt knows itself at every beat, what QEMU knows at a slower one.

At every beat: which run it is, its network cards, and CPU time, from its process where that is of
this machine. None of these waits for a QEMU. The rest is the survey's, with times of its own.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import libvirt

from vmtui.backends.kvm.procfs import Spent
from vmtui.backends.libvirt import records
from vmtui.backends.libvirt.bridge import Bridge
from vmtui.backends.libvirt.processes import Processes
from vmtui.backends.libvirt.questions import tolerant
from vmtui.backends.libvirt.survey import INTERVAL_S, Answer, Survey
from vmtui.backends.libvirt.targets import Targets
from vmtui.backends.libvirt.translate import is_lost, translated
from vmtui.counters import Counters, CpuCounters, Measure, MemoryCounters, NicCounters, Stalled
from vmtui.model import VMId
from vmtui.units import KIB

DEADLINE_S = 0.25
REMOTE_DEADLINE_S = 1.0
STALLED_AFTER_S = 2.0
PATIENCE_S = 1.0
"""How long one who asks seldom waits for all figures, to get those of now."""

_FAST = libvirt.VIR_DOMAIN_STATS_STATE | libvirt.VIR_DOMAIN_STATS_INTERFACE
_ACTIVE = libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_ACTIVE
_NOT_ASKED = "QEMU was not asked yet"
_NO_STATISTICS = "this hypervisor's driver in libvirt has no such statistics"
_SURVEYED = (
    Measure.CPU,
    Measure.VCPUS,
    Measure.READY,
    Measure.HALT_POLL,
    Measure.EXITS,
    Measure.BALLOON,
    Measure.GUEST_MEMORY,
    Measure.RSS,
    Measure.SWAPPED,
    Measure.MERGED,
    Measure.DISKS,
)


@dataclass(frozen=True, slots=True)
class _Glance:
    """One active domain at one beat. `info`: CPU time and balloon, of drivers with no more."""

    run: int
    at_s: float
    record: records.Record
    spent: Spent | None = None
    info: tuple[int, int] | None = None


Glances = dict[VMId, _Glance]


class Sampler:
    """Samples over two connections of its own: one that answers at once, and the survey's."""

    def __init__(
        self,
        connect: Callable[[], Awaitable[Bridge]],
        processes: Processes,
        targets: Targets,
        *,
        local: bool,
        may_arm: bool,
    ) -> None:
        self._connect = connect
        self._processes = processes
        self._bridge: Bridge | None = None
        self._connecting = asyncio.Lock()
        self._looking: asyncio.Future[Glances] | None = None
        self._looking_since_s = 0.0
        self._seen: Glances = {}
        self._deadline_s = DEADLINE_S if local else REMOTE_DEADLINE_S
        self._asked_at_s = -INTERVAL_S
        self._survey = Survey(connect, processes, targets, local=local, may_arm=may_arm)

    async def close(self) -> None:
        """Let go of both connections."""
        bridge, self._bridge = self._bridge, None
        await self._survey.close()
        if bridge is not None:
            await bridge.close()

    async def sample(self, vms: Sequence[VMId]) -> dict[VMId, Counters | Stalled]:
        """Counters of the active ones of `vms`."""
        seen = await self._look()
        wanted = {vm: seen[vm].run for vm in vms if vm in seen and not _stopped(seen[vm])}
        bulk = self._survey.bulk
        self._survey.start(wanted, {vm: glance.run for vm, glance in seen.items()})
        now_s = time.monotonic()
        if wanted and now_s - self._asked_at_s >= INTERVAL_S:
            await self._survey.settle(PATIENCE_S)
        self._asked_at_s = now_s if wanted else self._asked_at_s
        if bulk and not self._survey.bulk:  # it has just turned out: then what there is is asked
            seen = await self._look()
        return {vm: self._told(vm, seen[vm]) for vm in vms if vm in seen}

    async def _look(self) -> Glances:
        """All active domains; where libvirt keeps us waiting, the last ones with what is newer."""
        async with self._connecting:
            if self._bridge is None:
                self._bridge = await self._connect()
        bridge = self._bridge
        if self._looking is None:
            self._looking_since_s = time.monotonic()
            each = not self._survey.bulk
            self._looking = bridge.start(_glances, self._processes, each)
        looking = self._looking  # also of others that ask meanwhile
        deadline_s = self._deadline_s if self._seen else PATIENCE_S
        done, _ = await asyncio.wait({looking}, timeout=deadline_s)
        if done:
            if self._looking is looking:
                self._looking = None
            try:
                self._seen = looking.result()
            except libvirt.libvirtError as error:
                raise bridge.lost or translated(error, "read statistics", bridge.uri) from error
        else:
            # Such as while it starts a VM, whose lock holds up a look at all of them.
            self._seen = {vm: self._renewed(vm, glance) for vm, glance in self._seen.items()}
        return self._seen

    def _renewed(self, vm: VMId, glance: _Glance) -> _Glance:
        spent = self._processes.spent(vm, glance.run) if glance.spent else None
        return replace(glance, spent=spent)

    # -- telling -----------------------------------------------------------------------------

    def _told(self, vm: VMId, glance: _Glance) -> Counters | Stalled:
        if _stopped(glance):
            return Stalled("its QEMU process was stopped (by SIGSTOP)")
        why = self._survey.stalled(vm, glance.run)
        if why:
            return Stalled(why)
        late = self._looking and time.monotonic() - self._looking_since_s > STALLED_AFTER_S
        if late and glance.spent is None:
            return Stalled("libvirt does not answer")
        answer = self._survey.answer(vm, glance.run)
        cpu, memory = _cpu(glance, answer), _memory(glance, answer)
        nics = records.nics(glance.record, glance.at_s, self._survey.definition(vm, glance.run))
        return Counters(
            glance.spent.at_s if glance.spent else glance.at_s,
            str(glance.run),
            cpu=cpu,
            memory=memory,
            disks=answer.disks if answer else (),
            nics=nics,
            missing=self._missing(cpu, memory, answer, nics),
        )

    def _missing(
        self,
        cpu: CpuCounters | None,
        memory: MemoryCounters | None,
        answer: Answer | None,
        nics: tuple[NicCounters, ...],
    ) -> Mapping[Measure, str]:
        if answer is not None:
            missing = dict(answer.missing)
        else:
            why = _NOT_ASKED if self._survey.bulk else _NO_STATISTICS
            missing = dict.fromkeys(_SURVEYED, why)
            if cpu is not None:
                del missing[Measure.CPU]
            if memory is not None:
                del missing[Measure.BALLOON]
        why = records.why_no_nics(nics)
        return missing | {Measure.NICS: why} if why else missing


def _stopped(glance: _Glance) -> bool:
    # It would answer nobody: it is not asked, so that no worker of libvirt's waits for it.
    return glance.spent is not None and glance.spent.stopped


def _cpu(glance: _Glance, answer: Answer | None) -> CpuCounters | None:
    spent = glance.spent
    if spent is not None:
        known = answer.cpu if answer else CpuCounters(spent.at_s)
        return records.with_own_time(known, spent.at_s, spent.user_ns, spent.system_ns)
    if glance.info is not None:
        return CpuCounters(glance.at_s, glance.info[0])
    return answer.cpu if answer else None


def _memory(glance: _Glance, answer: Answer | None) -> MemoryCounters | None:
    if answer is None and glance.info is not None:
        return MemoryCounters(glance.at_s, actual_bytes=glance.info[1])
    return answer.memory if answer else None


def _glances(connection: libvirt.virConnect, processes: Processes, each: bool) -> Glances:
    """All active domains. `each`: ask for each what every driver knows."""
    seen: Glances = {}
    for domain, record in _active(connection):
        with tolerant():
            vm, run = VMId(str(domain.UUIDString())), int(domain.ID())
            processes.find(vm, run, str(domain.name()))
            spent = None if each else processes.spent(vm, run)
            info: Any = domain.info() if each else None
            known = (int(info[4]), int(info[2]) * KIB) if each else None
            if run != -1:
                seen[vm] = _Glance(run, time.monotonic(), record, spent, known)
    return seen


def _active(
    connection: libvirt.virConnect,
) -> list[tuple[libvirt.virDomain, records.Record]]:
    try:
        answer: Any = connection.getAllDomainStats(_FAST, _ACTIVE)
    except libvirt.libvirtError as error:
        if is_lost(error):
            raise
        active = libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE
        return [(domain, {}) for domain in connection.listAllDomains(active)]
    return list(answer)
