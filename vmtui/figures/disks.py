"""The figures of a VM's disks, over all of them."""

from __future__ import annotations

from collections.abc import Callable

from vmtui.counters import Measure
from vmtui.figures.figure import Figure, Source, Unit, total
from vmtui.rates import DiskRates
from vmtui.views import VMView


def _over_disks(get: Callable[[DiskRates], float | None]) -> Callable[[VMView], float | None]:
    def value(row: VMView) -> float | None:
        return total(map(get, row.rates.disks)) if row.rates else None

    return value


def _mean_latency(
    get: Callable[[DiskRates], float | None], weigh: Callable[[DiskRates], float | None]
) -> Callable[[VMView], float | None]:
    """Over all disks, each with the weight of its requests."""

    def value(row: VMView) -> float | None:
        if row.rates is None:
            return None
        pairs = [(get(disk), weigh(disk)) for disk in row.rates.disks]
        known = [(latency, weight) for latency, weight in pairs if latency is not None and weight]
        requests = sum(weight for _, weight in known)
        return sum(latency * weight for latency, weight in known) / requests if known else None

    return value


def _requests(disk: DiskRates) -> float | None:
    return total((disk.reads_per_s, disk.writes_per_s))


def _disk_sizes(name: str) -> Callable[[VMView], float | None]:
    def value(row: VMView) -> float | None:
        return total(getattr(d, name) for d in row.counters.disks) if row.counters else None

    return value


_NO_REQUESTS = "there were no requests, so there is no latency"
_BLOCK = Source("QMP query-blockstats", "block.N.*")

DISK_FIGURES = (
    Figure(
        "read_iops",
        "READ/s",
        Unit.PER_S,
        "Read requests per second, over all disks.",
        _BLOCK,
        Measure.DISKS,
        _over_disks(lambda disk: disk.reads_per_s),
    ),
    Figure(
        "write_iops",
        "WRITE/s",
        Unit.PER_S,
        "Write requests per second, over all disks.",
        _BLOCK,
        Measure.DISKS,
        _over_disks(lambda disk: disk.writes_per_s),
    ),
    Figure(
        "flush_iops",
        "FLUSH/s",
        Unit.PER_S,
        "Flushes per second, over all disks: what the guest's fsync comes to.",
        _BLOCK,
        Measure.DISKS,
        _over_disks(lambda disk: disk.flushes_per_s),
    ),
    Figure(
        "read_bytes",
        "READ",
        Unit.BYTES_PER_S,
        "Bytes read per second, over all disks.",
        _BLOCK,
        Measure.DISKS,
        _over_disks(lambda disk: disk.read_bytes_per_s),
    ),
    Figure(
        "write_bytes",
        "WRITE",
        Unit.BYTES_PER_S,
        "Bytes written per second, over all disks.",
        _BLOCK,
        Measure.DISKS,
        _over_disks(lambda disk: disk.write_bytes_per_s),
    ),
    Figure(
        "latency",
        "LAT ms",
        Unit.MS,
        "How long a read or write took from QEMU's side, mean of all requests. esxtop's GAVG. "
        "Without requests there is none.",
        Source("QMP query-blockstats *_total_time_ns", "block.N.{rd,wr}.times / reqs"),
        Measure.DISKS,
        _mean_latency(lambda disk: disk.latency_ms, _requests),
        _NO_REQUESTS,
    ),
    Figure(
        "read_latency",
        "R ms",
        Unit.MS,
        "How long a read took, mean of all requests.",
        Source("QMP query-blockstats rd_total_time_ns", "block.N.rd.times / rd.reqs"),
        Measure.DISKS,
        _mean_latency(lambda disk: disk.read_latency_ms, lambda disk: disk.reads_per_s),
        _NO_REQUESTS,
    ),
    Figure(
        "write_latency",
        "W ms",
        Unit.MS,
        "How long a write took, mean of all requests.",
        Source("QMP query-blockstats wr_total_time_ns", "block.N.wr.times / wr.reqs"),
        Measure.DISKS,
        _mean_latency(lambda disk: disk.write_latency_ms, lambda disk: disk.writes_per_s),
        _NO_REQUESTS,
    ),
    Figure(
        "flush_latency",
        "F ms",
        Unit.MS,
        "How long a flush took: what an fsync costs the guest.",
        Source("QMP query-blockstats flush_total_time_ns", "block.N.fl.times / fl.reqs"),
        Measure.DISKS,
        _mean_latency(lambda disk: disk.flush_latency_ms, lambda disk: disk.flushes_per_s),
        "there were no flushes",
    ),
    Figure(
        "in_flight",
        "ACTV",
        Unit.COUNT,
        "Requests under way at any moment, mean of the interval: the time of all requests "
        "divided by the time that passed (Little's law). esxtop's ACTV.",
        Source("QMP query-blockstats *_total_time_ns", "block.N.{rd,wr}.times"),
        Measure.DISKS,
        _over_disks(lambda disk: disk.in_flight),
    ),
    Figure(
        "capacity",
        "CAPACITY",
        Unit.BYTES,
        "Size of the disks as the guest sees them.",
        Source("the image's header", "block.N.capacity"),
        Measure.DISKS,
        _disk_sizes("capacity_bytes"),
        moving=False,
    ),
    Figure(
        "allocation",
        "ALLOC",
        Unit.BYTES,
        "The highest offset that was written in the images.",
        Source("QMP query-blockstats wr_highest_offset", "block.N.allocation"),
        Measure.DISKS,
        _disk_sizes("allocation_bytes"),
        moving=False,
    ),
    Figure(
        "physical",
        "ON DISK",
        Unit.BYTES,
        "What the images take on the host's disks.",
        Source("stat: blocks of the file", "block.N.physical"),
        Measure.DISKS,
        _disk_sizes("physical_bytes"),
        moving=False,
    ),
)
