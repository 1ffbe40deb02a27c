"""VMs as users see them: the rows of a Fleet that samples them at its beat, all of them kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import pairwise

from tests.truth.rigs import Rig
from vmtui.backends.base import Endpoint
from vmtui.counters import Counters, DiskCounters, NicCounters
from vmtui.figures import BY_ID
from vmtui.fleet import Fleet
from vmtui.model import State, VMId
from vmtui.rates import DiskRates, NicRates, Rates
from vmtui.views import FleetView, VMRef, VMView

BEAT_S = 1.0
PATIENCE_S = 60.0


class Watched:
    """Rows of one VM, oldest first; a row that did not change is there once."""

    def __init__(self, fleet: Fleet, ref: VMRef) -> None:
        self.fleet = fleet
        self.ref = ref
        self.rows: list[VMView] = []

    @classmethod
    @asynccontextmanager
    async def over(cls, rig: Rig, *vms: VMId) -> AsyncIterator[list[Watched]]:
        """Watched while inside, by a client of its own."""
        client = rig.connect()
        fleet = Fleet([Endpoint(client, "truth")], interval_s=BEAT_S)
        watched = [cls(fleet, VMRef(client.uri, vm)) for vm in vms]

        def look(view: FleetView) -> None:
            for one in watched:
                one.look(view)

        fleet.watch(look)
        fleet.supervise()
        try:
            yield watched
        finally:
            await fleet.close()

    def look(self, view: FleetView) -> None:
        """Keep the row of now, if it is another one."""
        row = view.row(self.ref)
        if row is not None and (not self.rows or row is not self.rows[-1]):
            self.rows.append(row)

    @property
    def last(self) -> VMView:
        """The newest row."""
        return self.rows[-1]

    async def until(self, reached: Callable[[VMView], bool], limit_s: float = PATIENCE_S) -> VMView:
        """The first row from the newest on that is so."""
        start = max(0, len(self.rows) - 1)
        async with asyncio.timeout(limit_s):
            while True:
                for row in self.rows[start:]:
                    if reached(row):
                        return row
                await asyncio.sleep(0.02)

    async def state(self, state: State) -> VMView:
        """The first row from the newest on with that state."""
        return await self.until(lambda row: row.vm.state is state)

    def figure(self, name: str) -> float | None:
        """What the newest row shows."""
        return BY_ID[name].of(self.last)


def counters(row: VMView) -> Counters:
    """They are there."""
    assert row.counters is not None
    return row.counters


def rates(row: VMView) -> Rates:
    """They are there."""
    assert row.rates is not None
    return row.rates


def disk(row: VMView) -> DiskCounters:
    """The only disk."""
    [found] = counters(row).disks
    return found


def nic(row: VMView) -> NicCounters:
    """The only network card."""
    [found] = counters(row).nics
    return found


def cpu_at_s(row: VMView) -> float:
    """When its CPU was read."""
    cpu = counters(row).cpu
    assert cpu is not None
    return cpu.at_s


def vcpus_at_s(row: VMView) -> float:
    """When its vCPUs were read."""
    cpu = counters(row).cpu
    assert cpu is not None
    return cpu.at_s if cpu.vcpus_at_s is None else cpu.vcpus_at_s


def core_integral_s(rows: list[VMView]) -> float:
    """What the CPU time of the whole VM comes to over all rows, in seconds."""
    total_s = 0.0
    for before, now in pairwise(rows):
        if cpu_at_s(now) > cpu_at_s(before):
            cpu = rates(now).cpu
            assert cpu is not None
            assert cpu.core_percent is not None
            total_s += cpu.core_percent / 100 * cpu.interval_s
    return total_s


def vcpu_integral_s(rows: list[VMView], index: int) -> tuple[float, float]:
    """What one vCPU's used and ready time come to over all rows, in seconds."""
    used_s = ready_s = 0.0
    for before, now in pairwise(rows):
        interval_s = vcpus_at_s(now) - vcpus_at_s(before)
        if interval_s > 0:
            cpu = rates(now).cpu
            assert cpu is not None
            vcpu = cpu.vcpus[index]
            assert vcpu.used_percent is not None
            assert vcpu.ready_percent is not None
            used_s += vcpu.used_percent / 100 * interval_s
            ready_s += vcpu.ready_percent / 100 * interval_s
    return used_s, ready_s


def disk_integral(rows: list[VMView], get: Callable[[DiskRates], float | None]) -> float:
    """What a rate of the only disk comes to over all rows."""
    total = 0.0
    for before, now in pairwise(rows):
        if disk(now).at_s > disk(before).at_s:
            [made] = rates(now).disks
            rate = get(made)
            assert rate is not None
            total += rate * made.interval_s
    return total


def nic_integral(rows: list[VMView], get: Callable[[NicRates], float | None]) -> float:
    """What a rate of the only network card comes to over all rows."""
    total = 0.0
    for before, now in pairwise(rows):
        if nic(now).at_s > nic(before).at_s:
            [made] = rates(now).nics
            rate = get(made)
            assert rate is not None
            total += rate * made.interval_s
    return total
