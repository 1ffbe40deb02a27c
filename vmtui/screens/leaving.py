"""Screens that are left once, however often they are told to go, and whose work ends first."""

from __future__ import annotations

from typing import TypeVar

from textual.await_complete import AwaitComplete
from textual.messages import Prune
from textual.screen import Screen

T = TypeVar("T")


class Leaving(Screen[T]):
    """Textual takes away whatever is in front: by a second click, the screen below a dialog."""

    def dismiss(self, result: T | None = None) -> AwaitComplete:
        """As Textual's; nothing, where this screen is not in front any more."""
        return super().dismiss(result) if self.is_active else AwaitComplete()

    async def on_prune(self, _event: Prune) -> None:
        """Textual ends the workers only once the widgets are gone: none may look for those then."""
        self.workers.cancel_node(self)
