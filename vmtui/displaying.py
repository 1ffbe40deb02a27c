"""A guest's screen as it is watched and typed into: kept up to date, its input sent in order."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from vmtui.backends.ways_in import Displays
from vmtui.errors import VmtuiError
from vmtui.keyboards import Chord
from vmtui.model import VMId
from vmtui.picture import Picture

TYPING_HOLD_MS = 8
"""How long a key of a text is down. A PC's keyboard keeps 16 bytes, up to 4 of each key, for a
guest that is busy: this gives it 60 ms and more. A key that is pressed alone is held longer."""

QUICK_S = 0.2
"""Between two looks at a screen that changes."""
SLOW_S = 1.0
"""Between two looks at one that does not."""
SLOWER_BY = 1.3
"""How much longer each wait is than the last, while nothing changes."""
SHARE = 0.25
"""The most of the time that taking pictures may cost."""


async def press_all(displays: Displays, vm: VMId, chords: Iterable[Chord]) -> None:
    """Type a text, one key after the other."""
    for keys in chords:
        await displays.press(vm, keys, hold_ms=TYPING_HOLD_MS)


@dataclass(frozen=True, slots=True)
class Point:
    """A place on the screen, 0..1 of its width and height, and the buttons that are down there."""

    x: float
    y: float
    buttons: frozenset[str] = frozenset()


class WatchedScreen:
    """One VM's. It is looked at while it is `watch`ed only; `changed` is called after each change.

    Made and used on the event loop; `close` it at the end.
    """

    def __init__(self, displays: Displays, vm: VMId, changed: Callable[[], None]) -> None:
        self._displays = displays
        self._vm = vm
        self._changed = changed
        self.picture: Picture | None = None
        """The last one; None before the first, and while there is none."""
        self.dark: VmtuiError | None = None
        """Why there is no picture."""
        self.refused: VmtuiError | None = None
        """Why the last input did not reach the guest."""
        self._watching: asyncio.Task[None] | None = None
        self._soon = asyncio.Event()
        self._inputs: deque[Chord | Point] = deque()
        self._sending: asyncio.Task[None] | None = None

    # -- looking -----------------------------------------------------------------------------

    def watch(self, *, on: bool) -> None:
        """Whether somebody looks at it now."""
        if on and self._watching is None:
            self._watching = asyncio.create_task(self._look())
        elif not on and self._watching is not None:
            self._watching.cancel()
            self._watching = None

    async def _look(self) -> None:
        wait_s = QUICK_S
        while True:
            began_s = time.monotonic()
            changed = await self._take()
            cost_s = time.monotonic() - began_s
            wait_s = QUICK_S if changed else min(SLOW_S, wait_s * SLOWER_BY)
            self._soon.clear()
            try:
                async with asyncio.timeout(max(wait_s, cost_s / SHARE)):
                    await self._soon.wait()
                wait_s = QUICK_S
            except TimeoutError:
                pass

    async def _take(self) -> bool:
        """Take a picture; whether anything is new."""
        before, dark_before = self.picture, str(self.dark)
        try:
            picture = await self._displays.picture(self._vm)
            # What is the same stays the same object, so that nobody scales or draws it anew.
            self.picture = before if picture == before else picture
            self.dark = None
        except VmtuiError as error:
            self.picture, self.dark = None, error
        if self.picture is before and str(self.dark) == dark_before:
            return False
        self._changed()
        return True

    # -- input -------------------------------------------------------------------------------

    @property
    def pending(self) -> int:
        """How many keys are still to be sent."""
        return len(self._inputs)

    def press(self, keys: Chord) -> None:
        """Press keys together, after what was pressed before."""
        self._send([keys])

    def paste(self, chords: Iterable[Chord]) -> None:
        """Type a text."""
        self._send(chords)

    def point(self, x: float, y: float, buttons: frozenset[str] = frozenset()) -> None:
        """Put the pointer somewhere. A movement that was not sent yet is overtaken."""
        point = Point(x, y, buttons)
        if self._inputs and isinstance(last := self._inputs[-1], Point) and last.buttons == buttons:
            self._inputs.pop()
        self._send([point])

    def forget_pending(self) -> None:
        """Do not type the rest."""
        self._inputs.clear()
        self._changed()

    def _send(self, inputs: Iterable[Chord | Point]) -> None:
        self._inputs.extend(inputs)
        if self._sending is None or self._sending.done():
            self._sending = asyncio.create_task(self._send_all())

    async def _send_all(self) -> None:
        try:
            while self._inputs:
                await self._send_one(self._inputs.popleft())
                self._soon.set()  # an answer on the screen is likely
            self.refused = None
        except VmtuiError as error:
            self._inputs.clear()
            self.refused = error
        self._changed()

    async def _send_one(self, one: Chord | Point) -> None:
        if isinstance(one, Point):
            await self._displays.point(self._vm, one.x, one.y, one.buttons)
        elif self._inputs:  # as quickly as it can be, where more is to come
            await self._displays.press(self._vm, one, hold_ms=TYPING_HOLD_MS)
        else:
            await self._displays.press(self._vm, one)

    async def close(self) -> None:
        """Look and type no more."""
        self._inputs.clear()
        tasks = [task for task in (self._watching, self._sending) if task is not None]
        self._watching = self._sending = None
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
