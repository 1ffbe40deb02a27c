"""When consoles are drawn: an echo at once, all else no more often than the eye can follow."""

from __future__ import annotations

import asyncio
from typing import Protocol

REDRAW_S = 1 / 30
"""Between two redraws, on average, however much is printed and typed."""

AHEAD = 2
"""Redraws that echoes may be ahead of that: what follows waits the longer."""


class Draw(Protocol):
    """What draws."""

    def __call__(self, *, echo: bool) -> object:
        """Draw all changes, or echoes only."""


class Redraws:
    """Calls `draw` after changes, soon; with `echo` it may draw that alone: all else follows."""

    def __init__(self, draw: Draw) -> None:
        self._draw = draw
        self._due_s = 0.0  # when the next one is due, by the loop's clock
        self._timer: asyncio.TimerHandle | None = None
        self._echo: asyncio.TimerHandle | None = None

    def ask(self, *, echo: bool = False) -> None:
        """Something changed; `echo`: somebody waits for it."""
        loop = asyncio.get_running_loop()
        if self._timer is None:
            self._timer = loop.call_at(max(self._due_s, loop.time()), self._now)
        echo_s = self._due_s - AHEAD * REDRAW_S
        if echo and self._echo is None and echo_s < self._timer.when():
            self._echo = loop.call_at(max(echo_s, loop.time()), self._echo_now)

    def stop(self) -> None:
        """Draw nothing that was asked for so far."""
        for timer in (self._timer, self._echo):
            if timer is not None:
                timer.cancel()
        self._timer = self._echo = None

    def _now(self) -> None:
        self._timer = None
        if asyncio.get_running_loop().time() < self._due_s:  # echoes were ahead of it
            self.ask()
            return
        if self._echo is not None:
            self._echo.cancel()
            self._echo = None
        self._put_off_next()
        self._draw(echo=False)

    def _echo_now(self) -> None:
        self._echo = None
        self._put_off_next()
        self._draw(echo=True)

    def _put_off_next(self) -> None:
        self._due_s = max(self._due_s, asyncio.get_running_loop().time()) + REDRAW_S
