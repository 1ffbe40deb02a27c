"""The keys of the embedded consoles: what follows the one that is not the guest's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from textual.widget import Widget

from vmtui.screens.dialog import Dialog
from vmtui.screens.keys import display, normalised
from vmtui.widgets.listing import Listing, Row


@dataclass(frozen=True, slots=True)
class Command:
    """What a key after the prefix does; ConsoleScreen has a `do_ID` for it."""

    key: str
    id: str
    label: str
    help: str


COMMANDS: tuple[Command, ...] = (
    Command("d", "leave", "back", "Back to where you came from; the console stays open."),
    Command("question_mark", "help", "keys", "These keys."),
    Command("n", "next", "next", "The next open console."),
    Command("p", "previous", "previous", "The one before."),
    Command("c", "list", "list", "All open consoles."),
    Command("g", "grid", "grid", "All open consoles side by side, or this one alone."),
    Command("b", "all", "into all", "Type into all of the grid at once, or into one again."),
    Command("left_square_bracket", "copy", "copy", "Copy mode: walk, select, copy by keys."),
    Command("slash", "search", "search", "Search in what was printed, from the end backwards."),
    Command("right_square_bracket", "paste", "paste", "Paste what was copied here."),
    Command("l", "log", "log", "Write what is printed to a file, or no longer."),
    Command("s", "save", "save", "Save what was printed to a file."),
    Command("z", "size", "size", "Tell the guest the size of this terminal."),
    Command("t", "take", "take over", "Take the console from whoever has it."),
    Command("x", "close", "close", "Close the console."),
)

BY_KEY: Mapping[str, Command] = {command.key: command for command in COMMANDS}

OTHER_KEYS = (
    ("1 … 9", "number", "The console of that number."),
    ("← ↓ ↑ →", "move", "Another one of the grid."),
    ("twice", "send", "Send the key itself to the guest."),
)

WITHOUT_PREFIX = (
    ("Shift+PgUp PgDn", "", "Scroll back in what was printed, and on."),
    ("End", "", "Back to the end, where it is scrolled back."),
    ("mouse", "", "Drag to select and copy; Shift keeps it from a guest."),
)


class ConsoleHelp(Dialog):
    """The prefix and `?`."""

    heading = "Keys of consoles"

    def __init__(self, prefix: str) -> None:
        super().__init__()
        self._prefix = display(normalised(prefix))

    def body(self) -> list[Widget]:
        """Those after the prefix, and the few that need none."""
        rows: list[Row] = [
            ((f"After {self._prefix}", "note"),),
            *(_row(display(c.key), c.label, c.help) for c in COMMANDS),
            *(_row(*each) for each in OTHER_KEYS),
            (("", "text"),),
            (("Without it; every other key goes to the guest", "note"),),
            *(_row(*each) for each in WITHOUT_PREFIX),
        ]
        return [Listing(rows, (17, 11))]


def _row(keys: str, label: str, what: str) -> Row:
    return ((keys, "accent"), (label, "quiet"), (what, "text"))
