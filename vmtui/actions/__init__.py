"""Every verb, declared once: keys, footer, palette, help, commands and confirmations."""

from vmtui.actions.action import Action, Prepare, Prepared, Scope, perform, unchangeable
from vmtui.actions.table import ACTIONS, BY_COMMAND, BY_ID

__all__ = [
    "ACTIONS",
    "BY_COMMAND",
    "BY_ID",
    "Action",
    "Prepare",
    "Prepared",
    "Scope",
    "perform",
    "unchangeable",
]
