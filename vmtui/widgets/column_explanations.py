"""What each column of the VM table says of the VM under the cursor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from vmtui.column_sets import OTHERS, PARTS
from vmtui.figures import BY_ID
from vmtui.views import VMView
from vmtui.widgets.columns import Column
from vmtui.widgets.explanation import Explanation, breaches_of


def explained(
    columns: Sequence[Column], first: Column, row: VMView | None
) -> Sequence[Explanation]:
    """All `columns`, beginning with `first`."""
    ordered = [first, *(column for column in columns if column is not first)]
    return [_explained(column, row) for column in ordered]


def _explained(column: Column, row: VMView | None) -> Explanation:
    if column.id in BY_ID:
        explanation = Explanation.of_figure(BY_ID[column.id], row)
    else:
        explanation = _other(column, row)
    breaches = breaches_of(row, column.marked_by)
    return replace(explanation, figures=column.marked_by, breaches=breaches)


def _other(column: Column, row: VMView | None) -> Explanation:
    """What is no figure of its own; it may be made of some."""
    parts = [Explanation.of_figure(BY_ID[figure], row) for figure in PARTS.get(column.id, ())]
    return Explanation(
        column.title,
        OTHERS[column.id],
        source=" · ".join(dict.fromkeys(part.source for part in parts)),
        value=" · ".join(part.value for part in parts if part.value),
        absent=next((part.absent for part in parts if part.absent), ""),
    )
