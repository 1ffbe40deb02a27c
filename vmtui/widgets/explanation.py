"""What there is to say about one thing that is shown: what it is, from where, and why it is n/a."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass
from typing import Protocol, runtime_checkable
from urllib.parse import urlsplit

from vmtui.figures import BY_ID, Figure, Source, Unit, written
from vmtui.figures.host_figure import HostFigure
from vmtui.units import plain
from vmtui.views import Breach, ConnectionView, VMView
from vmtui.widgets.clock import short_duration
from vmtui.widgets.lines import Line
from vmtui.widgets.states import alarms

DIRECT = "kvm"
DEMO = "demo"


@dataclass(frozen=True, slots=True)
class Explanation:
    """One figure, or another thing with a name, as it is now. What does not apply is empty."""

    title: str
    meaning: str
    unit: str = ""
    source: str = ""
    value: str = ""
    absent: str = ""  # why there is no value
    figures: frozenset[str] = frozenset()  # by id: an alarm of theirs shows there
    breaches: tuple[Breach, ...] = ()

    @classmethod
    def of_figure(cls, figure: Figure, row: VMView | None) -> Explanation:
        """A figure of a VM; without one, only what can be said of every VM."""
        return cls(
            figure.title,
            figure.meaning,
            figure.unit.value,
            source_of(figure.source, row.ref.uri if row else ""),
            with_unit(figure.of(row), figure.unit) if row else "",
            plain(figure.why_absent(row)) if row else "",
            frozenset({figure.id}),
            breaches_of(row, {figure.id}),
        )

    @classmethod
    def of_host(cls, figure: HostFigure, connection: ConnectionView) -> Explanation:
        """A figure of a connection's host."""
        return cls(
            figure.title,
            figure.meaning,
            figure.unit.value,
            host_source_of(figure, connection.uri),
            with_unit(figure.of(connection), figure.unit),
            plain(figure.why_absent(connection)),
        )


@runtime_checkable
class Explains(Protocol):
    """A pane whose figures explain themselves."""

    def title(self) -> Line:
        """What stands in its border."""
        ...

    def explanations(self) -> Sequence[Explanation]:
        """What it shows now."""
        ...


@dataclass(frozen=True, slots=True)
class Topic:
    """One part of the screen that explains itself; `explain` does it for this moment."""

    title: str
    explain: Callable[[], Sequence[Explanation]]

    @classmethod
    def of_pane(cls, pane: Explains) -> Topic:
        """A pane, under the first word of its border."""
        return cls(next((s.text for s in pane.title() if s.text.strip()), ""), pane.explanations)


def breaches_of(row: VMView | None, figures: Set[str]) -> tuple[Breach, ...]:
    """The alarms of a VM that are about these figures."""
    return tuple(b for b in alarms(row) if b.figure in figures) if row else ()


def with_unit(value: float | None, unit: Unit) -> str:
    """A value as it is written where no title says the unit; "" where there is none."""
    if value is None:
        return ""
    text = written(value, unit)
    if unit in (Unit.BYTES, Unit.BYTES_PER_S, Unit.COUNT):
        return text
    return f"{text}/s" if unit is Unit.PER_S else f"{text} {unit.value}"


def breach_text(breach: Breach, now_s: float) -> str:
    """An alarm in words: which figure, how much, above what, for how long."""
    figure = BY_ID[breach.figure]
    name = figure.title.removesuffix(" %").removesuffix(" ms").removesuffix("/s")
    value, limit = (with_unit(v, figure.unit) for v in (breach.value, breach.threshold))
    return f"{name} {value} is above {limit} for {short_duration(now_s - breach.since_s)}"


def source_of(source: Source, uri: str) -> str:
    """The counters as that connection reads them; both kinds for the demo, which reads none."""
    scheme = uri.partition(":")[0]
    if scheme == DIRECT or source.direct == source.libvirt:
        return source.direct
    if scheme and scheme != DEMO:
        return source.libvirt
    return f"direct: {source.direct} · libvirt: {source.libvirt}"


def host_source_of(figure: HostFigure, uri: str) -> str:
    """The counters of a host: its own files where it is this machine, else libvirt's calls."""
    here, afar = figure.source.local, figure.source.libvirt
    if here == afar:
        return here
    if uri.partition(":")[0] == DEMO:
        remote = f" · libvirt: {afar}" if afar else ""
        return f"on this machine: {here}{remote}"
    # libvirt without a host in its URI is this machine too.
    return here if not urlsplit(uri).netloc else afar
