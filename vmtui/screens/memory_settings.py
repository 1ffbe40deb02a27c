"""What is set from the memory dialog: the floor, automatic balance and its range."""

from __future__ import annotations

from vmtui import configuring
from vmtui.errors import VmtuiError
from vmtui.hardware.changes import Assign
from vmtui.hardware.settings import setting
from vmtui.screens.ask import AskScreen
from vmtui.screens.base import FleetScreen
from vmtui.screens.doing import tell_error
from vmtui.screens.hardware import change
from vmtui.units import plain
from vmtui.views import VMView


async def turn_balance(screen: FleetScreen, row: VMView) -> None:
    """Automatic balance, on where it is off and the other way round."""
    await change(screen, row.ref, [Assign("balance", row.vm.balance is None)])


async def set_by_typing(screen: FleetScreen, row: VMView, *keys: str) -> None:
    """Sizes, asked for one after the other and set together."""
    changes = []
    try:
        hardware = await configuring.hardware(screen.context.fleet, row.ref)
        for key in keys:
            known, entry = setting(key), hardware.entry(key)
            title = f"{known.label[:1].upper()}{known.label[1:]} of {plain(row.vm.name)}"
            before = known.form.text(entry.next) if entry else ""
            typed = await screen.app.push_screen_wait(AskScreen(f"{title}, such as 1G", before))
            if typed is None:
                return
            changes.append(Assign(key, known.parse(typed)))
    except VmtuiError as error:
        tell_error(screen, error)
        return
    await change(screen, row.ref, changes)
