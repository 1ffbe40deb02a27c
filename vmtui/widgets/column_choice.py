"""Which set of columns is shown, and by what rows are sorted in whichever set."""

from __future__ import annotations

from vmtui.column_sets import ColumnSet
from vmtui.config import Columns
from vmtui.widgets.all_columns import columns_of
from vmtui.widgets.columns import Column


class ColumnChoice:
    """The user's choice of an order stays over all sets, also those without its column."""

    def __init__(self, sets: Columns) -> None:
        self._sets = sets
        self.set = ColumnSet.SUMMARY
        self.several = False
        """Whether there is more than one connection to tell apart."""
        self._wanted = (self.columns[0].id, False)

    @property
    def columns(self) -> list[Column]:
        """All columns of the set, also those that there is no room for."""
        chosen = columns_of(self._sets.of(self.set))
        return [c for c in chosen if self.several or c.id != "connection"] or chosen

    @property
    def order(self) -> tuple[Column, bool]:
        """What rows are sorted by, and whether descending: in a set without it, the first."""
        column_id, descending = self._wanted
        columns = self.columns
        column = next((column for column in columns if column.id == column_id), None)
        return (column, descending) if column else (columns[0], columns[0].descending)

    def want(self, column: Column, *, descending: bool) -> None:
        """Another order."""
        self._wanted = (column.id, descending)

    def step(self, step: int) -> None:
        """Order by the column that is `step` to the right, round the end."""
        columns = self.columns
        column = columns[(columns.index(self.order[0]) + step) % len(columns)]
        self.want(column, descending=column.descending)
