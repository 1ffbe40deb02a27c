"""The terminal emulator: avt behind one small class, with the answers and modes that it lacks."""

from __future__ import annotations

import codecs

from vmtui.terminal.cells import Cursor, Modes, Row
from vmtui.terminal.engine import MAX_COLUMNS, MAX_ROWS, MIN_COLUMNS, Engine, is_wrapped, read
from vmtui.terminal.interpreter import Interpreter
from vmtui.terminal.palette import Palette
from vmtui.terminal.scrollback import Resize, Scrollback

SCROLLBACK_LINES = 10_000


class Emulator:
    """One terminal of `columns` x `rows`.

    Its lines are numbered from the first that was ever there: those before `scrolled_off` have left
    the screen, those before `first_line` are forgotten.
    """

    def __init__(
        self, columns: int = 80, rows: int = 24, *, scrollback_lines: int = SCROLLBACK_LINES
    ) -> None:
        columns, rows = _possible(columns, rows)
        self._engine = Engine(columns, rows)
        self._scrollback = Scrollback(self._engine, scrollback_lines)
        self._interpreter = Interpreter(self._engine, self._scrollback)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rows: dict[int, Row] = {}

    def feed(self, data: bytes, *, live: bool = True) -> bytes:
        """Take what the guest printed; gives what a terminal answers to it.

        `live` is False for what was printed earlier: its questions are not answered, and it
        neither rings nor copies.
        """
        bells, copied = self.bells, self._interpreter.messages.clipboard
        answers = self._interpreter.take(self._decoder.decode(data))
        if not live:
            self._interpreter.printer.bells = bells
            self._interpreter.messages.clipboard = copied
        for row in self._engine.damage:
            self._rows.pop(row, None)
        return answers if live else b""

    def resize(self, columns: int, rows: int) -> None:
        """Take another size; lines are wrapped anew."""
        columns, rows = _possible(columns, rows)
        if (columns, rows) != (self.columns, self.rows):
            self._scrollback.resized(
                self._engine, Resize(columns, rows, self.modes.alternate_screen)
            )
            self._interpreter.resized()
            self._rows.clear()

    @property
    def columns(self) -> int:
        """How wide it is."""
        return self._engine.columns

    @property
    def rows(self) -> int:
        """How high it is."""
        return self._engine.rows

    @property
    def modes(self) -> Modes:
        """What the guest has switched on."""
        return self._interpreter.switches.modes

    @property
    def title(self) -> str:
        """What the guest calls its window; untrusted, without control characters."""
        return self._interpreter.messages.title

    @property
    def bells(self) -> int:
        """How often it has rung."""
        return self._interpreter.printer.bells

    @property
    def palette(self) -> Palette:
        """What guests are told of the colours."""
        return self._interpreter.messages.palette

    @palette.setter
    def palette(self, palette: Palette) -> None:
        self._interpreter.messages.palette = palette

    @property
    def allow_clipboard(self) -> bool:
        """Whether what the guest copies (OSC 52) is taken."""
        return self._interpreter.messages.allow_clipboard

    @allow_clipboard.setter
    def allow_clipboard(self, allow: bool) -> None:
        self._interpreter.messages.allow_clipboard = allow

    def take_clipboard(self) -> str:
        """What the guest has copied since the last call; untrusted."""
        messages = self._interpreter.messages
        copied, messages.clipboard = messages.clipboard, ""
        return copied

    @property
    def cursor(self) -> Cursor:
        """Where it is."""
        row, column, visible = self._engine.cursor
        return Cursor(
            row,
            min(column, self.columns - 1),
            visible,
            self._interpreter.shape,
            self._interpreter.switches.blinking,
        )

    def row(self, index: int) -> Row:
        """A row of the screen, from 0 at the top."""
        if index not in self._rows:
            self._rows[index] = read(self._engine.line(index), self._interpreter.printer.clusters)
        return self._rows[index]

    def take_damage(self) -> frozenset[int]:
        """The rows that have changed since the last call."""
        damage, self._engine.damage = frozenset(self._engine.damage), set()
        return damage

    @property
    def scrollback_count(self) -> int:
        """Lines that have left the screen at the top and are kept."""
        return self._scrollback.count

    @property
    def scrolled_off(self) -> int:
        """Lines that have ever left the screen at the top: what keeps a scrolled view in place."""
        return self._scrollback.scrolled_off

    @property
    def first_line(self) -> int:
        """The number of the oldest line that is kept."""
        return self.scrolled_off - self.scrollback_count

    @property
    def end_line(self) -> int:
        """The number after that of the last line on the screen."""
        return self.scrolled_off + self.rows

    def line(self, number: int) -> Row:
        """A line by its number; () if it is not kept."""
        if number >= self.scrolled_off:
            row = number - self.scrolled_off
            return self.row(row) if row < self.rows else ()
        if number < self.first_line:
            return ()
        return read(self._scrollback.line(number), self._interpreter.printer.clusters)

    def line_text(self, number: int) -> str:
        """Only the text of a line, as wide as the screen; "" if it is not kept."""
        if number >= self.scrolled_off:
            row = number - self.scrolled_off
            text = self._engine.line(row).text if row < self.rows else ""
        else:
            text = self._scrollback.line(number).text if number >= self.first_line else ""
        return self._interpreter.printer.clusters.text(text)

    def is_wrapped(self, number: int) -> bool:
        """Whether the next line continues this one."""
        if number >= self.scrolled_off:
            row = number - self.scrolled_off
            return row < self.rows and is_wrapped(self._engine.line(row))
        return number >= self.first_line and is_wrapped(self._scrollback.line(number))

    def forget_drawn(self) -> None:
        """Give back the memory that looking at the scrollback took."""
        self._scrollback.forget_drawn()


def _possible(columns: int, rows: int) -> tuple[int, int]:
    return min(max(columns, MIN_COLUMNS), MAX_COLUMNS), min(max(rows, 1), MAX_ROWS)
