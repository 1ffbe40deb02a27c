"""The text of a terminal's lines, with what was wrapped joined again: to copy, save and search."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from vmtui.terminal.cells import Row
from vmtui.terminal.emulator import Emulator

LINES_AT_ONCE = 50
"""That are looked at before the caller gets its turn."""

MAX_JOINED = 100
"""Lines that are searched as one."""


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A cell: the number of its line, as the emulator counts them, and its column from 0."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Span:
    """Cells from `start` up to `end`, without it."""

    start: Position
    end: Position


def text(terminal: Emulator, span: Span) -> str:
    """The text of those cells; blanks at the ends of lines are left out."""
    return "".join(text_lines(terminal, span)).removesuffix("\n")


def text_lines(terminal: Emulator, span: Span) -> Iterator[str]:
    """The same line by line, each with its line break, for those who write much of it."""
    joined = ""
    for number in range(max(span.start.line, terminal.first_line), span.end.line + 1):
        first = span.start.column if number == span.start.line else 0
        last = span.end.column if number == span.end.line else terminal.columns
        joined += _columns(terminal.line(number), first, last)
        if terminal.is_wrapped(number) and number < span.end.line:
            continue
        yield joined.rstrip(" ") + "\n"
        joined = ""


def _columns(row: Row, first: int, last: int) -> str:
    """The text of some columns; a wide character belongs to its first."""
    found: list[str] = []
    column = 0
    for run in row:
        for cell in run.cells:
            if first <= column < last:
                found.append(cell)
            column += run.cell_columns
    return "".join(found)


def pattern(query: str, *, regex: bool = False) -> re.Pattern[str]:
    """What to search for; capitals only matter if there are some. May raise re.error."""
    flags = re.NOFLAG if any(character.isupper() for character in query) else re.IGNORECASE
    return re.compile(query if regex else re.escape(query), flags)


def search(
    terminal: Emulator, wanted: re.Pattern[str], *, start: int, backwards: bool = True
) -> Iterator[Span | None]:
    """All places, from line `start` on; None in between, where the caller may do something else.

    What is printed meanwhile is not found.
    """
    end = terminal.end_line
    number = start
    looked_at = 0
    while terminal.first_line <= number < end:
        first, texts = _joined(terminal, number, end)
        found = [
            _span(terminal, first, texts, match.start(), match.end())
            for match in wanted.finditer("".join(texts).rstrip(" "))
            if match.end() > match.start()
        ]
        yield from reversed(found) if backwards else found
        number = first - 1 if backwards else first + len(texts)
        looked_at += len(texts)
        if looked_at >= LINES_AT_ONCE:
            looked_at = 0
            yield None


def _joined(terminal: Emulator, number: int, end: int) -> tuple[int, list[str]]:
    """The lines that belong to this one: the number of the first, and their texts."""
    first = number
    while first > max(terminal.first_line, number - MAX_JOINED) and terminal.is_wrapped(first - 1):
        first -= 1
    texts = [terminal.line_text(first)]
    while (
        len(texts) < 2 * MAX_JOINED
        and first + len(texts) < end
        and terminal.is_wrapped(first + len(texts) - 1)
    ):
        texts.append(terminal.line_text(first + len(texts)))
    return first, texts


def _span(terminal: Emulator, first: int, texts: list[str], begin: int, end: int) -> Span:
    return Span(
        _position(terminal, first, texts, begin)[0], _position(terminal, first, texts, end - 1)[1]
    )


def _position(
    terminal: Emulator, first: int, texts: list[str], index: int
) -> tuple[Position, Position]:
    """Where the cell is that holds a character of the joined texts, and where the next begins."""
    for number, line in enumerate(texts, first):
        if index < len(line):
            begin, end = _cell(terminal.line(number), index)
            return Position(number, begin), Position(number, end)
        index -= len(line)
    raise AssertionError("a match is inside of its text")


def _cell(row: Row, index: int) -> tuple[int, int]:
    """The columns of the cell in which the character at `index` is."""
    column = character = 0
    for run in row:
        for cell in run.cells:
            if index < character + len(cell):
                return column, column + run.cell_columns
            character += len(cell)
            column += run.cell_columns
    blank = column + index - character
    return blank, blank + 1
