"""Counters of domains: in slices with deadlines, so that a QEMU that hangs costs no other."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import libvirt

from vmtui.backends.libvirt.bridge import Bridge
from vmtui.backends.libvirt.translate import code, is_lost, translated
from vmtui.counters import Counters, CpuCounters, CpuTimes, HostCounters, MemoryCounters, Stalled
from vmtui.model import VMId
from vmtui.units import KIB

SLICE = 16
DEADLINE_S = 1.0
FIRST_DEADLINE_S = 5.0
"""libvirt's very first such call probes QEMU, which was seen to take 4 s."""
SUSPECT_S = 10.0
PARTIAL_LIMIT_S = 3.0
STUCK_LIMIT = 3
"""Each holds one of libvirtd's workers (20, max_workers) until its QEMU goes on."""

_GROUPS = libvirt.VIR_DOMAIN_STATS_CPU_TOTAL | libvirt.VIR_DOMAIN_STATS_BALLOON
_UNKNOWN = (
    libvirt.VIR_ERR_NO_SUPPORT,
    libvirt.VIR_ERR_INVALID_ARG,
    libvirt.VIR_ERR_ARGUMENT_UNSUPPORTED,
)

Records = dict[VMId, tuple[int, float, dict[str, Any]]]
"""Run of the domain (its number), time, and libvirt's fields."""

Domains = dict[VMId, libvirt.virDomain]


class Sampler:
    """Samples over a connection of its own, which is left to a call that hangs, and replaced.

    Another call on the connection of one that hangs could be held up too: before 10.1 libvirt's
    client may miss that there is a second call to send while it waits for the first.
    """

    def __init__(self, connect: Callable[[], Awaitable[Bridge]]) -> None:
        self._connect = connect
        self._bridge: Bridge | None = None
        self._domains: Domains = {}  # of that connection
        self._bulk = True  # the driver has bulk statistics of more than the state
        self._flags = getattr(libvirt, "VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT", 0)
        self._first = True
        self._stuck: dict[asyncio.Future[Records], frozenset[VMId]] = {}
        self._suspects: dict[VMId, float] = {}
        self._partial_since: dict[VMId, float] = {}
        self._complete: set[VMId] = set()  # gave all fields at least once
        self._closing: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        """Let go of the connection; one with a call that hangs ends with that."""
        self._leave()
        if self._closing:
            await asyncio.wait(tuple(self._closing))

    def _leave(self) -> None:
        bridge, self._bridge, self._domains = self._bridge, None, {}
        if bridge is not None:
            closing = asyncio.create_task(bridge.close())
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)

    async def sample(self, vms: Sequence[VMId]) -> dict[VMId, Counters | Stalled]:
        """Counters of the active ones of `vms`."""
        now = time.monotonic()
        self._suspects = {vm: until for vm, until in self._suspects.items() if until > now}
        self._stuck = {future: of for future, of in self._stuck.items() if not future.done()}
        held = {vm for of in self._stuck.values() if len(of) == 1 for vm in of}
        healthy = [vm for vm in vms if vm not in self._suspects and vm not in held]
        alone = [(vm,) for vm in vms if vm in self._suspects and vm not in held]
        slices = [tuple(healthy[i : i + SLICE]) for i in range(0, len(healthy), SLICE)]
        deadline_s = FIRST_DEADLINE_S if self._first else DEADLINE_S
        records, missed = await self._read_all([*slices, *alone], deadline_s)
        again = [vm for vm in missed if vm not in self._suspects]
        if again:
            # One of the slice hangs: each by itself now, and for a while.
            self._suspects |= dict.fromkeys(again, now + SUSPECT_S)
            more, missed_alone = await self._read_all([(vm,) for vm in again], DEADLINE_S)
            records |= more
            missed = (missed - set(again)) | missed_alone
        self._first = False
        result: dict[VMId, Counters | Stalled] = {
            vm: self._judged(vm, *record) for vm, record in records.items()
        }
        return result | dict.fromkeys(missed | (held & set(vms)), Stalled("QEMU does not answer"))

    async def _read_all(
        self, groups: Sequence[tuple[VMId, ...]], deadline_s: float
    ) -> tuple[Records, set[VMId]]:
        records: Records = {}
        missed: set[VMId] = set()
        for group in groups:
            answer = await self._read(group, deadline_s)
            if answer is None:
                missed.update(group)
            else:
                records |= answer
        return records, missed

    async def _read(self, group: tuple[VMId, ...], deadline_s: float) -> Records | None:
        """None: no answer in time."""
        if self._bridge is None:
            self._bridge = await self._connect()
        # With several hanging, the rest is read from libvirt's own books only.
        bulk = self._bulk and len(self._stuck) < STUCK_LIMIT
        work = _bulk if bulk else _one_by_one
        future = self._bridge.start(work, self._domains, group, self._flags)
        done, _ = await asyncio.wait({future}, timeout=deadline_s)
        if not done:
            self._stuck[future] = frozenset(group)
            self._leave()
            return None
        try:
            records = future.result()
        except libvirt.libvirtError as error:
            self._raise_if_lost(error)
            return await self._without(error, group, deadline_s) if bulk else {}
        if bulk and records and not any("cpu.time" in record[2] for record in records.values()):
            self._bulk = False
            return await self._read(group, deadline_s)
        return records

    def _raise_if_lost(self, error: libvirt.libvirtError) -> None:
        assert self._bridge is not None
        if is_lost(error) or self._bridge.lost is not None:
            lost = translated(error, "read statistics", self._bridge.uri)
            raise self._bridge.lost or lost from error

    async def _without(
        self, error: libvirt.libvirtError, group: tuple[VMId, ...], deadline_s: float
    ) -> Records | None:
        """Try again without what the driver refused, or the domain that has gone."""
        if code(error) in _UNKNOWN:
            self._bulk = self._bulk and self._flags != 0
            self._flags = 0
            return await self._read(group, deadline_s)
        found: Records = {}
        for vm in group if len(group) > 1 else ():
            self._domains.pop(vm, None)
            found |= await self._read((vm,), deadline_s) or {}
        return found

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
            cpu=CpuCounters(at_s, record.get("cpu.time")),
            memory=MemoryCounters(
                at_s, actual_bytes=_kib(record.get("balloon.current")), rss_bytes=_kib(rss)
            ),
        )


def _kib(value: int | None) -> int | None:
    return None if value is None else value * KIB


def _found(
    connection: libvirt.virConnect, known: Domains, vms: Iterable[VMId]
) -> list[libvirt.virDomain]:
    for vm in vms:
        if vm not in known:
            with _tolerant():
                known[vm] = connection.lookupByUUIDString(vm)
    return [known[vm] for vm in vms if vm in known]


@contextmanager
def _tolerant() -> Iterator[None]:
    # What concerns one domain alone is no reason to give up on the others.
    try:
        yield
    except libvirt.libvirtError as error:
        if is_lost(error):
            raise


def _bulk(
    connection: libvirt.virConnect, known: Domains, vms: Sequence[VMId], flags: int
) -> Records:
    domains = _found(connection, known, vms)
    records = connection.domainListGetStats(domains, _GROUPS, flags) if domains else []
    at_s = time.monotonic()
    return {
        VMId(str(domain.UUIDString())): (int(domain.ID()), at_s, record)
        for domain, record in records
        if int(domain.ID()) != -1
    }


def _one_by_one(
    connection: libvirt.virConnect, _known: Domains, vms: Sequence[VMId], _flags: int
) -> Records:
    """For drivers without bulk statistics, and when QEMU must not be asked."""
    found: Records = {}
    for vm in vms:
        with _tolerant():
            domain = connection.lookupByUUIDString(vm)  # anew: it says which run it is
            info: Any = domain.info()
            if int(domain.ID()) != -1:
                record = {"cpu.time": int(info[4]), "balloon.current": int(info[2])}
                found[vm] = (int(domain.ID()), time.monotonic(), record)
    return found


def host_counters(connection: libvirt.virConnect) -> HostCounters:
    """CPU time and memory of the host, as far as the driver tells."""
    cpu, memory = _host_cpu(connection), _host_memory(connection)
    available_kib = sum(memory.get(key, 0) for key in ("free", "buffers", "cached"))
    return HostCounters(
        at_s=time.monotonic(),
        cpu=_cpu_times(cpu) if cpu else None,
        memory_total_bytes=_kib(memory.get("total")),
        memory_available_bytes=available_kib * KIB if memory else None,
    )


def _cpu_times(spent_ns: Mapping[str, int]) -> CpuTimes:
    return CpuTimes(
        user_s=spent_ns.get("user", 0) / 1e9,
        system_s=spent_ns.get("kernel", 0) / 1e9,
        idle_s=spent_ns.get("idle", 0) / 1e9,
        iowait_s=spent_ns["iowait"] / 1e9 if "iowait" in spent_ns else None,
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
