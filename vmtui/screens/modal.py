"""A dialog above another screen, opened without doing all of the work twice."""

from __future__ import annotations

from typing import TypeVar

from textual import events, on
from textual.containers import Vertical
from textual.screen import ModalScreen

from vmtui.screens.leaving import Leaving

T = TypeVar("T")


class Modal(ModalScreen[T], Leaving[T]):
    """Textual's own is styled, laid out and drawn, with the dimmed screen below it; then all that
    again in the same breath, and no key is looked at until it is done."""

    @on(events.ScreenResume)
    def _as_mounted(self, event: events.ScreenResume) -> None:
        """What was never laid out was styled just now, when it was mounted."""
        if not self.outer_size:
            event.refresh_styles = False

    @on(events.Resize)
    def _as_laid_out(self, event: events.Resize) -> None:
        """The layout tells of the size that it gave itself; only the terminal's is news."""
        if event.size == self.outer_size:
            event.prevent_default()


HEIGHT_SHARE = 0.96
"""Of the terminal; no dialog is higher."""


class TallModal(Modal[T]):
    """One box, of which parts scroll: if it is too high it gets `-full`, and these what is left.

    A box that is as high as what is in it does not know that its parts could be lower.
    """

    DEFAULT_CSS = """
    TallModal > Vertical { height: auto; max-height: 96%; overflow-y: auto; }
    TallModal.-full > Vertical { height: 96%; }
    """

    @on(events.Resize)
    def _resized(self) -> None:
        self.remove_class("-full")
        self.refit()

    def refit(self) -> None:
        """Look again how high it is: there is more in it, or another terminal around it."""
        self.call_after_refresh(self._fill)

    def _fill(self) -> None:
        box = self.query_one(Vertical)
        if box.outer_size.height >= int(HEIGHT_SHARE * self.size.height):
            self.add_class("-full")
