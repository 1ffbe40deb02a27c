"""A host in one line: the same fields at the same places for every host."""

from __future__ import annotations

from rich.segment import Segment

from vmtui.host_figures import HOST_BY_ID
from vmtui.theming import Ink
from vmtui.units import percent, size
from vmtui.views import ConnectionView
from vmtui.widgets.graph import braille, meter
from vmtui.widgets.lines import Line, fit, length
from vmtui.widgets.quantities import rates
from vmtui.widgets.sections import NONE
from vmtui.widgets.timeline import Past

GAP = 3
MEMORY_BAR = 8
GRAPH_LEAST = 8
GRAPH_LIMIT = 60


def compact(connection: ConnectionView, past: Past, ink: Ink, width: int) -> Line:
    """CPU and memory, and what else there is room for; the CPU's graph takes what is left."""
    fields = [
        _memory(connection, ink, MEMORY_BAR if width > 56 else 0),
        _both(connection, "Disk", ("r", "read_bytes"), ("w", "write_bytes"), ink),
        _both(connection, "Net", ("↓", "rx_bytes"), ("↑", "tx_bytes"), ink),
        _short(connection, "psi", "psi_cpu_some", 5, ink),
        _short(connection, "KSM", "ksm_saved", 10, ink),
    ]
    load = _cpu(connection, ink)
    room = width - length(load) - GRAPH_LEAST - 5
    shown: list[Line] = []
    for field in fields:
        if length(field) + GAP <= room:
            room -= length(field) + GAP
            shown.append(field)
    cells = max(0, min(GRAPH_LIMIT, GRAPH_LEAST + room))
    rest = GRAPH_LEAST + room - cells
    graph = braille(past.values(("cpu",), 2 * cells), cells, 1)[0] if cells > 3 else " " * cells
    line: Line = [Segment("CPU ", ink.quiet), Segment(graph, ink.cpu), Segment(" "), *load]
    spare = rest // len(shown) if shown else 0
    for field in shown:
        line += [Segment(" " * (GAP + spare)), *field]
    return line


def _cpu(connection: ConnectionView, ink: Ink) -> Line:
    text = percent(HOST_BY_ID["cpu"].of(connection))
    return [Segment(fit(text, 5, right=True), ink.strong), Segment(" %", ink.quiet)]


def _memory(connection: ConnectionView, ink: Ink, bar: int) -> Line:
    used, total = connection.memory_used_bytes, connection.memory_total_bytes
    share = used / total if used is not None and total else None
    return [
        Segment("Mem ", ink.quiet),
        *meter(share, bar, ink, "memory"),
        Segment(fit(size(used), 11, right=True), ink.strong),
        Segment(f" of {size(total):<8}", ink.quiet),
    ]


def _both(
    connection: ConnectionView,
    label: str,
    first: tuple[str, str],
    second: tuple[str, str],
    ink: Ink,
) -> Line:
    values = [HOST_BY_ID[name].of(connection) for _, name in (first, second)]
    texts: tuple[str, str, str] = (NONE, NONE, "")
    if values[0] is not None and values[1] is not None:
        texts = rates(values[0], values[1])
    line: Line = [Segment(label, ink.quiet)]
    for (sign, _), text in zip((first, second), texts, strict=False):
        line += [Segment(f" {sign}", ink.quiet), Segment(fit(text, 5, right=True), ink.text)]
    return [*line, Segment(f" {texts[2]:<4}", ink.quiet)]


def _short(connection: ConnectionView, label: str, name: str, cells: int, ink: Ink) -> Line:
    text = HOST_BY_ID[name].text(connection)
    return [Segment(f"{label} ", ink.quiet), Segment(fit(text, cells, right=True), ink.text)]
