"""libvirt's fields of one domain, made into counters; what is not among them gets a reason.

Fields: virConnectGetAllDomainStats in libvirt's reference. Memory is in KiB, times are in ns.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from vmtui.backends.kvm.procfs import Held
from vmtui.backends.libvirt.domain_facts import Definition
from vmtui.counters import (
    ALL_EXITS,
    GUEST_PERIOD_S,
    CpuCounters,
    DiskCounters,
    GuestMemory,
    Measure,
    MemoryCounters,
    NicCounters,
    VcpuCounters,
)
from vmtui.model import Accel
from vmtui.units import KIB

Record = Mapping[str, Any]

_EXITS = re.compile(r"vcpu\.\d+\.(\w*?)_?exits\.sum")  # from libvirt 8.9
_USER_NETWORK = "a user-mode network keeps no counters"
_NO_INTERFACE = "libvirt keeps no counters of this kind of network card"
_UNTOLD = "libvirt does not tell it of this VM"
_ONLY_KVM = "only KVM counts it"
_EMULATED = "only KVM counts it; this VM is emulated"
_OLD = "the host's libvirt (before 8.9), QEMU (before 7.1) or kernel (before 5.14) does not tell it"
_NO_DRIVER = "the guest has no balloon driver, or it has not said anything yet"
_NO_BALLOON = "it has no balloon device"


def cpu(record: Record, at_s: float, definition: Definition) -> CpuCounters:
    """CPU of the whole domain and of each vCPU, with what KVM counts of it."""
    kvm = definition.vm.accel is Accel.KVM
    # A kernel without KVM, or a VM without it, reads as 0.
    polled = [record.get(f"cpu.haltpoll.{end}.time") for end in ("success", "fail")] if kvm else []
    told = [spent_ns for spent_ns in polled if spent_ns is not None]
    return CpuCounters(
        at_s,
        time_ns=record.get("cpu.time"),
        user_ns=record.get("cpu.user"),
        system_ns=record.get("cpu.system"),
        vcpus=tuple(_vcpus(record)),
        vcpus_at_s=at_s,
        halt_poll_ns=sum(told) if told else None,
        exits=_exits(record) if kvm else None,
        kvm_at_s=at_s,
    )


def _vcpus(record: Record) -> list[VcpuCounters]:
    # One that is unplugged has no fields; `wait` is 0 on many kernels, `delay` is what is meant.
    return [
        VcpuCounters(index, record.get(f"vcpu.{index}.time"), record.get(f"vcpu.{index}.delay"))
        for index in range(record.get("vcpu.maximum", 0))
        if f"vcpu.{index}.time" in record
    ]


def _exits(record: Record) -> dict[str, int] | None:
    found: dict[str, int] = {}
    for key, number in record.items():
        if match := _EXITS.fullmatch(key):
            kind = match[1] or ALL_EXITS
            found[kind] = found.get(kind, 0) + int(number)
    return found or None


def memory(
    record: Record, at_s: float, definition: Definition, held: Held | None, *, local: bool
) -> MemoryCounters:
    """The balloon and what the guest says through it; `held`: by its process on this machine.

    The target is not among it: libvirt's description of a running VM repeats the actual size.
    """
    return MemoryCounters(
        at_s,
        maximum_bytes=_kib(record.get("balloon.maximum")),
        actual_bytes=_kib(record.get("balloon.current")),
        guest=_guest(record, definition, local=local),
        rss_bytes=_kib(record.get("balloon.rss")),
        swapped_bytes=held.swapped_bytes if held else None,
        merged_bytes=held.merged_bytes if held else None,
    )


def _guest(record: Record, definition: Definition, *, local: bool) -> GuestMemory | None:
    updated_at_s = record.get("balloon.last-update")
    if not updated_at_s or "balloon.available" not in record:
        return None
    return GuestMemory(
        updated_at_s=float(updated_at_s),
        period_s=float(definition.stats_period_s or GUEST_PERIOD_S),
        age_s=max(0.0, time.time() - updated_at_s) if local else None,
        total_bytes=_kib(record.get("balloon.available")),
        available_bytes=_kib(record.get("balloon.usable")),
        free_bytes=_kib(record.get("balloon.unused")),
        caches_bytes=_kib(record.get("balloon.disk_caches")),
        swap_in_bytes=_kib(record.get("balloon.swap_in")),
        swap_out_bytes=_kib(record.get("balloon.swap_out")),
        major_faults=record.get("balloon.major_fault"),
        minor_faults=record.get("balloon.minor_fault"),
    )


def _kib(value: int | None) -> int | None:
    return None if value is None else value * KIB


def disks(record: Record, at_s: float) -> tuple[DiskCounters, ...]:
    """Each disk, by its target."""
    return tuple(
        _disk(f"block.{number}", record, at_s)
        for number in range(record.get("block.count", 0))
        if f"block.{number}.name" in record
    )


def _disk(block: str, record: Record, at_s: float) -> DiskCounters:
    return DiskCounters(
        at_s,
        str(record[f"{block}.name"]),
        reads=record.get(f"{block}.rd.reqs"),
        read_bytes=record.get(f"{block}.rd.bytes"),
        read_ns=record.get(f"{block}.rd.times"),
        writes=record.get(f"{block}.wr.reqs"),
        write_bytes=record.get(f"{block}.wr.bytes"),
        write_ns=record.get(f"{block}.wr.times"),
        flushes=record.get(f"{block}.fl.reqs"),
        flush_ns=record.get(f"{block}.fl.times"),
        capacity_bytes=record.get(f"{block}.capacity"),
        allocation_bytes=record.get(f"{block}.allocation"),
        physical_bytes=record.get(f"{block}.physical"),
    )


def nics(record: Record, at_s: float, definition: Definition | None) -> tuple[NicCounters, ...]:
    """Each network card. libvirt itself turns a tap's directions into those of the guest."""
    return tuple(
        _nic(number, record, at_s, definition) for number in range(record.get("net.count", 0))
    )


def _nic(number: int, record: Record, at_s: float, definition: Definition | None) -> NicCounters:
    net = f"net.{number}"
    if f"{net}.rx.bytes" not in record:
        name = str(record.get(f"{net}.name", f"net{number}"))
        return NicCounters(at_s, name, why_missing=_why_no_nic(number, definition))
    return NicCounters(
        at_s,
        str(record[f"{net}.name"]),
        rx_bytes=record.get(f"{net}.rx.bytes"),
        rx_packets=record.get(f"{net}.rx.pkts"),
        rx_errors=record.get(f"{net}.rx.errs"),
        rx_drops=record.get(f"{net}.rx.drop"),
        tx_bytes=record.get(f"{net}.tx.bytes"),
        tx_packets=record.get(f"{net}.tx.pkts"),
        tx_errors=record.get(f"{net}.tx.errs"),
        tx_drops=record.get(f"{net}.tx.drop"),
    )


def _why_no_nic(number: int, definition: Definition | None) -> str:
    if definition is None:
        return "its definition was not read yet"
    known = definition.vm.nics
    user = number < len(known) and known[number].network.startswith("user")
    return _USER_NETWORK if user else _NO_INTERFACE


def why_no_nics(found: tuple[NicCounters, ...]) -> str:
    """Why there are no figures of the network; "" where there are."""
    if not found:
        return "it has no network card"
    return found[0].why_missing if all(nic.why_missing for nic in found) else ""


def missing(
    cpu: CpuCounters,
    memory: MemoryCounters,
    disks: tuple[DiskCounters, ...],
    definition: Definition,
    *,
    why_no_guest: str = "",
    why_not_held: str = "",
) -> dict[Measure, str]:
    """A reason for everything that a whole record did not hold."""
    uncounted = {Accel.KVM: _OLD, Accel.TCG: _EMULATED}.get(
        definition.vm.accel or Accel.AUTO, _ONLY_KVM
    )
    merged = why_not_held or "this kernel (before 6.1) or your user's rights do not show it"
    reasons = {
        Measure.CPU: (cpu.time_ns, _UNTOLD),
        Measure.VCPUS: (cpu.vcpus or None, _UNTOLD),
        Measure.READY: (
            next((vcpu.ready_ns for vcpu in cpu.vcpus), None),
            "the host's libvirt does not tell it (vcpu.N.delay)",
        ),
        Measure.HALT_POLL: (cpu.halt_poll_ns, uncounted),
        Measure.EXITS: (cpu.exits, uncounted),
        Measure.BALLOON: (memory.actual_bytes, _UNTOLD),
        Measure.GUEST_MEMORY: (
            # What an unasked guest said once is there, and grows old: then this is why.
            None if why_no_guest else memory.guest,
            why_no_guest or (_NO_DRIVER if definition.has_balloon else _NO_BALLOON),
        ),
        Measure.RSS: (memory.rss_bytes, _UNTOLD),
        Measure.SWAPPED: (memory.swapped_bytes, why_not_held or _UNTOLD),
        Measure.MERGED: (memory.merged_bytes, merged),
        Measure.DISKS: (disks or None, "it has no disk"),
    }
    return {measure: reason for measure, (value, reason) in reasons.items() if value is None}


def with_own_time(cpu: CpuCounters, at_s: float, user_ns: int, system_ns: int) -> CpuCounters:
    """The same vCPUs and counts, with newer time of the whole process."""
    return replace(
        cpu, at_s=at_s, time_ns=user_ns + system_ns, user_ns=user_ns, system_ns=system_ns
    )
