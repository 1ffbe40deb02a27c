"""The text of a terminal, scrollback and screen as one: what is selected in it, and found."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from vmtui.terminal.emulator import Emulator
from vmtui.widgets.terminal_strips import cells_of, harmless

AT_ONCE = 100
"""Lines that are looked through before others get the event loop."""

Spot = tuple[int, int]
"""A line's number and a column."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Cells from one spot to another, both included; `whole`: all of the lines between them."""

    start: Spot
    end: Spot
    whole: bool = False

    @property
    def ordered(self) -> tuple[Spot, Spot]:
        """The earlier end first."""
        return (self.start, self.end) if self.start <= self.end else (self.end, self.start)

    def on(self, line: int, width: int) -> tuple[int, int] | None:
        """From which column up to which it is on a line."""
        (first, left), (last, right) = self.ordered
        if not first <= line <= last:
            return None
        if self.whole:
            return (0, width)
        return (left if line == first else 0, right + 1 if line == last else width)


class TerminalLines:
    """The text of a terminal's lines, which have the terminal's own numbers."""

    def __init__(self, terminal: Emulator) -> None:
        self.terminal = terminal

    @property
    def first(self) -> int:
        """The oldest line that is kept."""
        return self.terminal.first_line

    @property
    def screen(self) -> int:
        """The first line of the screen."""
        return self.terminal.scrolled_off

    @property
    def end(self) -> int:
        """One past the last line."""
        return self.terminal.end_line

    def cells(self, line: int) -> list[str]:
        """The text of a line, cell by cell."""
        return cells_of(self.terminal.line(line))

    def cut(self, selection: Selection) -> str:
        """The text of a selection; a line that was only wrapped is one."""
        (first, _), (last, _) = selection.ordered
        text = ""
        for line in range(max(first, self.first), min(last + 1, self.end)):
            left, right = selection.on(line, self.terminal.columns) or (0, 0)
            piece = "".join(self.cells(line)[left:right])
            goes_on = line < last and self.terminal.is_wrapped(line)
            text += piece if goes_on else piece.rstrip() + ("\n" if line < last else "")
        return text

    async def all_text(self) -> str:
        """Everything that is kept, in pieces that leave the loop free."""
        pieces: list[str] = []
        for at, line in enumerate(range(self.first, self.end), start=1):
            text = "".join(harmless(run.text) for run in self.terminal.line(line))
            pieces.append(text if self.terminal.is_wrapped(line) else text.rstrip() + "\n")
            if at % AT_ONCE == 0:
                await asyncio.sleep(0)
        return "".join(pieces).rstrip() + "\n"

    async def find(self, wanted: str, spot: Spot, step: int) -> Spot | None:
        """The next match after `spot` (or before it, with a step of -1), around the end too."""
        first, end = self.first, self.end
        line, column = spot
        for looked in range(end - first + 1):
            at = first + (line - first + step * looked) % (end - first)
            starts = [start for start, _ in matches(self.cells(at), wanted)]
            if looked == 0:
                starts = [s for s in starts if (s > column if step > 0 else s < column)]
            if starts:
                return (at, starts[0 if step > 0 else -1])
            if looked % AT_ONCE == AT_ONCE - 1:
                await asyncio.sleep(0)
        return None


def matches(cells: list[str], wanted: str) -> list[tuple[int, int]]:
    """Where `wanted` is in a line, as columns; capitals count if there are any in it."""
    if not wanted:
        return []
    text = "".join(cells)
    if wanted == wanted.lower():
        lowered = text.lower()
        # A few characters have other lengths in lower case; columns matter more than they do.
        text = lowered if len(lowered) == len(text) else text
    found: list[tuple[int, int]] = []
    at = text.find(wanted)
    if at < 0:
        return []
    # From characters to columns: the second cell of a wide character holds none.
    columns = [column for column, cell in enumerate(cells) for _ in cell]
    columns.append(len(cells))
    while at >= 0:
        found.append((columns[at], columns[at + len(wanted)]))
        at = text.find(wanted, at + len(wanted))
    return found
