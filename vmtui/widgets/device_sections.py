"""What a VM's panes say of its devices: each disk, each network card."""

from __future__ import annotations

from dataclasses import replace

from vmtui.counters import DiskCounters, Measure, NicCounters
from vmtui.figures import BY_ID, MOVING, Unit
from vmtui.rates import DiskRates, NicRates
from vmtui.units import bytes_per_s, count, milliseconds, percent, plain, size
from vmtui.views import VMView
from vmtui.widgets.quantities import rates as both
from vmtui.widgets.sections import NONE, NOT_TOLD, Pair, Part, Pieces, Plot, Section
from vmtui.widgets.vm_values import alarmed, notes, said


def disk_section(row: VMView) -> Section:
    """What it reads and writes, and each of its disks."""
    reads, writes = BY_ID["read_iops"], BY_ID["write_iops"]
    latency = BY_ID["latency"]
    head: tuple[Pieces, ...] = (((said(row, "read_iops"), "quiet"),),)
    if reads.of(row) is not None:
        head = (
            (("r ", "quiet"), (reads.text(row), "strong"),
             (" w ", "quiet"), (writes.text(row), "strong"), (" /s", "quiet")),
        )  # fmt: skip
    if latency.of(row) is not None:
        head += ((("lat ", "quiet"), alarmed(row, latency.text(row), "latency"), (" ms", "quiet")),)
    rates = {disk.target: disk for disk in row.rates.disks} if row.rates else {}
    moves = row.vm.state in MOVING
    disks = row.counters.disks if row.counters else ()
    parts = [_disk_part(d, rates.get(d.target) if moves else None) for d in disks]
    title = "Disk"
    if len(parts) == 1:
        title, parts = f"Disk {parts[0].name}", [replace(parts[0], name="")]
    return Section(
        title,
        head,
        Plot("r+w", ("read_bytes", "write_bytes"), "disk", Unit.BYTES_PER_S),
        (
            Plot("read", ("read_bytes",), "disk", Unit.BYTES_PER_S),
            Plot("write", ("write_bytes",), "disk", Unit.BYTES_PER_S),
            Plot("latency", ("latency",), "warn", Unit.MS, minor=True),
        ),
        parts=tuple(parts),
        notes=notes(row, (Measure.DISKS,)),
    )


def _disk_part(disk: DiskCounters, rates: DiskRates | None) -> Part:
    r = rates
    pairs = (
        Pair("read", _io(r.reads_per_s, r.read_bytes_per_s) if r else NONE),
        Pair("write", _io(r.writes_per_s, r.write_bytes_per_s) if r else NONE),
        Pair("lat r/w", _latencies(r.read_latency_ms, r.write_latency_ms) if r else NONE),
        Pair("flush", _flush(r) if r else NONE),
        Pair("in flight", count(r.in_flight) if r else NONE),
        Pair("size", size(disk.capacity_bytes)),
        Pair("written", size(disk.allocation_bytes)),
        Pair("on disk", size(disk.physical_bytes)),
    )
    return Part(plain(disk.target), pairs)


def _io(per_s: float | None, bytes_each_s: float | None) -> str:
    return f"{count(per_s)}/s {bytes_per_s(bytes_each_s)}"


def _latencies(read_ms: float | None, write_ms: float | None) -> str:
    texts = f"{milliseconds(read_ms)} / {milliseconds(write_ms)}"
    return texts if read_ms is None and write_ms is None else f"{texts} ms"


def _flush(rates: DiskRates) -> str:
    text = f"{count(rates.flushes_per_s)}/s"
    latency = rates.flush_latency_ms
    return text if latency is None else f"{text} {milliseconds(latency)} ms"


def network_section(row: VMView) -> Section:
    """What it receives and sends, and each of its network cards."""
    received, sent = BY_ID["rx_bytes"].of(row), BY_ID["tx_bytes"].of(row)
    head: Pieces = ((said(row, "rx_bytes"), "quiet"),)
    if received is not None and sent is not None:
        down, up, unit = both(received, sent)
        head = (("↓ ", "quiet"), (down, "strong"), (" ↑ ", "quiet"), (up, "strong"),
                (f" {unit}", "quiet"))  # fmt: skip
    rates = {nic.name: nic for nic in row.rates.nics} if row.rates else {}
    moves = row.vm.state in MOVING
    nics = row.counters.nics if row.counters else ()
    if nics and all(nic.why_missing for nic in nics):
        head = ((NOT_TOLD, "quiet"),)
    return Section(
        "Net",
        (head,),
        Plot("in+out", ("rx_bytes", "tx_bytes"), "net", Unit.BYTES_PER_S),
        (
            Plot("in", ("rx_bytes",), "net", Unit.BYTES_PER_S),
            Plot("out", ("tx_bytes",), "net", Unit.BYTES_PER_S),
        ),
        parts=tuple(_nic_part(nic, rates.get(nic.name) if moves else None) for nic in nics),
        notes=notes(row, (Measure.NICS,)) if not nics else (),
    )


def _nic_part(nic: NicCounters, rates: NicRates | None) -> Part:
    name = plain(nic.name)
    if nic.why_missing:
        return Part(name, (), f"{NOT_TOLD}: {plain(nic.why_missing)}")
    r = rates
    drops = "warn" if r and r.drop_percent else "text"
    return Part(
        name,
        (
            Pair("in", _flow(r.rx_bytes_per_s, r.rx_packets_per_s) if r else NONE),
            Pair("out", _flow(r.tx_bytes_per_s, r.tx_packets_per_s) if r else NONE),
            Pair("errors", f"{count(r.errors_per_s)}/s" if r else NONE),
            Pair("drops", f"{count(r.drops_per_s)}/s  {percent(r.drop_percent)} %" if r else NONE,
                 drops),
        ),
    )  # fmt: skip


def _flow(bytes_each_s: float | None, packets_per_s: float | None) -> str:
    return f"{bytes_per_s(bytes_each_s)} {count(packets_per_s)} pkt/s"
