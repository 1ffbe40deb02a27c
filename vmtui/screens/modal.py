"""A dialog above another screen, opened without doing all of the work twice."""

from __future__ import annotations

from typing import TypeVar

from textual import events, on
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
