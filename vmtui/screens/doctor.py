"""What this machine has for running VMs, and what is missing."""

from __future__ import annotations

from collections.abc import Sequence

from textual.widget import Widget

from vmtui.errors import VmtuiError
from vmtui.screens.base import Check, Context
from vmtui.screens.dialog import Dialog
from vmtui.units import plain
from vmtui.widgets.listing import Listing, Row


class DoctorScreen(Dialog):
    """The doctor's checks, as they are known."""

    heading = "This machine"
    keys = "Esc closes · the same in a terminal: vmtui doctor"

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._examine = context.examine

    def body(self) -> list[Widget]:
        """A word until the checks are there."""
        return [Listing([(("Looking …", "quiet"),)], (20,), id="checks")]

    def on_mount(self) -> None:
        """Look in the background."""
        self.run_worker(self._look(), group="doctor")

    async def _look(self) -> None:
        shown = self.query_one("#checks", Listing)
        try:
            checks = await self._examine()
        except VmtuiError as error:
            shown.show([((error.what, "bad"),), ((error.why, "text"),), ((error.hint, "text"),)])
            return
        shown.show(_told(checks))


def _told(checks: Sequence[Check]) -> list[Row]:
    rows: list[Row] = []
    for check in checks:
        symbol, ink = ("✓", "good") if check.ok else ("○", "quiet")
        if check.wrong:
            symbol, ink = "✗", "bad"
        rows.append(((f"{symbol} {plain(check.name)}", ink), (plain(check.found), "text")))
        if not check.ok:
            for label, text in (("it costs", check.costs), ("it is mended by", check.fix)):
                if text:
                    rows.append(((f"  {label}", "quiet"), (plain(text), "text")))
    return rows
