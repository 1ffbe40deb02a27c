"""Which VMs are shown, in what order, which is under the cursor and which are marked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vmtui.theming import Ink
from vmtui.units import plain
from vmtui.views import VMRef, VMView
from vmtui.widgets.clock import Clock
from vmtui.widgets.columns import Cell, Column


class Rows:
    """The rows of a table, kept by VMRef over every filter, order and refresh."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self.column = columns[0]
        self.descending = False
        self.marks: set[VMRef] = set()
        self.filter_text = ""
        self.all: tuple[VMView, ...] = ()
        self.shown: list[VMView] = []
        self.index = 0
        self._wanted: VMRef | None = None  # chosen by the user, or by a creation
        self._here: VMRef | None = None  # what the cursor is on
        self._labels: Mapping[str, str] = {}
        self._ink: Ink | None = None
        self._clock = Clock()

    def take(
        self, rows: Sequence[VMView], labels: Mapping[str, str], ink: Ink, clock: Clock
    ) -> None:
        """New rows; cursor and marks stay with their VMs."""
        self.all = tuple(rows)
        self._labels, self._ink, self._clock = labels, ink, clock
        # A mark on what is no longer there must not come back with a VM that nobody sees.
        self.marks &= {row.ref for row in rows}
        self._arrange()

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
        return self.marks - {row.ref for row in self.shown}

    def want(self, ref: VMRef) -> None:
        """Point at that VM now, or as soon as it appears, unless the cursor is moved first."""
        self._wanted = ref
        self._follow()

    def go_to(self, index: int) -> None:
        """Point at a row; -1 is the last."""
        last = max(0, len(self.shown) - 1)
        self.index = last if index < 0 else min(index, last)
        self._wanted = self._here = self.pointed

    def filter(self, text: str) -> None:
        """Show only rows that have every word of `text` in what they show."""
        self.filter_text = text
        self._arrange()

    def sort(self, column: Column, *, descending: bool) -> None:
        """Order by a column; what is unknown comes last either way."""
        self.column, self.descending = column, descending
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
        rows = [row for row in self.all if self._matches(row, words)] if words else list(self.all)
        rows.sort(key=lambda row: (row.vm.name.lower(), row.ref.uri, row.ref.id))
        if self._ink is not None:
            keyed = [(self._key(row), row) for row in rows]
            known = [pair for pair in keyed if pair[0] is not None]
            # Stable: equal figures keep the order of names.
            known.sort(key=lambda pair: pair[0] or (0.0, ""), reverse=self.descending)
            rows = [row for _, row in known] + [row for key, row in keyed if key is None]
        self.shown = rows
        self._follow()

    def _key(self, row: VMView) -> tuple[float, str] | None:
        assert self._ink is not None
        return self.column.sort_key(Cell(row, self.label(row), self._ink, self._clock))

    def _matches(self, row: VMView, words: Sequence[str]) -> bool:
        vm = row.vm
        text = plain(" ".join([vm.name, vm.state.value, *vm.addresses, self.label(row)])).lower()
        return all(word in text for word in words)

    def _follow(self) -> None:
        # The cursor stays with its VM. Where that has gone it stays on its line, and with what
        # stands there now, until the VM comes back or the cursor is moved.
        places = {row.ref: index for index, row in enumerate(self.shown)}
        for ref in (self._wanted, self._here):
            if ref in places:
                self.index = places[ref]
                break
        self.index = min(self.index, max(0, len(self.shown) - 1))
        self._here = self.pointed
        if self._wanted is None:
            self._wanted = self._here
