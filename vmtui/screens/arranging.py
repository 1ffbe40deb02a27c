"""The keys that arrange a table of VMs: its columns, their order, marks, and the next alarm."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmtui.column_sets import ColumnSet
from vmtui.widgets.vm_table import VMTable

if TYPE_CHECKING:
    from vmtui.screens.base import FleetScreen

    _Base = FleetScreen
else:
    _Base = object

ARRANGING = frozenset(
    {"mark", "mark_all", "sort_left", "sort_right", "sort_reverse", "alarm"}
    | {f"columns_{column_set}" for column_set in ColumnSet}
)
"""The ids of their actions."""


class Arranging(_Base):
    """For a FleetScreen with a `table`."""

    table: VMTable

    def view_mark(self) -> None:
        """Space."""
        self.table.toggle_mark()

    def view_mark_all(self) -> None:
        """`*`."""
        self.table.mark_all()

    def view_alarm(self) -> None:
        """`a`."""
        if not self.table.to_next_alarm():
            hidden = " Some VMs are hidden by the filter." if self.table.rows.filter_text else ""
            self.notify(f"No VM has an alarm.{hidden}", markup=False, timeout=3)

    def view_columns_summary(self) -> None:
        """`1`."""
        self.table.use(ColumnSet.SUMMARY)

    def view_columns_cpu(self) -> None:
        """`2`."""
        self.table.use(ColumnSet.CPU)

    def view_columns_memory(self) -> None:
        """`3`."""
        self.table.use(ColumnSet.MEMORY)

    def view_columns_disk(self) -> None:
        """`4`."""
        self.table.use(ColumnSet.DISK)

    def view_columns_network(self) -> None:
        """`5`."""
        self.table.use(ColumnSet.NETWORK)

    def view_sort_left(self) -> None:
        """`<`."""
        self.table.step_sort(-1)

    def view_sort_right(self) -> None:
        """`>`."""
        self.table.step_sort(1)

    def view_sort_reverse(self) -> None:
        """`!`."""
        rows = self.table.rows
        self.table.sort(rows.column, descending=not rows.descending)
