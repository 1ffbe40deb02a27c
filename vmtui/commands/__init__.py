"""What each command does: one coroutine a command, from parsed options to an exit status."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Coroutine
from typing import Any

from vmtui import actions
from vmtui.commands import (
    attaching,
    creating,
    listing,
    machine,
    powering,
    presetting,
    reaching,
    showing,
)

Command = Callable[[argparse.Namespace], Coroutine[Any, Any, int]]

COMMANDS: dict[str, Command] = {
    "list": listing.list_vms,
    "show": listing.show,
    "create": creating.create,
    "sandbox": creating.sandbox,
    "clone": creating.clone,
    "preset": presetting.preset,
    "images": machine.images,
    "export": machine.export,
    "console": attaching.console,
    "log": attaching.log,
    "screen": showing.screen,
    "type": showing.type_text,
    "key": showing.key,
    "view": showing.view,
    "ssh": reaching.ssh,
    "cp": reaching.cp,
    "wait": reaching.wait,
    "top": listing.top,
    "exporter": listing.exporter,
    "doctor": machine.doctor,
    "config": machine.config,
    "completion": machine.completion,
    **{
        action.command: powering.lifecycle
        for action in actions.ACTIONS
        if action.command and action.prepare is not None
    },
}
