"""All that goes with VMs when they are deleted and all that stays; what can be spared has a box."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from rich.segment import Segment
from textual import events
from textual.binding import Binding, BindingType
from textual.containers import ScrollableContainer
from textual.geometry import Region
from textual.message import Message

from vmtui.backends.base import DeletePlan, Doomed
from vmtui.units import plain, size
from vmtui.widgets.lines import Line, Lines, fit, fit_end, length

SIZE_CELLS = 10
KIND_CELLS = 16
MARK_CELLS = 6
"""The cursor and the box, before an item's kind."""
NAME_AT = MARK_CELLS + KIND_CELLS


@dataclass(frozen=True, slots=True)
class _Row:
    """A line; `place`: which item of which plan it is, where it is one.

    With a `kind` before it, `text` is a name, and cut as those of the items are.
    """

    text: str
    ink: str
    place: tuple[int, int] | None = None
    kind: str = ""


class DoomedList(Lines, can_focus=True):
    """The cursor goes over what can be spared; space spares it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "move(1)", show=False),
        Binding("up,k", "move(-1)", show=False),
        Binding("space", "turn", show=False),
    ]

    class Changed(Message):
        """Something is spared now, or no more."""

    def __init__(self, plans: Sequence[DeletePlan]) -> None:
        super().__init__()
        self.plans = list(plans)
        self._at = 0
        self.styles.height = len(self._rows())

    @property
    def _choices(self) -> list[tuple[int, int]]:
        return [
            (i, j)
            for i, plan in enumerate(self.plans)
            for j, doomed in enumerate(plan.doomed)
            if doomed.sparable
        ]

    @property
    def has_choices(self) -> bool:
        """Whether anything can be spared."""
        return bool(self._choices)

    def _rows(self) -> list[_Row]:
        rows: list[_Row] = []
        for i, plan in enumerate(self.plans):
            if len(self.plans) > 1:
                rows.append(_Row(plain(plan.name), "strong"))
            if plan.force_off:
                rows.append(_Row("It is on: it is forced off first.", "warn"))
            for j, doomed in enumerate(plan.doomed):
                rows.append(_Row("", "", (i, j)))
                if doomed.warning and not doomed.spared:
                    rows.append(_Row(f"      ▲ {plain(doomed.warning)}", "bad"))
            if not plan.doomed:
                rows.append(_Row("Only its definition is deleted.", "text"))
            for kept in plan.kept:
                rows.append(_Row(plain(kept.name), "quiet", kind="stays"))
                rows.append(_Row(" " * NAME_AT + plain(kept.why), "quiet"))
        return rows

    def action_move(self, step: int) -> None:
        """To the next that can be spared."""
        self._at = max(0, min(len(self._choices) - 1, self._at + step))
        self.redraw()
        if self._choices:
            places = [row.place for row in self._rows()]
            line = Region(0, places.index(self._choices[self._at]), self.size.width, 1)
            if isinstance(self.parent, ScrollableContainer):
                self.parent.scroll_to_region(line, animate=False)

    def action_turn(self) -> None:
        """Spare it, or not."""
        if not self._choices:
            return
        i, j = self._choices[self._at]
        doomed = list(self.plans[i].doomed)
        doomed[j] = replace(doomed[j], spared=not doomed[j].spared)
        self.plans[i] = replace(self.plans[i], doomed=tuple(doomed))
        self.styles.height = len(self._rows())
        self.redraw()
        self.post_message(self.Changed())

    def on_click(self, event: events.Click) -> None:
        """Turn what is clicked."""
        rows = self._rows()
        place = rows[event.y].place if event.y < len(rows) else None
        if place in self._choices:
            self._at = self._choices.index(place)
            self.action_turn()

    def watch_has_focus(self, has_focus: bool) -> None:
        """Show the cursor."""
        super().watch_has_focus(has_focus)
        self.redraw()

    def paint(self) -> Sequence[Line]:
        """A line each."""
        width = self.size.width
        lines: list[Line] = []
        for row in self._rows():
            if row.place is not None:
                lines.append(self._item(row.place, width))
                continue
            text = row.text
            if row.kind:
                name = fit_end(text, max(8, width - NAME_AT))
                text = " " * MARK_CELLS + fit(row.kind, KIND_CELLS) + name
            lines.append([Segment(fit(text, width), getattr(self.ink, row.ink))])
        return lines

    def _item(self, place: tuple[int, int], width: int) -> Line:
        doomed: Doomed = self.plans[place[0]].doomed[place[1]]
        ink = self.ink
        here = self.has_focus and place in self._choices and self._choices[self._at] == place
        box = ("[ ] " if doomed.spared else "[✗] ") if doomed.sparable else " ✗  "
        line: Line = [
            Segment("▸ " if here else "  ", ink.accent),
            Segment(box, ink.accent if doomed.sparable else ink.quiet),
            Segment(fit(plain(doomed.what), KIND_CELLS), ink.quiet),
        ]
        extent = "" if doomed.size_bytes is None else size(doomed.size_bytes)
        extent = "stays" if doomed.spared else extent
        room = max(8, width - length(line) - SIZE_CELLS - 1)
        name = fit(fit_end(plain(doomed.name), room), room)
        line.append(Segment(name, ink.strong if here else ink.quiet if doomed.spared else ink.text))
        style = ink.good if doomed.spared else ink.text
        line.append(Segment(fit(extent, SIZE_CELLS, right=True), style))
        return line
