"""Every column of the VM table by its id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vmtui.widgets.columns import Column
from vmtui.widgets.figure_columns import FIGURE_COLUMNS
from vmtui.widgets.other_columns import OTHER_COLUMNS

COLUMNS: Mapping[str, Column] = {column.id: column for column in (*OTHER_COLUMNS, *FIGURE_COLUMNS)}


def columns_of(ids: Sequence[str]) -> list[Column]:
    """The columns of these ids, in their order."""
    return [COLUMNS[column_id] for column_id in ids]
