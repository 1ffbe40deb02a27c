"""What the panes of a VM say: of its CPU and memory here, of its devices beside this."""

from __future__ import annotations

from collections.abc import Sequence

from vmtui.counters import ALL_EXITS, Measure
from vmtui.figures import BY_ID, FIGURES, MOVING, Unit
from vmtui.model import Accel
from vmtui.rates import CpuRates, VcpuRates
from vmtui.units import count, percent, plain, size
from vmtui.views import VMView
from vmtui.widgets.clock import short_duration
from vmtui.widgets.device_sections import disk_section, network_section
from vmtui.widgets.explanation import Explanation
from vmtui.widgets.quantities import sizes
from vmtui.widgets.sections import NONE, NOT_TOLD, Bar, Pair, Part, Pieces, Plot, Section
from vmtui.widgets.vm_values import alarmed, both_of, notes, pair, said

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
    return (_cpu(row), _memory(row), disk_section(row), network_section(row))


def vm_explanations(row: VMView) -> Sequence[Explanation]:
    """Every figure of the panes, in their order."""
    return [Explanation.of_figure(figure, row) for figure in FIGURES]


# -- CPU -------------------------------------------------------------------------------------------


def _cpu(row: VMView) -> Section:
    rates = row.rates.cpu if row.rates and row.vm.state in MOVING else None
    vcpus = row.vm.vcpus
    used = BY_ID["cpu"].of(row)
    ready = said(row, "ready")
    of = f" % of {vcpus} vCPU{'s' * (vcpus > 1)}" if used is not None else ""
    return Section(
        "CPU",
        (
            ((said(row, "cpu"), "strong"), (of, "quiet")),
            *(
                ((("ready ", "quiet"), alarmed(row, ready, "ready", "ready_max")),)
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
            pair(row, "ready", "ready", "", "ready_max"),
            pair(row, "worst", "ready_max"),
            pair(row, "core", "cpu_core"),
            pair(row, "host", "cpu_host"),
            pair(row, "steal", "steal") if row.vm.accel is Accel.KVM else _NO_STEAL,
            pair(row, "poll", "halt_poll"),
            pair(row, "exit/s", "exits"),
            pair(row, "sys", "cpu_system"),
        ),
        bars=tuple(map(_vcpu, rates.vcpus)) if rates else (),
        parts=_exits(rates),
        notes=notes(row, _CPU),
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
    head: tuple[Pieces, ...] = (((size(rss), "strong"),), (("on host", "quiet"),))
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
            pair(row, "available", "guest_available"),
            Pair("swap i/o", *both_of(row, "guest_swap_in", "guest_swap_out")),
            pair(row, "faults", "guest_faults", "/s"),
            pair(row, "on host", "rss"),
            pair(row, "swapped", "swapped"),
            pair(row, "merged", "merged"),
            _guest_age(row),
            pair(row, "ceiling", "memory"),
            pair(row, "cache", "guest_caches"),
            pair(row, "guest has", "guest_total"),
        ),
        notes=notes(row, _MEMORY),
    )  # fmt: skip


def _balloon(row: VMView) -> Pair:
    """What the guest has, and what it was asked to have where that is something else."""
    actual, target = BY_ID["memory_actual"].of(row), BY_ID["memory_target"].of(row)
    if actual is None:
        return pair(row, "actual", "memory_actual")
    if target is None or target == actual:
        return pair(row, "actual", "memory_actual", "", "balloon")
    return Pair("actual", f"{size(actual)} → {size(target)}", "warn")


def _guest_age(row: VMView) -> Pair:
    guest = row.rates.guest if row.rates else None
    if guest is None:
        return Pair("as of", NONE, "quiet")
    return Pair("as of", f"{short_duration(guest.age_s)} ago", "text" if guest.fresh else "warn")
