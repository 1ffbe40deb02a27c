"""When consoles are drawn: an echo at once, all else no more often than the eye can follow."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

REDRAW_S = 1 / 30
"""Between two redraws, on average, however much is printed and typed."""

AHEAD = 2
"""Redraws that echoes may be ahead of that: what follows waits the longer."""


class Redraws:
    """Calls `draw` after changes, soon."""

    def __init__(self, draw: Callable[[], object]) -> None:
        self._draw = draw
        self._due_s = 0.0  # when the next one is due, by the loop's clock
        self._timer: asyncio.TimerHandle | None = None

    def ask(self, *, echo: bool = False) -> None:
        """Something changed; `echo`: somebody waits for it."""
        loop = asyncio.get_running_loop()
        due_s = self._due_s - (AHEAD * REDRAW_S if echo else 0.0)
        if self._timer is not None:
            if self._timer.when() <= due_s:
                return
            self._timer.cancel()
        self._timer = loop.call_at(max(due_s, loop.time()), self._now)

    def stop(self) -> None:
        """Draw nothing that was asked for so far."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _now(self) -> None:
        self._timer = None
        self._due_s = max(self._due_s, asyncio.get_running_loop().time()) + REDRAW_S
        self._draw()
