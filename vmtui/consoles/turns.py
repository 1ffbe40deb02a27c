"""Whose output is emulated next: a piece of one console at a time, those typed on first."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager

ECHO_S = 0.03
"""For so long after a key the others wait: a guest's echo comes, and is painted, within it.

Then they have as long for themselves, however much is typed.
"""


class Turns:
    """Shared by all consoles; between two pieces all else has its turn."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._typed_on: set[Hashable] = set()
        self._until_s = -math.inf  # by the loop's clock, which began with the machine

    def typed(self, console: Hashable) -> None:
        """Somebody waits for an echo there."""
        now_s = asyncio.get_running_loop().time()
        if now_s >= self._until_s + ECHO_S:
            self._typed_on.clear()
            self._until_s = now_s + ECHO_S
        if now_s < self._until_s:
            self._typed_on.add(console)

    @asynccontextmanager
    async def turn(self, console: Hashable) -> AsyncIterator[None]:
        """Wait for one's turn, and have it while inside."""
        if console not in self._typed_on:
            loop = asyncio.get_running_loop()
            if (wait_s := self._until_s - loop.time()) > 0:
                await asyncio.sleep(wait_s)
        async with self._lock:
            yield
            await asyncio.sleep(0)
