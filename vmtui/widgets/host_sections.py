"""What the panes of a host say: CPU, memory, disks, network."""

from __future__ import annotations

from collections.abc import Sequence

from vmtui.counters import Measure
from vmtui.figures import Unit
from vmtui.host_figures import (
    HOST_BY_ID,
    HOST_FIGURES,
    promised_bytes,
    promised_vcpus,
)
from vmtui.host_metrics import CpuShares, HostDiskRates, HostNicRates
from vmtui.units import bytes_per_s, count, percent, plain, size
from vmtui.views import ConnectionView
from vmtui.widgets.explanation import Explanation
from vmtui.widgets.quantities import rates as both
from vmtui.widgets.quantities import sizes
from vmtui.widgets.sections import NONE, NOT_TOLD, Bar, Pair, Part, Pieces, Plot, Section, absences

_MEASURES = {
    "CPU": (Measure.CPU, Measure.CPU_DETAIL, Measure.LOAD, Measure.PRESSURE),
    "Memory": (Measure.MEMORY, Measure.HUGE_PAGES, Measure.SWAP, Measure.KSM),
    "Disk": (Measure.DISKS,),
    "Net": (Measure.NICS,),
}


def host_sections(connection: ConnectionView, *, each: bool = False) -> tuple[Section, ...]:
    """All four; with `each` every CPU, device and interface by itself."""
    return (
        _cpu(connection, each=each),
        _memory(connection),
        _disk(connection, each=each),
        _network(connection, each=each),
    )


def host_explanations(connection: ConnectionView) -> Sequence[Explanation]:
    """Every figure of the host."""
    return [Explanation.of_host(figure, connection) for figure in HOST_FIGURES]


def _said(connection: ConnectionView, name: str) -> str:
    text = HOST_BY_ID[name].text(connection)
    missing = connection.host_counters.missing if connection.host_counters else {}
    return NOT_TOLD if text == NONE and HOST_BY_ID[name].measure in missing else text


def _pair(connection: ConnectionView, label: str, *names: str, unit: str = "") -> Pair:
    """One or more values; `n/a` once where none of them is told."""
    texts = [_said(connection, name) for name in names]
    if all(text in (NONE, NOT_TOLD) for text in texts):
        return Pair(label, texts[0], "quiet")
    return Pair(label, " ".join(texts) + unit)


def _psi(connection: ConnectionView, resource: str) -> tuple[Pair, ...]:
    some = _pair(connection, "psi", f"psi_{resource}_some")
    if resource == "cpu":  # there is always somebody who does not wait for a CPU
        return (some,)
    return (some, _pair(connection, "psi full", f"psi_{resource}_full"))


def _notes(connection: ConnectionView, title: str) -> tuple[str, ...]:
    now = connection.host_counters
    return absences(now.missing, _MEASURES[title]) if now else ()


# -- CPU -------------------------------------------------------------------------------------------


def _cpu(connection: ConnectionView, *, each: bool) -> Section:
    rates = connection.host_rates
    cpus = rates.cpus if rates else ()
    strip = tuple(None if cpu is None else cpu.busy_percent / 100 for cpu in cpus)
    busy = HOST_BY_ID["cpu"].of(connection)
    return Section(
        "CPU",
        (((_said(connection, "cpu"), "strong"), ("" if busy is None else " %", "quiet")),),
        Plot("CPU", ("cpu",), "cpu", Unit.PERCENT, 100.0),
        (
            Plot("CPU", ("cpu",), "cpu", Unit.PERCENT, 100.0),
            Plot("iowait", ("iowait",), "warn", Unit.PERCENT, 100.0, minor=True),
        ),
        (
            *_psi(connection, "cpu"),
            _pair(connection, "user", "user"),
            _pair(connection, "sys", "system"),
            _pair(connection, "guest", "guest"),
            _pair(connection, "iowait", "iowait"),
            _pair(connection, "steal", "steal"),
            _pair(connection, "load", "load1", "load5", "load15"),
            _promise("vCPUs", str(promised_vcpus(connection)), connection, "vcpu_ratio"),
        ),
        strip=() if each else strip,
        bars=tuple(_core(i, cpu) for i, cpu in enumerate(cpus)) if each else (),
        notes=_notes(connection, "CPU"),
    )


def _core(index: int, cpu: CpuShares | None) -> Bar:
    if cpu is None:
        return Bar(str(index), None, ((NONE, "quiet"),))
    guest = cpu.guest_percent
    return Bar(
        str(index),
        cpu.busy_percent / 100,
        (
            (f"{percent(cpu.busy_percent):>5}", "text"),
            (" guest ", "quiet"),
            (f"{percent(guest) if guest is not None else NOT_TOLD:>5}", "text"),
        ),
    )


def _promise(label: str, amount: str, connection: ConnectionView, name: str) -> Pair:
    """What the active VMs were promised, and how many times the host that is."""
    ratio = HOST_BY_ID[name].of(connection)
    if ratio is None:
        return Pair(label, amount)
    return Pair(label, f"{amount} ×{ratio:.2f}", "warn" if ratio > 1 else "text")


# -- memory ----------------------------------------------------------------------------------------


def _memory(connection: ConnectionView) -> Section:
    used, total = connection.memory_used_bytes, connection.memory_total_bytes
    head: tuple[Pieces, ...] = (((_said(connection, "memory_used"), "strong"),),)
    if used is not None and total is not None:
        some, whole, unit = sizes(used, total)
        head = (((some, "strong"), (f" of {whole} {unit}", "quiet")), (("used", "quiet"),))
    return Section(
        "Memory",
        head,
        Plot("used", ("memory",), "memory", Unit.PERCENT, 100.0),
        (),
        (
            *_psi(connection, "memory")[:1],
            _pair(connection, "VMs hold", "held"),
            _promise("promised", size(promised_bytes(connection)), connection, "memory_ratio"),
            _ksm(connection),
            _swap(connection),
            _pair(connection, "cache", "memory_cached"),
            _pair(connection, "available", "memory_available"),
            _pair(connection, "free", "memory_free"),
            _huge(connection),
            *_psi(connection, "memory")[1:],
        ),
        notes=_notes(connection, "Memory"),
    )


def _ksm(connection: ConnectionView) -> Pair:
    running, saved = HOST_BY_ID["ksm_running"].of(connection), _said(connection, "ksm_saved")
    if running is None:
        return Pair("KSM", saved, "quiet")
    if not running and not HOST_BY_ID["ksm_saved"].of(connection):
        return Pair("KSM", "off", "quiet")
    cost = HOST_BY_ID["ksm_cpu"].of(connection)
    text = f"{saved}" if running else f"off, {saved}"
    return Pair("KSM", text if cost is None else f"{text} for {percent(cost)} %")


def _swap(connection: ConnectionView) -> Pair:
    total = HOST_BY_ID["swap_total"].of(connection)
    if not total:
        return Pair("swap", "none" if total == 0 else _said(connection, "swap_total"), "quiet")
    moved = [HOST_BY_ID[name].of(connection) for name in ("swap_in", "swap_out")]
    text = _said(connection, "swap_used")
    if any(moved):
        return Pair(
            "swap", f"{text} in {bytes_per_s(moved[0])} out {bytes_per_s(moved[1])}", "warn"
        )
    return Pair("swap", f"{text} of {size(total)}")


def _huge(connection: ConnectionView) -> Pair:
    total = HOST_BY_ID["huge_total"].of(connection)
    if not total:
        return Pair("huge", "none" if total == 0 else _said(connection, "huge_total"), "quiet")
    return Pair("huge", f"{_said(connection, 'huge_used')} of {size(total)}")


# -- disks and network -----------------------------------------------------------------------------


def _disk(connection: ConnectionView, *, each: bool) -> Section:
    rates = connection.host_rates
    disks = rates.disks if rates else ()
    return Section(
        "Disk",
        _both_ways(connection, ("r ", "read_bytes"), (" w ", "write_bytes")),
        Plot("r+w", ("read_bytes", "write_bytes"), "disk", Unit.BYTES_PER_S),
        (
            Plot("read", ("read_bytes",), "disk", Unit.BYTES_PER_S),
            Plot("write", ("write_bytes",), "disk", Unit.BYTES_PER_S),
        ),
        (
            *_psi(connection, "io"),
            _pair(connection, "IOPS", "iops"),
            _pair(connection, "busy", "disk_busy", unit=" %"),
        ),
        parts=tuple(map(_device, disks)) if each or len(disks) > 1 else (),
        notes=_notes(connection, "Disk"),
    )


def _device(disk: HostDiskRates) -> Part:
    return Part(
        plain(disk.name),
        (
            Pair("read", f"{count(disk.reads_per_s)}/s {bytes_per_s(disk.read_bytes_per_s)}"),
            Pair("write", f"{count(disk.writes_per_s)}/s {bytes_per_s(disk.write_bytes_per_s)}"),
            Pair("busy", NONE if disk.busy_percent is None else f"{percent(disk.busy_percent)} %"),
        ),
    )


def _network(connection: ConnectionView, *, each: bool) -> Section:
    rates = connection.host_rates
    nics = rates.nics if rates else ()
    return Section(
        "Net",
        _both_ways(connection, ("↓ ", "rx_bytes"), (" ↑ ", "tx_bytes")),
        Plot("in+out", ("rx_bytes", "tx_bytes"), "net", Unit.BYTES_PER_S),
        (
            Plot("in", ("rx_bytes",), "net", Unit.BYTES_PER_S),
            Plot("out", ("tx_bytes",), "net", Unit.BYTES_PER_S),
        ),
        (
            _pair(connection, "drops", "drops", unit="/s"),
            _pair(connection, "errors", "errors", unit="/s"),
        ),
        parts=tuple(map(_interface, nics)) if each or len(nics) > 1 else (),
        notes=_notes(connection, "Net"),
    )


def _interface(nic: HostNicRates) -> Part:
    return Part(
        plain(nic.name),
        (
            Pair("in", bytes_per_s(nic.rx_bytes_per_s)),
            Pair("out", bytes_per_s(nic.tx_bytes_per_s)),
            Pair("errors", f"{count(nic.errors_per_s)}/s"),
            Pair("drops", f"{count(nic.drops_per_s)}/s", "warn" if nic.drops_per_s else "text"),
        ),
    )


def _both_ways(
    connection: ConnectionView, first: tuple[str, str], second: tuple[str, str]
) -> tuple[Pieces, ...]:
    """Two rates with their signs, in one unit."""
    values = [HOST_BY_ID[name].of(connection) for _, name in (first, second)]
    if values[0] is None or values[1] is None:
        return (((_said(connection, first[1]), "quiet"),),)
    one, other, unit = both(values[0], values[1])
    return (
        ((first[0], "quiet"), (one, "strong"), (second[0], "quiet"), (other, "strong"),
         (f" {unit}", "quiet")),
    )  # fmt: skip
