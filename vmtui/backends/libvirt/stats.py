"""Counters of domains: in slices with deadlines, so that a QEMU that hangs costs no other."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import libvirt

from vmtui.backends.libvirt.bridge import Bridge
from vmtui.backends.libvirt.translate import code, is_lost, translated
from vmtui.model import Counters, HostCounters, Stalled, VMId
from vmtui.units import KIB

SLICE = 16
DEADLINE_S = 1.0
FIRST_DEADLINE_S = 5.0
"""libvirt's very first such call probes QEMU, which was seen to take 4 s."""
SUSPECT_S = 10.0
PARTIAL_LIMIT_S = 3.0
STUCK_LIMIT = 2
"""A connection serves five calls at once (max_client_requests): the rest must stay free."""

_GROUPS = libvirt.VIR_DOMAIN_STATS_CPU_TOTAL | libvirt.VIR_DOMAIN_STATS_BALLOON
_UNKNOWN = (
    libvirt.VIR_ERR_NO_SUPPORT,
    libvirt.VIR_ERR_INVALID_ARG,
    libvirt.VIR_ERR_ARGUMENT_UNSUPPORTED,
)

Records = dict[VMId, tuple[int, float, dict[str, Any]]]
"""Run of the domain (its number), time, and libvirt's fields."""


class Sampler:
    """Samples of one connection. Never two calls in flight for the same domain alone."""

    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge
        self._bulk = True  # the driver has bulk statistics of more than the state
        self._flags = getattr(libvirt, "VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT", 0)
        self._first = True
        self._stuck: dict[asyncio.Future[Records], frozenset[VMId]] = {}
        self._suspects: dict[VMId, float] = {}
        self._partial_since: dict[VMId, float] = {}
        self._complete: set[VMId] = set()  # gave all fields at least once

    async def sample(
        self, domains: Mapping[VMId, libvirt.virDomain]
    ) -> dict[VMId, Counters | Stalled]:
        """Counters of the active ones of `domains`."""
        now = time.monotonic()
        self._suspects = {v: until for v, until in self._suspects.items() if until > now}
        self._settle()
        held = {vm for members in self._stuck.values() for vm in members if len(members) == 1}
        healthy = [vm for vm in domains if vm not in self._suspects and vm not in held]
        alone = [vm for vm in domains if vm in self._suspects and vm not in held]
        deadline_s = FIRST_DEADLINE_S if self._first else DEADLINE_S
        slices = [tuple(healthy[i : i + SLICE]) for i in range(0, len(healthy), SLICE)]
        records, missed = await self._read(domains, [*slices, *((vm,) for vm in alone)], deadline_s)
        again = [vm for vm in missed if vm not in self._suspects]
        if again:
            # One of the slice hangs: each by itself now, and for a while.
            self._suspects |= dict.fromkeys(again, now + SUSPECT_S)
            more, missed_alone = await self._read(domains, [(vm,) for vm in again], DEADLINE_S)
            records |= more
            missed = (missed - set(again)) | missed_alone
        self._first = False
        result: dict[VMId, Counters | Stalled] = {}
        for vm, record in records.items():
            result[vm] = self._judged(vm, *record)
        for vm in missed | held:
            result[vm] = Stalled("QEMU does not answer")
        return result

    def _settle(self) -> None:
        for future in [future for future in self._stuck if future.done()]:
            del self._stuck[future]

    async def _read(
        self,
        domains: Mapping[VMId, libvirt.virDomain],
        groups: Sequence[tuple[VMId, ...]],
        deadline_s: float,
    ) -> tuple[Records, set[VMId]]:
        records: Records = {}
        missed: set[VMId] = set()
        answers = await asyncio.gather(
            *(
                self._read_group([domains[vm] for vm in group], group, deadline_s)
                for group in groups
            )
        )
        for group, answer in zip(groups, answers, strict=True):
            if answer is None:
                missed.update(group)
            else:
                records |= answer
        return records, missed

    async def _read_group(
        self, domains: list[libvirt.virDomain], group: tuple[VMId, ...], deadline_s: float
    ) -> Records | None:
        """None: no answer in time."""
        # With several hanging, the rest is read from libvirt's own books only.
        bulk = self._bulk and len(self._stuck) < STUCK_LIMIT
        future = self._bridge.start(_bulk if bulk else _one_by_one, domains, self._flags)
        try:
            done, _ = await asyncio.wait({future}, timeout=deadline_s)
        except asyncio.CancelledError:
            self._give_up(future, group)
            raise
        if not done:
            self._give_up(future, group)
            return None
        try:
            records = future.result()
        except libvirt.libvirtError as error:
            self._raise_if_lost(error)
            return await self._without(error, domains, group, deadline_s) if bulk else {}
        if bulk and records and not any("cpu.time" in record[2] for record in records.values()):
            self._bulk = False
            return await self._read_group(domains, group, deadline_s)
        return records

    def _raise_if_lost(self, error: libvirt.libvirtError) -> None:
        if is_lost(error):
            lost = translated(error, "read statistics", self._bridge.uri)
            raise self._bridge.lost or lost from error

    async def _without(
        self,
        error: libvirt.libvirtError,
        domains: list[libvirt.virDomain],
        group: tuple[VMId, ...],
        deadline_s: float,
    ) -> Records | None:
        """Try again without what the driver refused, or the domain that has gone."""
        if code(error) in _UNKNOWN:
            self._bulk = self._bulk and self._flags != 0
            self._flags = 0
            return await self._read_group(domains, group, deadline_s)
        found: Records = {}
        for domain, vm in zip(domains, group, strict=True) if len(group) > 1 else ():
            found |= await self._read_group([domain], (vm,), deadline_s) or {}
        return found

    def _give_up(self, future: asyncio.Future[Records], group: tuple[VMId, ...]) -> None:
        self._bridge.give_up(future)
        self._stuck[future] = frozenset(group)

    def _judged(
        self, vm: VMId, run: int, at_s: float, record: dict[str, Any]
    ) -> Counters | Stalled:
        rss = record.get("balloon.rss")
        if rss is not None:
            self._complete.add(vm)
            self._partial_since.pop(vm, None)
        else:
            # A record without what needs QEMU: something holds it. Only for a moment is that fine.
            since_s = self._partial_since.setdefault(vm, at_s)
            late = vm in self._complete and at_s - since_s > PARTIAL_LIMIT_S
            if late or any(vm in members for members in self._stuck.values()):
                return Stalled("QEMU does not answer, or a long operation holds it")
        return Counters(
            at_s=at_s,
            epoch=str(run),
            cpu_time_ns=record.get("cpu.time"),
            memory_actual_bytes=_kib(record.get("balloon.current")),
            memory_rss_bytes=_kib(rss),
        )


def _kib(value: int | None) -> int | None:
    return None if value is None else value * KIB


def _bulk(connection: libvirt.virConnect, domains: list[libvirt.virDomain], flags: int) -> Records:
    records = connection.domainListGetStats(domains, _GROUPS, flags)
    at_s = time.monotonic()
    return {
        VMId(str(domain.UUIDString())): (int(domain.ID()), at_s, record)
        for domain, record in records
        if int(domain.ID()) != -1
    }


def _one_by_one(
    connection: libvirt.virConnect, domains: Iterable[libvirt.virDomain], _flags: int
) -> Records:
    """For drivers without bulk statistics, and when QEMU must not be asked."""
    found: Records = {}
    for known in domains:
        try:
            domain = connection.lookupByUUIDString(str(known.UUIDString()))
            info: Any = domain.info()
        except libvirt.libvirtError as error:
            if is_lost(error):
                raise
            continue
        if int(domain.ID()) != -1:
            record = {"cpu.time": int(info[4]), "balloon.current": int(info[2])}
            found[VMId(str(domain.UUIDString()))] = (int(domain.ID()), time.monotonic(), record)
    return found


def host_counters(connection: libvirt.virConnect) -> HostCounters:
    """CPU time and memory of the host, as far as the driver tells."""
    cpu, memory = _host_cpu(connection), _host_memory(connection)
    idle_ns = cpu.get("idle", 0) + cpu.get("iowait", 0)
    busy_ns = cpu.get("user", 0) + cpu.get("kernel", 0)
    available_kib = sum(memory.get(key, 0) for key in ("free", "buffers", "cached"))
    return HostCounters(
        at_s=time.monotonic(),
        cpu_busy_s=busy_ns / 1e9 if cpu else None,
        cpu_total_s=(busy_ns + idle_ns) / 1e9 if cpu else None,
        memory_total_bytes=_kib(memory.get("total")),
        memory_available_bytes=available_kib * KIB if memory else None,
    )


def _host_cpu(connection: libvirt.virConnect) -> dict[str, int]:
    try:
        answer: Any = connection.getCPUStats(libvirt.VIR_NODE_CPU_STATS_ALL_CPUS)
    except libvirt.libvirtError as error:
        if is_lost(error):
            raise
        return {}
    return dict(answer)


def _host_memory(connection: libvirt.virConnect) -> dict[str, int]:
    try:
        answer: Any = connection.getMemoryStats(libvirt.VIR_NODE_MEMORY_STATS_ALL_CELLS)
    except libvirt.libvirtError as error:
        if is_lost(error):
            raise
        return {}
    return dict(answer)
