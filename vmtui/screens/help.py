"""All keys, from the table of actions."""

from __future__ import annotations

from collections.abc import Iterable

from textual.widget import Widget

from vmtui.actions import ACTIONS, Action, Scope
from vmtui.screens.base import Context
from vmtui.screens.dialog import Dialog
from vmtui.screens.keys import NAVIGATION, display
from vmtui.widgets.listing import Listing, Row


class HelpScreen(Dialog):
    """`?`"""

    heading = "Keys"
    keys = "Esc closes · [keys] in the configuration changes them, by name"

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._context_of_keys = context

    def body(self) -> list[Widget]:
        """Four groups."""
        rows: list[Row] = []
        for title, group in (
            ("On the VM under the cursor, or all marked ones", self._actions(Scope.VM)),
            ("In the interface", self._actions(Scope.VIEW)),
            ("In a recording that is replayed", self._actions(Scope.REPLAY)),
            ("Moving around", [(keys, "", what) for keys, what in NAVIGATION]),
        ):
            rows.append(((title, "note"),))
            rows += [((k, "accent"), (name, "quiet"), (what, "text")) for k, name, what in group]
            rows.append((("", "text"),))
        return [Listing(rows[:-1], (16, 17))]

    def _actions(self, scope: Scope) -> Iterable[tuple[str, str, str]]:
        for action in ACTIONS:
            if action.scope is scope:
                yield self._keys(action), action.id, action.help

    def _keys(self, action: Action) -> str:
        keys = self._context_of_keys.keys.get(action.id, action.key)
        return " ".join(display(key) for key in keys.split(","))
