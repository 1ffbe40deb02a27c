"""From a view of a connection to what the policy decides by."""

from __future__ import annotations

from collections.abc import Iterable

from vmtui.balance.guests import Guest, HostMemory
from vmtui.model import State
from vmtui.views import ConnectionView, VMView


def by_host(connections: Iterable[ConnectionView]) -> list[list[ConnectionView]]:
    """Those to this machine together, as they share its memory; of others it is not known."""
    hosts: dict[str, list[ConnectionView]] = {}
    for one in connections:
        hosts.setdefault("" if one.host is not None and one.host.here else one.uri, []).append(one)
    return list(hosts.values())


def host_memory(connection: ConnectionView) -> HostMemory | None:
    """The host's memory; None where it is not known."""
    now = connection.host_counters
    if now is None or now.memory_total_bytes is None or now.memory_available_bytes is None:
        return None
    pressure = now.memory_pressure.some_percent if now.memory_pressure else 0.0
    return HostMemory(now.memory_total_bytes, now.memory_available_bytes, pressure)


def guests(connection: ConnectionView) -> list[Guest]:
    """Its running VMs whose memory may be moved, and that have a balloon."""
    found = (_guest(row) for row in connection.vms)
    return [guest for guest in found if guest is not None]


def _guest(row: VMView) -> Guest | None:
    memory = row.counters.memory if row.counters else None
    balance = row.vm.balance
    if balance is None or row.vm.state is not State.RUNNING or row.stalled or memory is None:
        return None
    if memory.maximum_bytes is None or not memory.actual_bytes:
        return None
    says, rates = memory.guest, row.rates.guest if row.rates else None
    told = says is not None and rates is not None
    swapped = (rates.swap_in_bytes_per_s or 0) + (rates.swap_out_bytes_per_s or 0) if rates else 0
    return Guest(
        row.ref.id,
        row.vm.name,
        memory.maximum_bytes,
        memory.actual_bytes,
        memory.target_bytes,
        says.available_bytes if says and told else None,
        rates.used_bytes if rates and told else None,
        age_s=rates.age_s if rates else 0.0,
        period_s=float(says.period_s) if says else 0.0,
        swaps=swapped > 0,
        major_faults_per_s=(rates.major_faults_per_s or 0.0) if rates else 0.0,
        balance=balance,
    )
