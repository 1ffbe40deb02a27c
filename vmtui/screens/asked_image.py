"""The image that the form for a new VM asks for: its text, and what that turns out to be."""

from __future__ import annotations

import asyncio

from vmtui.errors import VmtuiError
from vmtui.shelf import Shelf
from vmtui.spec import MICRO, Boot


class AskedImage:
    """`boot` is None until the text has been looked up; with `error` it is what is assumed."""

    def __init__(self) -> None:
        self.text = "micro"
        self.boot: Boot | None = MICRO
        self.error: VmtuiError | None = None
        self._known = asyncio.Event()
        self._known.set()

    def ask(self, text: str) -> None:
        """Another one; `look_up` is to follow."""
        self.text, self.boot, self.error = text, None, None
        self._known.clear()

    async def look_up(self, shelf: Shelf, *, after_s: float) -> None:
        """Find out what it is; cancelled when another one is asked for within `after_s`."""
        await asyncio.sleep(after_s)
        try:
            self.boot = await shelf.resolve(self.text.strip())
        except VmtuiError as error:
            self.boot, self.error = MICRO, error
        self._known.set()

    async def known(self) -> None:
        """Return once it is looked up."""
        await self._known.wait()

    @property
    def usable(self) -> Boot | None:
        """What it is; None while that is not known, or when there is none."""
        return None if self.error else self.boot
