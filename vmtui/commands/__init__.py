"""What each command does: one coroutine a command, from parsed options to an exit status."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Coroutine, Mapping
from importlib import import_module
from typing import Any

from vmtui.actions import ACTIONS

Command = Callable[[argparse.Namespace], Coroutine[Any, Any, int]]

PLACES: Mapping[str, str] = {
    "list": "listing.list_vms",
    "show": "listing.show",
    "create": "creating.create",
    "sandbox": "creating.sandbox",
    "clone": "creating.clone",
    "preset": "presetting.preset",
    "images": "imaging.images",
    "export": "carrying.export_vm",
    "console": "attaching.console",
    "log": "attaching.log",
    "screen": "showing.screen",
    "type": "showing.type_text",
    "key": "showing.key",
    "view": "showing.view",
    "ssh": "reaching.ssh",
    "cp": "reaching.cp",
    "wait": "reaching.wait",
    "set": "configuring.set_values",
    "settings": "configuring.settings",
    "attach": "configuring.attach",
    "detach": "configuring.detach",
    "undo": "configuring.undo",
    "edit": "editing.edit",
    "balloon": "surrounding.balloon",
    "tpm": "surrounding.tpm",
    "firmware": "surrounding.firmware",
    "isolation": "isolating.isolation",
    "restrict": "isolating.restrict",
    "devices": "hosting.devices",
    "cores": "hosting.cores",
    "ksm": "hosting.ksm",
    "trash": "deleting.trash",
    "top": "listing.top",
    "exporter": "listing.exporter",
    "balance": "balancing.balance",
    "doctor": "machine.doctor",
    "config": "machine.config",
    "completion": "machine.completion",
    **{
        action.command: "powering.lifecycle"
        for action in ACTIONS
        if action.command and action.prepare is not None
    },
    "delete": "deleting.delete",
}
"""By the name of a command, its module here and its function in that."""


def command(name: str) -> Command:
    """What a command does. Only what it needs itself is imported: `vmtui list` is waited for."""
    module, _, function = PLACES[name].partition(".")
    found: Command = getattr(import_module(f"{__name__}.{module}"), function)
    return found
