"""`B`: what keeps a guest from all else, and `restrict`, which tightens it in one step."""

from __future__ import annotations

from collections.abc import Sequence

from vmtui.backends.abilities import Isolates
from vmtui.errors import UnsupportedError, VmtuiError
from vmtui.hardware.around import Barrier, Mark
from vmtui.hardware.changes import Change
from vmtui.screens.base import FleetScreen
from vmtui.screens.doing import Outcome, tell, tell_error
from vmtui.screens.hardware import change
from vmtui.screens.panel import Seen
from vmtui.screens.vm_panel import VMPanel
from vmtui.units import plain
from vmtui.views import VMRef, VMView
from vmtui.widgets.listing import Row

MARKS = {
    Mark.GOOD: ("● good", "good"),
    Mark.OPEN: ("◐ open", "warn"),
    Mark.WEAK: ("▲ weak", "bad"),
    Mark.UNKNOWN: ("? not known", "quiet"),
}


async def barriers(screen: FleetScreen, ref: VMRef) -> Sequence[Barrier]:
    """All of a VM's. Raises UnsupportedError where the backend tells nothing of them."""
    backend = screen.context.fleet.backend(ref)
    if not isinstance(backend, Isolates):
        raise UnsupportedError("this connection tells nothing of isolation")
    return await backend.isolation(ref.id)


def tightening(found: Sequence[Barrier]) -> list[Change]:
    """All that would tighten any of them."""
    return list(dict.fromkeys(change for barrier in found for change in barrier.changes))


class IsolationPanel(VMPanel):
    """A line for each barrier."""

    heading = "Isolation"

    def widths(self) -> tuple[int, ...]:
        """Mark and topic."""
        return (12, 17)

    async def look(self) -> Seen:
        """The barriers as they are."""
        found = await barriers(self.over, self.ref)
        rows: list[Row] = []
        for barrier in found:
            value = plain(barrier.value)
            text = f"{value} – {plain(barrier.advice)}" if barrier.advice else value
            rows.append((MARKS[barrier.mark], (plain(barrier.topic), "quiet"), (text, "text")))
        changes = tightening(found)
        why = "" if changes else "Nothing can be tightened by a setting."
        return Seen(rows, [self.command("r", "restrict", self.change, *changes, refusal=why)])


async def restrict(screen: FleetScreen, rows: Sequence[VMView]) -> None:
    """`Q`: no network, no sharing, no merging, in one plan for each VM."""
    for row in rows:
        try:
            changes = tightening(await barriers(screen, row.ref))
        except VmtuiError as error:
            tell_error(screen, error)
            continue
        if changes:
            await change(screen, row.ref, changes)
        else:
            name = plain(row.vm.name)
            tell(screen, "restrict", [Outcome(f"{name} is as tight as settings make it.", ok=True)])
