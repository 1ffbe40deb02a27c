"""Columns of the VM table: what one is, and how those of a set share the width."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from rich.segment import Segment

from vmtui.theming import Ink
from vmtui.views import VMRef, VMView
from vmtui.widgets.clock import Clock
from vmtui.widgets.lines import Line
from vmtui.widgets.states import ALARM, alarms

GAP = 2
"""Cells between two columns; the arrow of the order stands in the last of them."""

Past = Callable[[VMRef, float, int], str]
"""A graph of so many cells of what a VM did up to a time (monotonic)."""


@dataclass(frozen=True, slots=True)
class Cell:
    """All that a cell is drawn from."""

    row: VMView
    connection: str  # its label
    ink: Ink
    clock: Clock
    past: Past
    alarmed: frozenset[str] = field(init=False)  # figures, by id

    def __post_init__(self) -> None:
        alarmed = frozenset(breach.figure for breach in alarms(self.row))
        object.__setattr__(self, "alarmed", alarmed)


@dataclass(frozen=True, slots=True)
class Column:
    """One column. Those of the highest `priority` number go first where room is short.

    It is `least` cells wide at least; all columns get `good` before any grows to `most`.
    """

    id: str
    title: str
    least: int
    good: int
    most: int
    priority: int
    draw: Callable[[Cell, int], Line]
    value: Callable[[VMView], float | str | None]  # what rows sort by; None comes last
    right: bool = False
    descending: bool = False  # the direction that one wants first
    marked_by: frozenset[str] = frozenset()  # figures, by id: their alarms show in it


def numeral(cell: Cell, text: str, width: int, *, known: bool, alarmed: bool = False) -> Segment:
    """A number at the right of `width` cells; too much of something has a mark and a colour."""
    ink = cell.ink
    if alarmed:
        return Segment(f"{ALARM}{shortened(text, width - 1)}".rjust(width), ink.bad)
    style = ink.text if known and not cell.row.stalled else ink.quiet
    return Segment(shortened(text, width).rjust(width), style)


def shortened(text: str, width: int) -> str:
    """A number with its unit in `width` cells: without what is minor, or without the blank."""
    if len(text) > width:
        whole, _, rest = text.partition(".")
        if len(whole) > 2:
            text = whole + rest.lstrip("0123456789")
    if len(text) > width:
        text = text.replace(" ", "")
    return text if len(text) <= width else f"{text[: width - 1]}…"


def uptime_s(row: VMView, clock: Clock) -> float | None:
    """Seconds since the hypervisor process of the VM started; None: off, or not known."""
    started_at_s = row.vm.started_at_s
    if started_at_s is None or not row.vm.state.active:
        return None
    return max(0.0, clock.unix_s() - started_at_s)


NAME_RATIO = 0.2
"""Of the width: so much a long name gets before what it is the name of."""


def laid_out(
    columns: Sequence[Column], width: int, keep: Column | None = None, longest: int = 0
) -> list[tuple[Column, int]]:
    """The columns that fit, each with its width; together they fill `width` exactly.

    The first one and `keep` are always among them. `longest`: the cells that the first one needs
    to show all that is in it.
    """
    first = columns[0]
    wanted = min(longest, first.most, int(width * NAME_RATIO))
    shown = [replace(first, least=max(first.least, wanted), good=max(first.good, wanted))]
    shown += columns[1:]
    while sum(c.least for c in shown) + GAP * (len(shown) - 1) > width:
        spare_ones = [c for c in shown[1:] if c is not keep]
        if not spare_ones:
            break
        shown.remove(max(spare_ones, key=lambda c: (c.priority, columns.index(c))))
    widths = [column.least for column in shown]
    spare = width - sum(widths) - GAP * (len(shown) - 1)
    for limits in ([c.good for c in shown], [c.most for c in shown]):
        while spare > 0 and (room := [i for i, w in enumerate(widths) if w < limits[i]]):
            for i in room[:spare]:
                widths[i] += 1
            spare -= min(spare, len(room))
    # What is left goes to all; what does not come out even, or is missing, is the name's.
    each = max(0, spare) // len(shown)
    widths = [cells + each for cells in widths]
    widths[0] = max(1, widths[0] + spare - each * len(shown))
    return list(zip([first, *shown[1:]], widths, strict=True))
