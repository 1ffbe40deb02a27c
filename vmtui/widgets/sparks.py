"""Small graphs of the last minutes for table rows, made anew only when another dot is full."""

from __future__ import annotations

from vmtui.history import History
from vmtui.views import VMRef
from vmtui.widgets.graph import braille

DOT_S = 5.0
"""Seconds that one dot stands for; two dots are a cell."""

KEPT = 512
"""Graphs that are kept: more than there are rows on any screen."""


class Sparks:
    """CPU % of VMs in one line of braille each."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._made: dict[VMRef, tuple[tuple[int, int], str]] = {}

    def __call__(self, ref: VMRef, at_s: float, cells: int) -> str:
        """The graph up to `at_s` (monotonic) in so many cells."""
        dot = int(at_s / DOT_S)
        known = self._made.get(ref)
        if known is None or known[0] != (dot, cells):
            if len(self._made) >= KEPT:
                self._made.clear()
            values = self._history.window(
                ref,
                "cpu",
                end_s=(dot - 0.5) * DOT_S,  # in the last dot that is full
                span_s=2 * cells * DOT_S,
                columns=2 * cells,
            )
            known = self._made[ref] = ((dot, cells), braille(values, cells, 1)[0])
        return known[1]
