"""Graphs of figures with their scales, and several of them above one axis of time."""

from __future__ import annotations

from collections.abc import Sequence

from rich.segment import Segment

from vmtui.figures import Unit, written
from vmtui.theming import Ink
from vmtui.widgets.clock import Clock
from vmtui.widgets.graph import braille
from vmtui.widgets.lines import Line, fit, spread
from vmtui.widgets.scale import rescaled
from vmtui.widgets.sections import (
    GAP,
    Pieces,
    Plot,
    Section,
    all_lines,
    beside,
    head_line,
    inked,
    padded,
    some_lines,
)
from vmtui.widgets.timeline import Past, Timeline, axis, span_text

GUTTER = 10
PLOT_LEAST = 2
PLOT_LIMIT = 12
"""Lines of a graph: higher, and it tells no more."""

PANE_LEAST = 24
PANE_GAP = 3


def top_text(top: float, unit: Unit) -> str:
    """The top of a scale with its unit."""
    text = written(top, unit)
    if unit is Unit.PERCENT:
        return f"{top:g} %"
    return f"{top:g} {unit.value}" if unit is Unit.MS else text


class Plots:
    """Draws the graphs of one host or VM at a time; keeps the scales that are on the screen."""

    def __init__(self) -> None:
        self._tops: dict[tuple[str, ...], float] = {}

    def forget(self) -> None:
        """Another host or VM is next: its scales have nothing to do with these."""
        self._tops.clear()

    def _graph(
        self, plot: Plot, past: Past, ink: Ink, width: int, height: int
    ) -> tuple[list[Line], float]:
        values = past.values(plot.figures, 2 * width)
        top = plot.top
        if top is None:
            highest = max((value for value in values if value is not None), default=None)
            top = rescaled(self._tops.get(plot.figures), highest, plot.unit)
            self._tops[plot.figures] = top
        rows = braille(values, width, height, top=top, mark_clipped=True)
        return [[Segment(row, getattr(ink, plot.ink))] for row in rows], top

    # -- side by side --------------------------------------------------------------------------

    def captioned(self, plot: Plot, past: Past, ink: Ink, width: int, height: int) -> list[Line]:
        """A graph, and below it how far back and how high it reaches."""
        drawn, top = self._graph(plot, past, ink, width, height - 1)
        left, right = f"-{span_text(past.span_s)}", f"≤ {top_text(top, plot.unit)}"
        if len(left) + len(right) + len(plot.label) + 2 <= width:
            right = f"{plot.label} {right}"
        return [*drawn, spread([Segment(left, ink.off)], [Segment(right, ink.off)], width)]

    def side_by_side(
        self, sections: Sequence[Section], past: Past, ink: Ink, width: int, height: int
    ) -> list[Line]:
        """Blocks beside each other, in two rows where the width asks for it."""
        columns = max(1, min(len(sections), (width + PANE_GAP) // (PANE_LEAST + PANE_GAP)))
        if columns == 3 and len(sections) == 4:
            columns = 2
        rows = -(-len(sections) // columns)
        lines: list[Line] = []
        for row in range(rows):
            some = sections[row * columns : (row + 1) * columns]
            each = (height - len(lines)) // (rows - row)
            each -= 1 if row < rows - 1 and each > 6 else 0
            lines += self._row(some, past, ink, width, each)
            if row < rows - 1 and each > 5:
                lines.append([])
        return lines

    def _row(
        self, sections: Sequence[Section], past: Past, ink: Ink, width: int, height: int
    ) -> list[Line]:
        room = width - PANE_GAP * (len(sections) - 1)
        graph = 0 if height < 5 else min(6, 3 + (height - 3) // 5)
        blocks = []
        for index, section in enumerate(sections):
            cells = room // len(sections) + (index < room % len(sections))
            lines = [head_line(section, ink, cells)]
            if graph:
                lines += self.captioned(section.summary, past, ink, cells, graph)
            lines += some_lines(section, ink, cells, height - len(lines))
            blocks.append((lines, cells))
        return beside(blocks, height, PANE_GAP)

    # -- above each other ----------------------------------------------------------------------

    def stacked(
        self, sections: Sequence[Section], past: Past, ink: Ink, width: int, height: int
    ) -> list[Line]:
        """Every section with all its plots at the left and all that is known at the right.

        All lines there are: at least `height` of them.
        """
        graph = graph_cells(width)
        right = width - GUTTER - graph - GAP
        told = [all_lines(section, ink, right) for section in sections]
        least = [
            max(PLOT_LEAST * len(section.plots or (section.summary,)), len(lines))
            for section, lines in zip(sections, told, strict=True)
        ]
        spare = max(0, height - sum(least) - len(sections))
        lines: list[Line] = []
        for index, (section, detail) in enumerate(zip(sections, told, strict=True)):
            more = spare // len(sections) + (index < spare % len(sections))
            rows = least[index] + more
            plots = self._plots(section.plots or (section.summary,), past, ink, graph, rows)
            lines.append(_rule(section, ink, width))
            lines += beside([(plots, GUTTER + graph), (detail, right)], rows, GAP)
        return lines

    def _plots(
        self, plots: Sequence[Plot], past: Past, ink: Ink, cells: int, height: int
    ) -> list[Line]:
        lines: list[Line] = []
        shares = _shares(plots, height)
        for plot, rows in zip(plots, shares, strict=True):
            drawn, top = self._graph(plot, past, ink, cells, min(rows, PLOT_LIMIT))
            labels = [top_text(top, plot.unit), plot.label, *[""] * rows]
            for row, label in zip(drawn, labels, strict=False):
                lines.append([Segment(fit(label, GUTTER - 1, right=True) + " ", ink.quiet), *row])
            lines += [[] for _ in range(rows - len(drawn))]
        return lines


def _shares(plots: Sequence[Plot], height: int) -> list[int]:
    """The lines of each: those of minor ones are few."""
    major = sum(not plot.minor for plot in plots)
    room = height - PLOT_LEAST * (len(plots) - major)
    lines = [PLOT_LEAST if plot.minor else room // major for plot in plots]
    lines[0] += height - sum(lines)
    return lines


def graph_cells(width: int) -> int:
    """The width of the graphs in a stack."""
    return max(10, width // 2 - GUTTER)


def axis_line(
    timeline: Timeline, clock: Clock, ink: Ink, width: int, notes: Sequence[Pieces]
) -> Line:
    """The axis below a stack, and at its right as many notes as there is room for."""
    labels = axis(timeline, clock, graph_cells(width))
    line = [Segment(" " * GUTTER), Segment(labels, ink.quiet)]
    room = width - GUTTER - len(labels)
    for note in notes:
        room -= GAP + sum(len(text) for text, _ in note)
        if room < 0:
            break
        line += [Segment(" " * GAP), *inked(note, ink)]
    return line


def _rule(section: Section, ink: Ink, width: int) -> Line:
    head = head_line(section, ink, width - 6)
    line: Line = [Segment("── ", ink.line), *head, Segment(" ")]
    rest = width - sum(segment.cell_length for segment in line)
    return padded([*line, Segment("─" * max(0, rest), ink.line)], width)


def pane_span_s(cells: int) -> float:
    """How far back a graph in a pane reaches: about a second a column, in whole minutes."""
    return 60.0 * max(1, round(2 * cells / 60))
