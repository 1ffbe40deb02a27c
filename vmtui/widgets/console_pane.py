"""A console in a pane: the part of its terminal around the cursor, as it is now."""

from __future__ import annotations

from rich.segment import Segment

from vmtui.consoles import Attachment, OpenConsole
from vmtui.theming import Ink
from vmtui.units import plain
from vmtui.widgets.console_lines import ATTACHMENTS
from vmtui.widgets.lines import Line
from vmtui.widgets.terminal_strips import row_strip


class ConsolePane:
    """One console at a time; it is looked at, and keeps its own size."""

    def __init__(self) -> None:
        self.console: OpenConsole | None = None
        self._note = ""

    def take(self, console: OpenConsole | None, note: str) -> None:
        """A console, or a note on why there is none."""
        self.console, self._note = console, note

    def lines(self, ink: Ink, width: int, height: int) -> list[Line]:
        """What is around its cursor."""
        console = self.console
        if console is None:
            return [[Segment(self._note, ink.quiet)]]
        lines: list[Line] = []
        told = plain(console.notice or console.hint)
        if console.attachment is Attachment.DETACHED:
            told = "Enter opens it; until then nobody is kept from it."
        if told or console.attachment not in (Attachment.ATTACHED, Attachment.WATCHING):
            symbol, colour = ATTACHMENTS[console.attachment]
            state = f"{symbol} {console.attachment.value}  "
            lines.append([Segment(state, getattr(ink, colour)), Segment(told, ink.quiet)])
        terminal = console.terminal
        room = max(1, height - len(lines))
        first = max(0, terminal.cursor.row + 1 - room)
        reverse = terminal.modes.reverse_screen
        for row in range(first, min(first + room, terminal.rows)):
            strip = row_strip(terminal.row(row), terminal.columns, ink.base, reverse=reverse)
            lines.append(list(strip.crop(0, width)))
        return lines
