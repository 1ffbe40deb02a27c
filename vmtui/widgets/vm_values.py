"""A VM's figures as its panes say them: marked where they are too high, or why there are none."""

from __future__ import annotations

from collections.abc import Iterable

from vmtui.counters import Measure
from vmtui.figures import BY_ID
from vmtui.views import VMView
from vmtui.widgets.sections import NONE, NOT_TOLD, Pair, absences
from vmtui.widgets.states import ALARM, alarms


def said(row: VMView, name: str) -> str:
    """The value of a figure: `–` where there is none now, `n/a` where there never is."""
    figure = BY_ID[name]
    text = figure.text(row)
    known = row.counters.missing if row.counters else {}
    return NOT_TOLD if text == NONE and figure.measure in known else text


def alarmed(row: VMView, text: str, *figures: str) -> tuple[str, str]:
    """The text and its ink: with a symbol where one of the figures is too high."""
    too_high = {breach.figure for breach in alarms(row)}
    return (f"{ALARM}{text}", "bad") if too_high.intersection(figures) else (text, "text")


def pair(row: VMView, label: str, name: str, unit: str = "", *alarm: str) -> Pair:
    """A label and the value of a figure; marked also where one of `alarm` is too high."""
    text = said(row, name)
    if text in (NONE, NOT_TOLD):
        return Pair(label, text, "quiet")
    return Pair(label, *alarmed(row, text + unit, name, *alarm))


def notes(row: VMView, measures: Iterable[Measure]) -> tuple[str, ...]:
    """Why what is not told is not."""
    return absences(row.counters.missing, measures) if row.counters else ()


def both_of(row: VMView, first: str, second: str) -> tuple[str, str]:
    """The values of two figures, and their ink; one word where neither has any."""
    texts = [said(row, name) for name in (first, second)]
    if texts[0] == texts[1] and texts[0] in (NONE, NOT_TOLD):
        return texts[0], "quiet"
    return alarmed(row, " / ".join(texts), first, second)
