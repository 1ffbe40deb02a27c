"""The last line: keys and words from the table of actions, as many as fit."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.message import Message

from vmtui.actions import ACTIONS, Action, Scope
from vmtui.widgets.lines import Line, Lines, length

LAST = "help"
"""The action that is never left out."""


class ActionBar(Lines):
    """Actions that can be done now are bright, the others dim; a click does one."""

    class Chosen(Message):
        """An action was clicked."""

        def __init__(self, action_id: str) -> None:
            super().__init__()
            self.action_id = action_id

    def __init__(
        self,
        key_of: Callable[[Action], str],
        actions: Sequence[Action] = ACTIONS,
        *,
        id: str | None = None,  # noqa: A002
    ) -> None:
        super().__init__(id=id)
        self._key_of = key_of
        self._actions = actions
        # Live, until it is told that this is a recording.
        self._refused = frozenset(a.id for a in actions if a.scope is Scope.REPLAY)
        self._spans: list[tuple[int, int, str]] = []

    def show(self, refused: Callable[[Action], bool]) -> None:
        """Take over what can't be done now."""
        ids = frozenset(action.id for action in self._actions if refused(action))
        if ids != self._refused:
            self._refused = ids
            self.redraw()

    def ground(self) -> Style:
        """The bar's own ground."""
        return self.ink.bar

    def paint(self) -> Sequence[Line]:
        """One line. What is in it depends on the width and on what this shows: nothing moves."""
        chosen = self._chosen(self.size.width)
        line: Line = [Segment(" ")]
        self._spans = []
        for action in self._ordered():
            if action.id not in chosen:
                continue
            item = self._item(action)
            self._spans.append((length(line), length(line) + length(item), action.id))
            line += [*item, Segment("  ")]
        return [line]

    def _item(self, action: Action) -> Line:
        refused = action.id in self._refused
        return [
            Segment(self._key_of(action), self.ink.off if refused else self.ink.accent),
            Segment(f" {action.label}", self.ink.off if refused else self.ink.text),
        ]

    def _ordered(self) -> list[Action]:
        # Of a recording its own keys come first: little else can be done with it.
        playing = {a.id for a in self._actions if a.scope is Scope.REPLAY} - self._refused
        listed = [a for a in self._actions if a.scope is not Scope.REPLAY or a.id in playing]
        return sorted(listed, key=lambda a: a.id not in playing)

    def _chosen(self, width: int) -> set[str]:
        chosen: set[str] = set()
        room = width - 2
        for action in sorted(
            self._ordered(), key=lambda a: (a.id != LAST, a.scope is not Scope.REPLAY, not a.footer)
        ):
            needed = cell_len(f"{self._key_of(action)} {action.label}") + 2
            if needed - 2 > room:
                break
            chosen.add(action.id)
            room -= needed
        return chosen

    def on_click(self, event: events.Click) -> None:
        """Do what was clicked."""
        for left, right, action_id in self._spans:
            if left <= event.x < right:
                self.post_message(self.Chosen(action_id))
