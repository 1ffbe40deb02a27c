"""The facts of a VM, in columns, or all of them with its log below."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from rich.segment import Segment

from vmtui.theming import Ink
from vmtui.widgets.facts import Fact
from vmtui.widgets.lines import Line, fit, fit_end, wrapped
from vmtui.widgets.log_pane import LogPane
from vmtui.widgets.sections import beside

LABEL = 10
GAP = 3
FACT = 36
FACT_LOW = 23
"""Cells that a column of facts takes at least; in a low pane more of them are wanted."""

COLUMNS = 4

LOG_LEAST = 8
"""Lines from which the log has its place below the facts of a whole screen."""


def fact_lines(known: Sequence[Fact], ink: Ink, width: int, *, whole: bool) -> list[Line]:
    """One column; with `whole` long facts are wrapped instead of cut."""
    lines: list[Line] = []
    room = max(4, width - LABEL)
    for fact in known:
        text = f"{fact.text}  {fact.path}".strip()
        pieces = wrapped(text, room) or [""]
        if not whole:
            path = fit_end(fact.path, room - cell_len(fact.text) - 2)
            pieces = [f"{fact.text}  {path}".rstrip()]
        for index, piece in enumerate(pieces):
            label = fact.label if not index else ""
            text = fit(piece, min(room, cell_len(piece)))
            lines.append([Segment(fit(label, LABEL), ink.quiet), Segment(text, fact.style)])
    return lines


def fact_columns(known: Sequence[Fact], ink: Ink, width: int, height: int) -> list[Line]:
    """As many columns as a pane of that size needs; what does not fit is left out."""
    least = FACT if height > 4 else FACT_LOW
    columns = max(1, min(COLUMNS, (width + GAP) // (least + GAP)))
    cells = (width - GAP * (columns - 1)) // columns
    listed = fact_lines(known, ink, cells, whole=False)
    each = min(height, -(-len(listed) // columns))
    blocks = [(listed[at : at + each], cells) for at in range(0, columns * each, each or 1)]
    return beside(blocks, each, GAP)


def facts_and_log(
    known: Sequence[Fact], log: LogPane, ink: Ink, width: int, height: int
) -> list[Line]:
    """All facts, and below them the log, where that has room for more than a few lines."""
    lines = fact_lines(known, ink, width, whole=True)
    if height < len(lines) + LOG_LEAST:
        return lines
    rule: Line = [
        Segment("── ", ink.line),
        Segment("log", ink.quiet),
        Segment(" " + "─" * max(0, width - 7), ink.line),
    ]
    lines += [[], rule]
    return [*lines, *log.lines(ink, width, height - len(lines))]
