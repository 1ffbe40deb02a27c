"""What the panes of a VM say: CPU, memory, each disk, each network card."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from vmtui.counters import ALL_EXITS, DiskCounters, Measure, NicCounters
from vmtui.figures import BY_ID, FIGURES, MOVING, Figure, Unit
from vmtui.model import Accel
from vmtui.rates import CpuRates, DiskRates, NicRates, VcpuRates
from vmtui.units import bytes_per_s, count, milliseconds, percent, plain, size
from vmtui.views import VMView
from vmtui.widgets.clock import short_duration
from vmtui.widgets.explanation import Explanation
from vmtui.widgets.quantities import rates as both
from vmtui.widgets.quantities import sizes
from vmtui.widgets.sections import NONE, NOT_TOLD, Bar, Pair, Part, Pieces, Plot, Section, absences
from vmtui.widgets.states import ALARM, alarms

_CPU = (Measure.CPU, Measure.VCPUS, Measure.READY, Measure.HALT_POLL, Measure.EXITS)
_MEMORY = (
    Measure.BALLOON,
    Measure.GUEST_MEMORY,
    Measure.RSS,
    Measure.SWAPPED,
    Measure.MERGED,
)

_NO_STEAL = Pair("steal", NOT_TOLD, "quiet")
"""Only KVM tells its guests of it."""


def vm_sections(row: VMView) -> tuple[Section, ...]:
    """All four."""
    return (_cpu(row), _memory(row), _disk(row), _network(row))


def vm_explanations(row: VMView) -> Sequence[Explanation]:
    """Every figure of the panes, in their order."""
    return [Explanation.of_figure(figure, row) for figure in FIGURES]


# -- values ----------------------------------------------------------------------------------------


def _said(row: VMView, figure: Figure) -> str:
    """The value: `–` where there is none now, `n/a` where there never is."""
    text = figure.text(row)
    known = row.counters.missing if row.counters else {}
    return NOT_TOLD if text == NONE and figure.measure in known else text


def _alarmed(row: VMView, text: str, *figures: str) -> tuple[str, str]:
    """The text and its ink: with a symbol where one of the figures is too high."""
    too_high = {breach.figure for breach in alarms(row)}
    return (f"{ALARM}{text}", "bad") if too_high.intersection(figures) else (text, "text")


def _pair(row: VMView, label: str, name: str, unit: str = "", *alarm: str) -> Pair:
    text = _said(row, BY_ID[name])
    if text in (NONE, NOT_TOLD):
        return Pair(label, text, "quiet")
    return Pair(label, *_alarmed(row, text + unit, name, *alarm))


def _notes(row: VMView, measures: Iterable[Measure]) -> tuple[str, ...]:
    return absences(row.counters.missing, measures) if row.counters else ()


# -- CPU -------------------------------------------------------------------------------------------


def _cpu(row: VMView) -> Section:
    rates = row.rates.cpu if row.rates and row.vm.state in MOVING else None
    vcpus = row.vm.vcpus
    used = BY_ID["cpu"].of(row)
    ready = _said(row, BY_ID["ready"])
    of = f" % of {vcpus} vCPU{'s' * (vcpus > 1)}" if used is not None else ""
    return Section(
        "CPU",
        (
            ((_said(row, BY_ID["cpu"]), "strong"), (of, "quiet")),
            *(
                ((("ready ", "quiet"), _alarmed(row, ready, "ready", "ready_max")),)
                if ready != NONE
                else ()
            ),
        ),
        Plot("CPU", ("cpu",), "cpu", Unit.PERCENT, 100.0),
        (
            Plot("CPU", ("cpu",), "cpu", Unit.PERCENT, 100.0),
            Plot("ready", ("ready",), "warn", Unit.PERCENT, 100.0, minor=True),
        ),
        (
            _pair(row, "ready", "ready", "", "ready_max"),
            _pair(row, "worst", "ready_max"),
            _pair(row, "core", "cpu_core"),
            _pair(row, "host", "cpu_host"),
            _pair(row, "steal", "steal") if row.vm.accel is Accel.KVM else _NO_STEAL,
            _pair(row, "poll", "halt_poll"),
            _pair(row, "exit/s", "exits"),
            _pair(row, "sys", "cpu_system"),
        ),
        bars=tuple(map(_vcpu, rates.vcpus)) if rates else (),
        parts=_exits(rates),
        notes=_notes(row, _CPU),
    )


def _vcpu(vcpu: VcpuRates) -> Bar:
    used, ready = vcpu.used_percent, vcpu.ready_percent
    text: Pieces = (
        (f"{percent(used):>5}", "text"),
        (" rdy ", "quiet"),
        (f"{percent(ready) if ready is not None else NOT_TOLD:>4}", "text"),
    )
    return Bar(str(vcpu.index), None if used is None else used / 100, text)


def _exits(rates: CpuRates | None) -> tuple[Part, ...]:
    kinds = rates.exits_per_s if rates else None
    if not kinds:
        return ()
    often = sorted(kinds.items(), key=lambda item: -item[1])
    pairs = tuple(Pair(plain(kind), count(n)) for kind, n in often if kind != ALL_EXITS and n > 0)
    return (Part("exits per second", pairs),) if pairs else ()


# -- memory ----------------------------------------------------------------------------------------


def _memory(row: VMView) -> Section:
    memory = row.counters.memory if row.counters else None
    ceiling = BY_ID["memory"].of(row) or row.vm.memory_bytes
    used, total = BY_ID["guest_used"].of(row), BY_ID["guest_total"].of(row)
    rss = BY_ID["rss"].of(row)
    head: tuple[Pieces, ...] = (((size(rss), "strong"), (" on the host", "quiet")),)
    if used is not None and total is not None:
        some, whole, unit = sizes(used, total)
        head = (((some, "strong"), (f" of {whole} {unit}", "quiet")), (("used", "quiet"),))
    elif rss is None:
        head = (((size(ceiling), "text"),),)
    told = memory is not None and memory.guest is not None
    plots = (
        Plot("guest", ("guest_used",), "memory", Unit.BYTES, float(ceiling)),
        Plot("on host", ("rss",), "quiet", Unit.BYTES, float(ceiling)),
    )
    return Section(
        "Memory",
        head,
        plots[0] if told else plots[1],
        plots if told else plots[1:],
        (
            _balloon(row),
            _pair(row, "available", "guest_available"),
            Pair("swap i/o", *_two(row, "guest_swap_in", "guest_swap_out")),
            _pair(row, "faults", "guest_faults", "/s"),
            _pair(row, "on host", "rss"),
            _pair(row, "swapped", "swapped"),
            _pair(row, "merged", "merged"),
            _guest_age(row),
            _pair(row, "ceiling", "memory"),
            _pair(row, "cache", "guest_caches"),
            _pair(row, "guest has", "guest_total"),
        ),
        notes=_notes(row, _MEMORY),
    )  # fmt: skip


def _balloon(row: VMView) -> Pair:
    """What the guest has, and what it was asked to have where that is something else."""
    actual, target = BY_ID["memory_actual"].of(row), BY_ID["memory_target"].of(row)
    if actual is None:
        return _pair(row, "actual", "memory_actual")
    if target is None or target == actual:
        return _pair(row, "actual", "memory_actual", "", "balloon")
    return Pair("actual", f"{size(actual)} → {size(target)}", "warn")


def _two(row: VMView, first: str, second: str) -> tuple[str, str]:
    texts = [_said(row, BY_ID[name]) for name in (first, second)]
    if texts[0] == texts[1] and texts[0] in (NONE, NOT_TOLD):
        return texts[0], "quiet"
    return _alarmed(row, " / ".join(texts), first, second)


def _guest_age(row: VMView) -> Pair:
    guest = row.rates.guest if row.rates else None
    if guest is None:
        return Pair("as of", NONE, "quiet")
    return Pair("as of", f"{short_duration(guest.age_s)} ago", "text" if guest.fresh else "warn")


# -- disks -----------------------------------------------------------------------------------------


def _disk(row: VMView) -> Section:
    reads, writes = BY_ID["read_iops"], BY_ID["write_iops"]
    latency = BY_ID["latency"]
    head: tuple[Pieces, ...] = (((_said(row, reads), "quiet"),),)
    if reads.of(row) is not None:
        head = (
            (("r ", "quiet"), (reads.text(row), "strong"),
             (" w ", "quiet"), (writes.text(row), "strong"), (" /s", "quiet")),
        )  # fmt: skip
    if latency.of(row) is not None:
        head += (
            (("lat ", "quiet"), _alarmed(row, latency.text(row), "latency"), (" ms", "quiet")),
        )
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
        notes=_notes(row, (Measure.DISKS,)),
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


# -- network ---------------------------------------------------------------------------------------


def _network(row: VMView) -> Section:
    received, sent = BY_ID["rx_bytes"].of(row), BY_ID["tx_bytes"].of(row)
    head: Pieces = ((_said(row, BY_ID["rx_bytes"]), "quiet"),)
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
        notes=_notes(row, (Measure.NICS,)) if not nics else (),
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
