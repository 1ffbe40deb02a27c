"""Copy mode: a cursor that walks over a terminal's lines and selects, by vim's and tmux' keys."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto

from vmtui.widgets.terminal_lines import Selection, Spot, TerminalLines

KEYS = "h j k l w b 0 $ g G move · v V select · y copies · / ? n N search · q leaves"


class Outcome(Enum):
    """What a key of copy mode comes to."""

    MOVED = auto()
    COPIED = auto()  # take the selection, and leave
    LEFT = auto()
    SEARCH = auto()
    SEARCH_BACK = auto()
    NEXT = auto()
    PREVIOUS = auto()


_OUTCOMES = {
    "y": Outcome.COPIED,
    "enter": Outcome.COPIED,
    "q": Outcome.LEFT,
    "escape": Outcome.LEFT,
    "ctrl+c": Outcome.LEFT,
    "slash": Outcome.SEARCH,
    "question_mark": Outcome.SEARCH_BACK,
    "n": Outcome.NEXT,
    "N": Outcome.PREVIOUS,
}


class CopyMode:
    """Where its cursor is, and what is selected."""

    def __init__(self, lines: TerminalLines, spot: Spot, page: int) -> None:
        self._lines = lines
        self._page = page  # lines that are seen at once
        self.spot = spot
        self._anchor: Spot | None = None
        self._whole = False
        self._moves: dict[str, Callable[[], None]] = {
            **dict.fromkeys(("h", "left"), lambda: self._to_column(self.spot[1] - 1)),
            **dict.fromkeys(("l", "right"), lambda: self._to_column(self.spot[1] + 1)),
            **dict.fromkeys(("j", "down"), lambda: self._by(1)),
            **dict.fromkeys(("k", "up"), lambda: self._by(-1)),
            **dict.fromkeys(("ctrl+d",), lambda: self._by(self._page // 2)),
            **dict.fromkeys(("ctrl+u",), lambda: self._by(-self._page // 2)),
            **dict.fromkeys(("ctrl+f", "pagedown"), lambda: self._by(self._page)),
            **dict.fromkeys(("ctrl+b", "pageup"), lambda: self._by(-self._page)),
            "g": lambda: self._by(-self._lines.end),
            "G": lambda: self._by(self._lines.end),
            **dict.fromkeys(("0", "home"), lambda: self._to_column(0)),
            "circumflex_accent": self._to_text,
            **dict.fromkeys(("dollar_sign", "end"), lambda: self._to_column(self._width() - 1)),
            "w": self._to_next_word,
            "b": self._to_word_before,
            "v": self._select,
            "space": self._select,
            "V": lambda: self._select(whole=True),
        }

    @property
    def selection(self) -> Selection | None:
        """What is selected."""
        return Selection(self._anchor, self.spot, self._whole) if self._anchor else None

    def take(self, key: str) -> Outcome | None:
        """Do what a key means; None where it means nothing."""
        if key in self._moves:
            self._moves[key]()
            return Outcome.MOVED
        return _OUTCOMES.get(key)

    def go(self, spot: Spot) -> None:
        """To a match of a search."""
        self.spot = spot

    def _select(self, *, whole: bool = False) -> None:
        if self._anchor and whole == self._whole:
            self._anchor = None
        else:
            self._anchor, self._whole = self._anchor or self.spot, whole

    def _by(self, lines: int) -> None:
        line, column = self.spot
        self.spot = (min(max(line + lines, self._lines.first), self._lines.end - 1), column)

    def _to_column(self, column: int) -> None:
        last = self._lines.terminal.columns - 1
        self.spot = (self.spot[0], min(max(column, 0), last))

    def _width(self) -> int:
        """Columns of the line up to its last character."""
        cells = self._lines.cells(self.spot[0])
        while cells and not cells[-1].strip():
            cells.pop()
        return max(1, len(cells))

    def _to_text(self) -> None:
        cells = self._lines.cells(self.spot[0])
        self._to_column(next((at for at, cell in enumerate(cells) if cell.strip()), 0))

    def _starts(self, line: int) -> list[int]:
        """Where words begin in a line."""
        cells = ["", *self._lines.cells(line)]
        return [
            at - 1
            for at in range(1, len(cells))
            if cells[at].strip() and not cells[at - 1].strip() and (at == 1 or cells[at - 1])
        ]

    def _to_next_word(self) -> None:
        line, column = self.spot
        for at in range(line, self._lines.end):
            starts = [start for start in self._starts(at) if at > line or start > column]
            if starts:
                self.spot = (at, starts[0])
                return

    def _to_word_before(self) -> None:
        line, column = self.spot
        for at in range(line, self._lines.first - 1, -1):
            starts = [start for start in self._starts(at) if at < line or start < column]
            if starts:
                self.spot = (at, starts[-1])
                return
