"""Every verb of the action table: `start`, `stop`, `delete` and the like."""

from __future__ import annotations

import argparse

from vmtui import actions
from vmtui.backends.base import no_progress
from vmtui.commands.confirming import confirm
from vmtui.commands.telling import clear_progress, failed, on_terminal
from vmtui.commands.waiting import login_after_s
from vmtui.errors import EXIT_DONE, VmtuiError
from vmtui.fleet import Fleet
from vmtui.opening import connected


async def lifecycle(options: argparse.Namespace) -> int:
    """Every verb of the action table, on one or several VMs: a line of result for each."""
    action = actions.BY_COMMAND[options.command]
    statuses = []
    async with connected(options) as fleet:
        for name in dict.fromkeys(options.names):
            try:
                print(await _perform(action, fleet, name, options), flush=True)
                statuses.append(EXIT_DONE)
            except VmtuiError as error:
                clear_progress()
                statuses.append(failed(error))
    return next((status for status in statuses if status != EXIT_DONE), EXIT_DONE)


async def _perform(
    action: actions.Action, fleet: Fleet, name: str, options: argparse.Namespace
) -> str:
    ref = fleet.find(name)
    action.check(fleet, ref)
    assert action.prepare is not None
    prepared = await action.prepare(fleet, ref)
    if action.dangerous and not options.yes:
        name = fleet.vm(ref).name
        await confirm(
            f"{action.label.capitalize()} {name}?",
            prepared.consequences,
            what=f"{action.command} of {name}",
            left=f"{name} is left alone",
        )
    progress = on_terminal if action.command == "shutdown" else no_progress
    result = await prepared.work(progress)
    clear_progress()
    if getattr(options, "wait", False):
        waited_s = await login_after_s(fleet, ref, options.timeout)
        result += f"; login prompt after {waited_s:.2f} s"
    return result
