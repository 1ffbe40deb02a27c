"""What QEMU tells of its VM: vCPU threads, disks, balloon, the guest's memory, KVM's counts.

Protocol: QEMU's QMP reference (query-cpus-fast, query-blockstats, query-balloon, the
virtio-balloon device's guest-stats, query-stats).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vmtui.backends.kvm.monitor import Monitor
from vmtui.counters import ALL_EXITS, GUEST_PERIOD_S, DiskCounters, GuestMemory
from vmtui.errors import OperationError
from vmtui.model import Disk

_BALLOON = "/machine/peripheral/balloon0"
_UNSUPPORTED = 2**64 - 1
_POLLS = ("halt_poll_success_ns", "halt_poll_fail_ns")


@dataclass(frozen=True, slots=True)
class Answers:
    """What is known of one run of a VM; what was not asked again keeps its value and time."""

    threads: tuple[int, ...] = ()  # of the vCPUs, by their index
    disks: tuple[DiskCounters, ...] = ()
    actual_bytes: int | None = None
    guest: GuestMemory | None = None
    why_no_guest: str = ""
    kvm_names: tuple[str, ...] | None = None  # of the statistics that are asked for
    halt_poll_ns: int | None = None
    exits: Mapping[str, int] | None = None
    kvm_at_s: float | None = None


async def quick(monitor: Monitor, last: Answers, drives: Mapping[str, Disk]) -> Answers:
    """What moves every second, of `drives` by their nodes."""
    blocks = await monitor.execute("query-blockstats")
    at_s = time.monotonic()
    return replace(
        last,
        disks=tuple(
            _disk(block, drives[block["node-name"]], at_s)
            for block in blocks
            if block.get("node-name") in drives
        ),
    )


async def thorough(monitor: Monitor, last: Answers, *, kvm: bool, may_arm: bool) -> Answers:
    """What moves slowly, or costs more. `may_arm`: the guest may be told to report its memory."""
    cpus = await monitor.execute("query-cpus-fast")
    threads = {int(cpu["cpu-index"]): int(cpu["thread-id"]) for cpu in cpus}
    actual_bytes = await _actual_bytes(monitor)
    guest, why_no_guest = None, "it has no balloon"
    if actual_bytes is not None:
        guest, why_no_guest = await _guest(monitor, last.guest, may_arm=may_arm)
    names = last.kvm_names
    if names is None:
        names = await _kvm_names(monitor) if kvm else ()
    halt_poll_ns, exits = await _kvm(monitor, names) if names else (None, None)
    return replace(
        last,
        threads=tuple(threads[index] for index in sorted(threads)),
        actual_bytes=actual_bytes,
        guest=guest,
        why_no_guest=why_no_guest,
        kvm_names=names,
        halt_poll_ns=halt_poll_ns,
        exits=exits,
        kvm_at_s=time.monotonic(),
    )


def _disk(block: Mapping[str, Any], disk: Disk, at_s: float) -> DiskCounters:
    stats = block["stats"]
    file = block.get("parent", {}).get("stats", {})
    physical_bytes = allocation_bytes = None
    if disk.source is not None:
        try:
            status = Path(disk.source).stat()
        except OSError:
            pass
        else:
            physical_bytes = status.st_blocks * 512
            # QEMU knows only what was written since it started; an image's file ends there.
            written = int(file.get("wr_highest_offset", 0))
            grows = disk.format == "qcow2"
            allocation_bytes = max(written, status.st_size if grows else 0) or None
    return DiskCounters(
        at_s,
        disk.target,
        reads=int(stats["rd_operations"]),
        read_bytes=int(stats["rd_bytes"]),
        read_ns=int(stats["rd_total_time_ns"]),
        writes=int(stats["wr_operations"]),
        write_bytes=int(stats["wr_bytes"]),
        write_ns=int(stats["wr_total_time_ns"]),
        flushes=int(stats["flush_operations"]),
        flush_ns=int(stats["flush_total_time_ns"]),
        capacity_bytes=disk.capacity_bytes,
        allocation_bytes=allocation_bytes,
        physical_bytes=physical_bytes,
    )


async def _actual_bytes(monitor: Monitor) -> int | None:
    try:
        return int((await monitor.execute("query-balloon"))["actual"])
    except OperationError:
        return None


async def _guest(
    monitor: Monitor, last: GuestMemory | None, *, may_arm: bool
) -> tuple[GuestMemory | None, str]:
    """What the balloon driver said last, or why there is nothing."""
    if last is not None and _keeps_reporting(last):
        period_s = last.period_s
    else:
        period_s = await _period_s(monitor, may_arm=may_arm)
    if period_s == 0:
        return None, "read-only: the guest is not asked to report its memory"
    try:
        answer = await _property(monitor, "guest-stats")
    except OperationError:  # some versions refuse until the driver has said something
        answer = {"last-update": 0}
    if not answer["last-update"]:
        return None, "the guest has no balloon driver, or it has not said anything yet"
    return _guest_memory(answer, period_s), ""


def _keeps_reporting(guest: GuestMemory) -> bool:
    """Whether its last report is as young as its period lets expect."""
    return 0 <= time.time() - guest.updated_at_s <= 1.5 * guest.period_s


async def _period_s(monitor: Monitor, *, may_arm: bool) -> float:
    """How often the guest reports its memory; 0: not by itself."""
    period_s = float(await _property(monitor, "guest-stats-polling-interval"))
    if period_s == 0 and may_arm:
        # Without it the guest reports once, when its driver loads, and never again.
        arguments = {"path": _BALLOON, "property": "guest-stats-polling-interval"}
        await monitor.execute("qom-set", {**arguments, "value": GUEST_PERIOD_S})
        period_s = float(GUEST_PERIOD_S)
    return period_s


async def _property(monitor: Monitor, name: str) -> Any:
    return await monitor.execute("qom-get", {"path": _BALLOON, "property": name})


def _guest_memory(answer: Mapping[str, Any], period_s: float) -> GuestMemory:
    def stat(name: str) -> int | None:
        value = answer["stats"].get(f"stat-{name}")
        return int(value) if value is not None and 0 <= value < _UNSUPPORTED else None

    updated_at_s = float(answer["last-update"])
    return GuestMemory(
        updated_at_s=updated_at_s,
        period_s=period_s,
        age_s=max(0.0, time.time() - updated_at_s),
        total_bytes=stat("total-memory"),
        available_bytes=stat("available-memory"),
        free_bytes=stat("free-memory"),
        caches_bytes=stat("disk-caches"),
        swap_in_bytes=stat("swap-in"),
        swap_out_bytes=stat("swap-out"),
        major_faults=stat("major-faults"),
        minor_faults=stat("minor-faults"),
    )


async def _kvm_names(monitor: Monitor) -> tuple[str, ...]:
    """What this kernel counts of exits and of busy waiting."""
    try:
        schemas = await monitor.execute("query-stats-schemas", {"provider": "kvm"})
    except OperationError:  # QEMU before 7.1
        return ()
    return tuple(
        stat["name"]
        for schema in schemas
        if schema["target"] == "vcpu"
        for stat in schema["stats"]
        if stat["type"] == "cumulative"
        and (stat["name"].endswith("exits") or stat["name"] in _POLLS)
    )


async def _kvm(
    monitor: Monitor, names: tuple[str, ...]
) -> tuple[int | None, Mapping[str, int] | None]:
    """KVM's busy waiting, and its exits by kind, over all vCPUs."""
    wanted = {"provider": "kvm", "names": list(names)}
    vcpus = await monitor.execute("query-stats", {"target": "vcpu", "providers": [wanted]})
    totals: dict[str, int] = {}
    for vcpu in vcpus:
        for stat in vcpu["stats"]:
            totals[stat["name"]] = totals.get(stat["name"], 0) + int(stat["value"])
    polled = [totals.pop(name) for name in _POLLS if name in totals]
    exits = {name.removesuffix("exits").rstrip("_") or ALL_EXITS: n for name, n in totals.items()}
    return (sum(polled) if polled else None), exits or None
