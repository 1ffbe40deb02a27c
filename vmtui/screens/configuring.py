"""What actions on a VM's hardware open, and the panels that know more of one of its parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vmtui.hardware.changes import Assign
from vmtui.hardware.settings import PartKind
from vmtui.hardware.tree import Part
from vmtui.screens import hardware
from vmtui.screens.balloon import BalloonScreen
from vmtui.screens.base import FleetScreen
from vmtui.screens.cloning import ask_and_clone
from vmtui.screens.cpus import CpuPanel
from vmtui.screens.definition import edit
from vmtui.screens.deleting import delete
from vmtui.screens.firmware import FirmwarePanel
from vmtui.screens.isolation import IsolationPanel, restrict
from vmtui.screens.opening import Opener, for_one
from vmtui.screens.tpm import TpmPanel
from vmtui.screens.vm_panel import VMPanel
from vmtui.views import VMRef, VMView
from vmtui.widgets.tabs import HARDWARE, TABS


def _panel(kind: type[VMPanel]) -> Opener:
    async def pushed(screen: FleetScreen, row: VMView) -> None:
        screen.app.push_screen(kind(screen, row))

    return for_one(pushed)


async def _memory(screen: FleetScreen, row: VMView) -> None:
    screen.app.push_screen(BalloonScreen(screen, row))


async def _hardware(screen: FleetScreen, row: VMView) -> None:
    show_hardware(screen, row.ref)


def show_hardware(screen: FleetScreen, ref: VMRef, key: str = "") -> None:
    """The Hardware tab of a VM on a screen of its own, at a setting or a part."""
    from vmtui.screens.vm import VMScreen  # noqa: PLC0415 (it is made of this)

    if not isinstance(screen, VMScreen) or screen.ref != ref:
        own = VMScreen(screen.context, ref, TABS.index(HARDWARE))
        own.show_hardware(key)
        screen.app.push_screen(own)
    else:
        screen.show_hardware(key)


async def _balance(screen: FleetScreen, rows: Sequence[VMView]) -> None:
    """On where it is off for the first of them, and the other way round."""
    wanted = rows[0].vm.balance is None
    for row in rows:
        await hardware.change(screen, row.ref, [Assign("balance", wanted)])


CONFIGURERS: Mapping[str, Opener] = {
    "hardware": for_one(_hardware),
    "memory": for_one(_memory),
    "balance": _balance,
    "tpm": _panel(TpmPanel),
    "firmware": _panel(FirmwarePanel),
    "cpus": _panel(CpuPanel),
    "isolation": _panel(IsolationPanel),
    "restrict": restrict,
    "undo": for_one(hardware.undo),
    "protect": hardware.protect,
    "edit": for_one(edit),
    "clone": for_one(ask_and_clone),
    "delete": delete,
}
"""By action. Each is for a worker of the app that nothing cancels: what it asks and does goes on
when another is begun."""

PANELS: Mapping[PartKind, Opener] = {
    PartKind.CPU: CONFIGURERS["cpus"],
    PartKind.MEMORY: CONFIGURERS["memory"],
    PartKind.FIRMWARE: CONFIGURERS["firmware"],
    PartKind.TPM: CONFIGURERS["tpm"],
}


async def open_part(screen: FleetScreen, ref: VMRef, part: Part) -> None:
    """Enter on a part: the panel that knows more of it, where there is one."""
    panel = PANELS.get(part.kind)
    row = screen.context.fleet.view().row(ref)
    if panel is not None and row is not None:
        await panel(screen, [row])
