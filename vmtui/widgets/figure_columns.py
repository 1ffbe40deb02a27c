"""Columns made from figures: numbers at the right, with a meter where a share says more."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from rich.segment import Segment

from vmtui.figures import BY_ID, FIGURES, Figure, Unit, written
from vmtui.views import VMView
from vmtui.widgets.columns import Cell, Column, numeral
from vmtui.widgets.graph import meter
from vmtui.widgets.lines import Line

WIDTHS: Mapping[Unit, int] = {
    Unit.PERCENT: 6,
    Unit.BYTES: 8,
    Unit.BYTES_PER_S: 9,
    Unit.PER_S: 5,
    Unit.MS: 5,
    Unit.COUNT: 5,
    Unit.SECONDS: 5,
    Unit.RATIO: 5,
}
"""The cells of a number: with its unit, and a mark where it is too high."""

METER_FROM = 4
"""Fewer cells are no meter."""

RANK = 5
"""The priority of a figure that none of `_RANKS` is given for."""

_RANKS: Mapping[str, int] = {"cpu": 1, "ready": 1, "latency": 2, "balloon": 6}

_MARKED_BY: Mapping[str, frozenset[str]] = {"ready": frozenset({"ready", "ready_max"})}
"""Where the alarm of another figure shows too."""


@dataclass(frozen=True, slots=True)
class _Share:
    """What the meter beside a number shows: the number as a part of `whole`."""

    whole: Callable[[VMView], float | None]
    colour: str
    least: int = 0  # cells of the meter
    good: int = 6
    most: int = 12


_SHARES: Mapping[str, _Share] = {
    "cpu": _Share(lambda _: 100.0, "cpu", least=5, good=7, most=19),
    "memory_actual": _Share(BY_ID["memory"].of, "memory"),
    "guest_used": _Share(BY_ID["guest_total"].of, "memory"),
    "rss": _Share(BY_ID["memory"].of, "memory"),
    "physical": _Share(BY_ID["capacity"].of, "note"),
}


def absence(figure: Figure, row: VMView) -> str:
    """A dash for what there is none of now; n/a for what this VM's host can't tell."""
    counters = row.counters if row.vm.state.active else None
    return "n/a" if counters is not None and figure.measure in counters.missing else "–"


def _column(figure: Figure) -> Column:
    number = WIDTHS[figure.unit]
    share = _SHARES.get(figure.id)
    marked_by = _MARKED_BY.get(figure.id, frozenset({figure.id}))

    def draw(cell: Cell, width: int) -> Line:
        value = figure.of(cell.row)
        room = width if share is None or width < number + 1 + METER_FROM else number
        text = absence(figure, cell.row) if value is None else written(value, figure.unit)
        alarmed = not marked_by.isdisjoint(cell.alarmed)
        segment = numeral(cell, text, room, known=bool(value), alarmed=alarmed)
        if share is None or room == width:
            return [segment]
        whole = share.whole(cell.row)
        part = value / whole if value is not None and whole else None
        colour = "faint" if cell.row.stalled else share.colour
        return [*meter(part, width - room - 1, cell.ink, colour), Segment(" "), segment]

    bare = max(number, len(figure.title))
    least, good, most = bare, bare, bare + 3
    if share is not None:
        least = max(bare, number + 1 + share.least) if share.least else bare
        good, most = number + 1 + share.good, number + 1 + share.most
    return Column(
        figure.id,
        figure.title,
        least,
        good,
        most,
        _RANKS.get(figure.id, RANK),
        draw,
        figure.of,
        right=True,
        descending=True,
        marked_by=marked_by,
    )


FIGURE_COLUMNS: tuple[Column, ...] = tuple(map(_column, FIGURES))
