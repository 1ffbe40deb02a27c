"""The rows of one connection: its VMs with their latest figures, kept as immutable views."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from vmtui.alarms import Thresholds, breaches
from vmtui.deferred import deferred
from vmtui.history import History
from vmtui.model import VM, VMId
from vmtui.views import VMRef, VMView

if TYPE_CHECKING:
    from vmtui import counters, figures, host_metrics, metrics
    from vmtui.counters import Counters, HostCounters, Stalled
    from vmtui.host_metrics import HostRates
else:
    counters, figures, host_metrics, metrics = deferred(
        "vmtui", "counters", "figures", "host_metrics", "metrics"
    )

HOST_KEPT = (
    "cpu",
    "iowait",
    "steal",
    "memory",
    "read_bytes",
    "write_bytes",
    "rx_bytes",
    "tx_bytes",
)
"""The figures of each host that have a history."""


class Roster:
    """Mutable; a row that did not change stays the same object."""

    def __init__(self, uri: str, history: History, thresholds: Thresholds) -> None:
        self._uri = uri
        self._history = history
        self._thresholds = thresholds
        self._rows: dict[VMId, VMView] = {}
        self._sorted: tuple[VMView, ...] | None = ()
        self._above_since: dict[VMId, Mapping[str, float]] = {}
        self._host_cpus: int | None = None
        self.host_counters: HostCounters | None = None
        self.host_rates: HostRates | None = None

    # -- VMs ---------------------------------------------------------------------------------

    @property
    def rows(self) -> tuple[VMView, ...]:
        """All rows, sorted by name."""
        if self._sorted is None:
            self._sorted = tuple(
                sorted(self._rows.values(), key=lambda row: (row.vm.name.lower(), row.ref.id))
            )
        return self._sorted

    def vm(self, vm_id: VMId) -> VM | None:
        """The VM as last described."""
        row = self._rows.get(vm_id)
        return row.vm if row else None

    def active(self) -> list[VMId]:
        """The VMs that have figures, sorted by name."""
        return [row.ref.id for row in self.rows if row.vm.state.active]

    def set_all(self, vms: Iterable[VM]) -> None:
        """These and no others exist."""
        found = {vm.id: vm for vm in vms}
        for gone in self._rows.keys() - found:
            self.remove(gone)
        for vm in found.values():
            self.set(vm)

    def set(self, vm: VM) -> None:
        """One VM as it is described now; figures of one that is off are dropped."""
        row = self._rows.get(vm.id)
        if row is not None and row.vm == vm:
            return
        if row is None:
            row = VMView(VMRef(self._uri, vm.id), vm, host_cpus=self._host_cpus)
        elif vm.state.active:
            row = replace(row, vm=vm)
        else:
            self._above_since.pop(vm.id, None)
            row = VMView(row.ref, vm, host_cpus=self._host_cpus)
        self._put(row)

    def remove(self, vm_id: VMId) -> None:
        """It is gone, and its history with it."""
        row = self._rows.pop(vm_id, None)
        if row is not None:
            self._above_since.pop(vm_id, None)
            self._history.forget(row.ref)
            self._sorted = None

    def clear(self) -> None:
        """Nothing is known any more; histories stay, for when the connection is back."""
        self._rows.clear()
        self._above_since.clear()
        self._sorted = ()
        self.host_counters = self.host_rates = None

    def _put(self, row: VMView) -> None:
        self._rows[row.ref.id] = row
        self._sorted = None

    # -- figures -----------------------------------------------------------------------------

    def take(self, vm_id: VMId, sample: Counters | Stalled) -> None:
        """The newest sample of a VM."""
        row = self._rows.get(vm_id)
        if row is None or not row.vm.state.active:
            return
        if isinstance(sample, counters.Stalled):
            if row.stalled != sample.reason:
                self._put(replace(row, stalled=sample.reason))
            return
        before = row.counters
        fresh = metrics.rates(before, sample, row.vm.vcpus, row.rates)
        row = replace(row, counters=sample, rates=fresh, stalled="")
        since, lasting = breaches(
            self._above_since.get(vm_id, {}), row, self._thresholds, sample.at_s
        )
        self._above_since[vm_id] = since
        if lasting or row.breaches:
            row = replace(row, breaches=lasting)
        self._put(row)
        if before is not None and fresh is not None and sample.at_s > before.at_s:
            self._history.add(row.ref, before.at_s, sample.at_s, figures.KEPT, figures.kept(row))

    def take_host(self, now: HostCounters) -> None:
        """The newest sample of the host."""
        before, self.host_counters = self.host_counters, now
        self.host_rates = made = host_metrics.host_rates(before, now)
        if before is None or now.at_s <= before.at_s:
            return
        cpu = made.cpu
        values = (
            made.cpu_percent,
            cpu.iowait_percent if cpu else None,
            cpu.steal_percent if cpu else None,
            now.memory_percent,
            made.read_bytes_per_s,
            made.write_bytes_per_s,
            made.rx_bytes_per_s,
            made.tx_bytes_per_s,
        )
        self._history.add(self._uri, before.at_s, now.at_s, HOST_KEPT, values)

    def know_host(self, cpus: int) -> None:
        """How many CPUs the host has."""
        if cpus == self._host_cpus:
            return
        self._host_cpus = cpus
        for row in tuple(self._rows.values()):
            self._put(replace(row, host_cpus=cpus))
