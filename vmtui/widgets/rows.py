"""Which VMs are shown, in what order, which is under the cursor and which are marked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter

from vmtui.units import plain
from vmtui.views import VMRef, VMView
from vmtui.widgets.columns import Column
from vmtui.widgets.states import alarms


@dataclass(slots=True)
class _Ranked:
    """A row with what it is ordered and found by: worked out once for each view of a VM."""

    row: VMView
    name: tuple[str, str, str]
    value: float | str | None
    text: str = ""  # in lower case, once a filter has asked for it


class Rows:
    """The rows of a table, kept by VMRef over every filter, order and refresh."""

    def __init__(self, column: Column) -> None:
        self.column = column
        self.descending = False
        self.marks: set[VMRef] = set()
        self.filter_text = ""
        self.all: tuple[VMView, ...] = ()
        self.shown: list[VMView] = []
        self.index = 0
        self._ranked: dict[VMRef, _Ranked] = {}
        self._wanted: VMRef | None = None  # chosen by the user, or by a creation
        self._here: VMRef | None = None  # what the cursor is on
        self._labels: Mapping[str, str] = {}

    def take(self, rows: Sequence[VMView], labels: Mapping[str, str]) -> None:
        """New rows; cursor and marks stay with their VMs."""
        self.all = tuple(rows)
        if labels != self._labels:
            self._labels = labels
            self._ranked = {}
        before = self._ranked
        self._ranked = {row.ref: self._rank(row, before.get(row.ref)) for row in self.all}
        # A mark on what is no longer there must not come back with a VM that nobody sees.
        self.marks &= self._ranked.keys()
        self._arrange()

    def _rank(self, row: VMView, before: _Ranked | None) -> _Ranked:
        if before is None or before.row.vm is not row.vm:
            name = (row.vm.name.lower(), row.ref.uri, row.ref.id)
            return _Ranked(row, name, self.column.value(row))
        if before.row is not row:
            before.row, before.value = row, self.column.value(row)
        return before

    def label(self, row: VMView) -> str:
        """The label of the connection of `row`."""
        return self._labels.get(row.ref.uri, row.ref.uri)

    @property
    def current(self) -> VMView | None:
        """The row under the cursor."""
        return self.shown[self.index] if self.index < len(self.shown) else None

    @property
    def pointed(self) -> VMRef | None:
        """The VM under the cursor."""
        return self.current.ref if self.current else None

    @property
    def marked(self) -> list[VMView]:
        """The marked rows, those that the filter hides included."""
        hidden = self.hidden_marks
        shown = [row for row in self.shown if row.ref in self.marks]
        return shown + [row for row in self.all if row.ref in hidden] if hidden else shown

    @property
    def hidden_marks(self) -> set[VMRef]:
        """Marks that the filter hides."""
        return self.marks - {row.ref for row in self.shown} if self.marks else set()

    def want(self, ref: VMRef) -> None:
        """Point at that VM now, or as soon as it appears, unless the cursor is moved first."""
        self._wanted = ref
        self._follow()

    def go_to(self, index: int) -> None:
        """Point at a row; -1 is the last."""
        last = max(0, len(self.shown) - 1)
        self.index = last if index < 0 else min(index, last)
        self._wanted = self._here = self.pointed

    def next_alarm(self) -> int | None:
        """The next row below the cursor with an alarm, from the top again after the last."""
        count = len(self.shown)
        places = ((self.index + step) % count for step in range(1, count + 1))
        return next((place for place in places if alarms(self.shown[place])), None)

    def filter(self, text: str) -> None:
        """Show only rows that have every word of `text` in what they show."""
        self.filter_text = text
        self._arrange()

    def sort(self, column: Column, *, descending: bool) -> None:
        """Order by a column; what is unknown comes last either way."""
        if column is not self.column:
            self.column = column
            for ranked in self._ranked.values():
                ranked.value = column.value(ranked.row)
        self.descending = descending
        self._arrange()

    def toggle_mark(self) -> bool:
        """Mark or unmark the VM under the cursor; False: there is none."""
        if self.pointed is None:
            return False
        self.marks ^= {self.pointed}
        return True

    def mark_all(self) -> None:
        """Mark all shown rows, or unmark them when all are marked."""
        shown = {row.ref for row in self.shown}
        self.marks = self.marks - shown if shown <= self.marks else self.marks | shown

    def _arrange(self) -> None:
        words = self.filter_text.lower().split()
        ranked: list[_Ranked] = list(self._ranked.values())
        if words:
            ranked = [one for one in ranked if self._matches(one, words)]
        ranked.sort(key=attrgetter("name"))
        known = [one for one in ranked if one.value is not None]
        # Stable: equal figures keep the order of names.
        known.sort(key=attrgetter("value"), reverse=self.descending)
        self.shown = [one.row for one in known]
        self.shown += [one.row for one in ranked if one.value is None]
        self._follow()

    def _matches(self, one: _Ranked, words: Sequence[str]) -> bool:
        if not one.text:
            vm = one.row.vm
            shown = " ".join(
                [vm.name, vm.state.value, *vm.addresses, *vm.tags, self.label(one.row)]
            )
            one.text = plain(shown).lower()
        return all(word in one.text for word in words)

    def _follow(self) -> None:
        # The cursor stays with its VM. Where that has gone it stays on its line, and with what
        # stands there now, until the VM comes back or the cursor is moved.
        for ref in (self._wanted, self._here):
            place = self._place(ref)
            if place is not None:
                self.index = place
                break
        self.index = min(self.index, max(0, len(self.shown) - 1))
        self._here = self.pointed
        if self._wanted is None:
            self._wanted = self._here

    def _place(self, ref: VMRef | None) -> int | None:
        if ref is None or ref not in self._ranked:
            return None
        row = self._ranked[ref].row
        if self.current is row:
            return self.index
        return next((place for place, other in enumerate(self.shown) if other is row), None)
