"""All keys, from the table of actions."""

from __future__ import annotations

from collections.abc import Iterable

from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from vmtui.actions import ACTIONS, Action, Scope
from vmtui.screens.base import Context
from vmtui.screens.dialog import Dialog
from vmtui.screens.keys import NAVIGATION, display

KEY_WIDTH = 16


class HelpScreen(Dialog):
    """`?`"""

    heading = "Keys"
    keys = (
        "j k scroll · Esc closes · keys can be changed in the configuration: [keys] with the name"
    )

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._context_of_keys = context

    def body(self) -> list[Widget]:
        """Three groups."""
        widgets: list[Widget] = []
        for title, rows in (
            ("On the VM under the cursor, or all marked ones", self._actions(Scope.VM)),
            ("In the interface", self._actions(Scope.VIEW)),
            ("Moving around", [(keys, "", what) for keys, what in NAVIGATION]),
        ):
            widgets.append(Static(Content.styled(title, "$accent")))
            widgets += [Static(_row(*row)) for row in rows]
            widgets.append(Static(""))
        return widgets

    def _actions(self, scope: Scope) -> Iterable[tuple[str, str, str]]:
        for action in ACTIONS:
            if action.scope is scope:
                yield self._keys(action), action.id, action.help

    def _keys(self, action: Action) -> str:
        keys = self._context_of_keys.keys.get(action.id, action.key)
        return " ".join(display(key) for key in keys.split(","))


def _row(keys: str, name: str, what: str) -> Content:
    return Content.assemble(
        (f"{keys:<{KEY_WIDTH}}", "bold $primary"), (f"{name:<14}", "$text-muted"), what
    )
