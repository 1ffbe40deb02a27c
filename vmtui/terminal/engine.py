"""The engine, avt: contained if it fails, and read as rows."""

from __future__ import annotations

import re
from functools import lru_cache

from avt._avt import Line, Vt

from vmtui.terminal.cells import Colour, Row, Run, Style
from vmtui.terminal.clusters import Clusters

MIN_COLUMNS = 2  # with one, avt panics at the first wide character
MAX_COLUMNS = 1000
MAX_ROWS = 1000

_ESCAPED = re.compile(r"\\(?:u\{([0-9a-f]+)\}|(.))")
_TO_PRIMARY, _TO_ALTERNATE = "\x1b[?1047l", "\x1b[?1047h"
_DUMPED_ALTERNATE = re.compile(r"(?:\x1b\[|\x9b)\?1047h")
_SGR = re.compile("(?:\x1b\\[|\x9b)[0-9;:]*m")
_NEUTRAL = "\x1b[m\x1b[4;20l\x1b[?6l\x1b[?7h\x1b[r\x1b(B\x1b)B\x0f"
_SWITCH = re.compile(r"(?=\x1bc|\x1b\[\?104[79][hl])")
_MAYBE_WIDE = re.compile(
    "([\u1100-\u115f\u2300-\u23ff\u2600-\u27ff\u2b00-\u2bff\u2e80-\ud7ff\uf900-\ufaff"
    "\ufe10-\ufe6f\uff00-\uffef\U00010000-\U0010ffff])"
)
_BLANKS = re.compile("( +)")


class Engine:
    """One avt, which keeps no scrollback; `checkpoint` is what `text` made of another."""

    def __init__(self, columns: int, rows: int, checkpoint: str = "") -> None:
        self._vt = Vt(columns, rows, 0)
        if checkpoint:
            self._vt.feed_str(checkpoint)
        self.columns = columns
        self.rows = rows
        self.damage: set[int] = set(range(rows))
        """Rows that have changed; the reader empties it."""

    def feed(self, text: str) -> list[Line]:
        """Take text; gives the lines that left at the top, which avt held until now."""
        try:
            changed, gone = self._vt.feed_str(text)
        except BaseException as error:
            self._begin_anew(error)
            return []
        self.damage.update(changed)
        return gone

    def replay(self, text: str) -> list[Line]:
        """As `feed` of all that the parts of `text` were fed as.

        avt gives lines away only while it is on the screen that they left, so a reset and a change
        of screens begin a part.
        """
        return [line for part in _SWITCH.split(text) for line in self.feed(part)]

    def resize(self, columns: int, rows: int, *, alternate: bool) -> list[Line]:
        """Take another size; gives the lines that left at the top.

        `alternate`: it is on the alternate screen.
        """
        self.columns, self.rows = columns, rows
        try:
            gone = self._resize_both() if alternate else self._resize()
        except BaseException as error:
            self._begin_anew(error)
            gone = []
        self.damage = set(range(rows))
        return gone

    def _resize(self) -> list[Line]:
        return self._vt.resize(self.columns, self.rows)[1]

    def _resize_both(self) -> list[Line]:
        """Cut or fill up the alternate screen, whose lines are not wrapped anew, and resize the
        other now: avt puts it off, and then a checkpoint isn't true."""
        state = Vt(*self._vt.size, 0)
        dump = self._vt.dump()
        state.feed_str(dump)
        cut = max(0, state.cursor.row - self.rows + 1)
        shown = [_cut(line, self.columns) for line in state.view()[cut : cut + self.rows]]
        state.feed_str(f"\x1b[m\x1b[2J{_SGR.findall(dump)[-1]}")
        state.resize(self.columns, self.rows)
        self._vt.feed_str(f"{_NEUTRAL}{_TO_PRIMARY}")
        gone = self._resize()
        self._vt.feed_str(_TO_ALTERNATE)
        for row, line in enumerate(shown, 1):
            self._vt.feed_str(f"\x1b[{row}H{line}")
        self._vt.feed_str("\x1b[m" + _DUMPED_ALTERNATE.split(state.dump(), maxsplit=1)[1])
        return gone

    def _begin_anew(self, error: BaseException) -> None:
        # Rust's panics come as a BaseException that can't be imported.
        if type(error).__name__ != "PanicException":
            raise error
        self._vt = Vt(self.columns, self.rows, 0)
        self.damage = set(range(self.rows))

    def checkpoint(self) -> str:
        """What makes a fresh engine of this size like this one."""
        return self._vt.dump()

    @property
    def cursor(self) -> tuple[int, int, bool]:
        """Row, column (equal to the number of columns when the next one wraps), visible."""
        cursor = self._vt.cursor
        return cursor.row, cursor.col, cursor.visible

    def line(self, row: int) -> Line:
        """A row of the screen."""
        return self._vt[row]


def is_wrapped(line: Line) -> bool:
    """Whether the next line continues it."""
    text = line.text
    # Only the way a line is shown tells; what ends in a blank is worth no look.
    return text[-1:] != " " and len(_shown_text(line)) > len(text)


def _shown(line: Line) -> str:
    """The line with SGR sequences before each run, as avt shows it, and ⏎ if it is wrapped."""
    shown = repr(line)[len('Line("') : -len('")')]
    if "\\\\" not in shown:
        shown = shown.replace("\\u{1b}", "\x1b")
    if "\\" in shown:
        shown = _ESCAPED.sub(lambda found: chr(int(found[1], 16)) if found[1] else found[2], shown)
    return shown


def _cut(line: Line, columns: int) -> str:
    """What prints its first columns."""
    printed: list[str] = []
    left = len(line.text)
    for chunk in _shown(line).split("\x1b[")[1:]:
        parameters, _, text = chunk.partition("m")
        text = text[:left]  # without the ⏎
        left -= len(text)
        printed.append(f"\x1b[{parameters}m")
        for character in text:
            columns -= width(character)
            if columns < 0:
                return "".join(printed)
            printed.append(character)
    return "".join(printed)


def _shown_text(line: Line) -> str:
    return "".join(chunk.partition("m")[2] for chunk in _shown(line).split("\x1b[")[1:])


def read(line: Line, clusters: Clusters) -> Row:
    """What is on a line."""
    # A cell at a time takes avt's bindings ten times as long.
    left = len(line.text)
    runs: list[Run] = []
    for chunk in _shown(line).split("\x1b[")[1:]:
        parameters, _, text = chunk.partition("m")
        text = text[:left]  # without the ⏎
        left -= len(text)
        runs += _runs(text, _style(parameters), clusters)
    if runs and runs[-1].style == Style():
        last = runs.pop()
        if text := last.text.rstrip(" "):
            runs.append(Run(text, last.style, last.cell_columns, last.cluster))
    return tuple(runs)


def _runs(text: str, style: Style, clusters: Clusters) -> list[Run]:
    """Neighbouring cells of one pen, by what they are."""
    if not (style.underline or style.inverse or style.strike):
        return _by_width(clusters.blanks(text), style, clusters)
    # avt erases with all of the pen, a terminal with the background only.
    erased = Style(background=style.background)
    runs: list[Run] = []
    for part in _BLANKS.split(text):
        if part.startswith(" "):
            runs.append(Run(part, erased))
        elif part:
            runs += _by_width(clusters.blanks(part), style, clusters)
    return runs


def _by_width(text: str, style: Style, clusters: Clusters) -> list[Run]:
    if text.isascii() or not _MAYBE_WIDE.search(text):
        return [Run(text, style)] if text else []
    runs: list[Run] = []
    for part in _MAYBE_WIDE.split(text):
        if not part:
            continue
        cell_columns = width(part) if len(part) == 1 else 1
        cell = clusters.text(part)
        cluster = len(part) == 1 and len(cell) > 1
        last = runs[-1] if runs else None
        if last and not cluster and not last.cluster and last.cell_columns == cell_columns:
            runs[-1] = Run(last.text + cell, style, cell_columns)
        else:
            runs.append(Run(cell, style, cell_columns, cluster))
    return runs


@lru_cache(maxsize=8192)
def width(character: str) -> int:
    """The columns that the engine gives a character."""
    vt = Vt(4, 1, 0)
    vt.feed_str(character)
    return vt.cursor.col


@lru_cache(maxsize=4096)
def _style(parameters: str) -> Style:
    """What avt's own SGR parameters say; they begin with a reset."""
    foreground: Colour = None
    background: Colour = None
    on = set()
    for parameter in parameters.split(";"):
        code, *parts = (int(part) for part in parameter.split(":"))
        if parts:
            colour = parts[1] if parts[0] == 5 else (parts[1], parts[2], parts[3])
        else:
            colour = code % 10 + (8 if code >= 90 else 0)
        if code // 10 in (3, 9):
            foreground = colour
        elif code // 10 in (4, 10):
            background = colour
        else:
            on.add(code)
    return Style(
        foreground,
        background,
        bold=1 in on,
        faint=2 in on,
        italic=3 in on,
        underline=4 in on,
        blink=5 in on,
        inverse=7 in on,
        strike=9 in on,
    )
