"""What this machine has for running VMs, and what is missing."""

from __future__ import annotations

from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from vmtui.errors import VmtuiError
from vmtui.screens.base import Check, Context
from vmtui.screens.dialog import Dialog
from vmtui.units import plain


class DoctorScreen(Dialog):
    """The doctor's checks, as they are known."""

    heading = "This machine"
    keys = "Esc closes · the same in a terminal: vmtui doctor"

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._examine = context.examine

    def body(self) -> list[Widget]:
        """A word until the checks are there."""
        return [Static(Content("Looking …"), id="checks")]

    def on_mount(self) -> None:
        """Look in the background."""
        self.run_worker(self._look(), group="doctor")

    async def _look(self) -> None:
        shown = self.query_one("#checks", Static)
        try:
            checks = await self._examine()
        except VmtuiError as error:
            shown.update(Content(str(error)))
            return
        shown.update(Content("\n").join(_told(check) for check in checks))


def _told(check: Check) -> Content:
    symbol, style = ("✓", "$success") if check.ok else ("✗", "bold $error")
    parts: list[tuple[str, str] | str] = [
        (f"{symbol} {plain(check.name):<18} ", style),
        plain(check.found),
    ]
    if not check.ok:
        for label, text in (("costs", check.costs), ("mend", check.fix)):
            if text:
                parts += [(f"\n    {label:<6}", "$text-muted"), plain(text)]
    return Content.assemble(*parts)
