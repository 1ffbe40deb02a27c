"""A connection that is not up, as a pane tells of it: how it is, why, and what helps."""

from __future__ import annotations

from rich.segment import Segment

from vmtui.theming import Ink
from vmtui.units import plain
from vmtui.views import ConnectionStatus, ConnectionView
from vmtui.widgets.lines import Line
from vmtui.widgets.states import CONNECTIONS, connection_note


def lost_lines(connection: ConnectionView | None, ink: Ink, now_s: float) -> list[Line]:
    """None where there is nothing to tell."""
    if connection is None or connection.status is ConnectionStatus.UP:
        return []
    symbol, colour = CONNECTIONS[connection.status]
    head = f"{symbol} {plain(connection.label)} {connection_note(connection, now_s)}"
    problem = connection.problem
    texts = [problem.what, problem.why, problem.hint] if problem else []
    return [
        [Segment(head, getattr(ink, colour))],
        *([Segment(plain(text), ink.text)] for text in texts if text),
    ]
