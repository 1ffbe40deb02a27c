"""What is printed, on its way to the engine: blanks, lines and marks that it would get wrong."""

from __future__ import annotations

import re

from vmtui.terminal.clusters import BLANK, Clusters, is_mark, split
from vmtui.terminal.engine import Engine, width
from vmtui.terminal.scrollback import Scrollback
from vmtui.terminal.shadow import Shadow

_SHIFT = re.compile("(?<=[\x0e\x0f])")


class Printer:
    """Gathers what the engine should do, until it is flushed."""

    def __init__(self, engine: Engine, scrollback: Scrollback) -> None:
        self.clusters = Clusters()
        self.shadow = Shadow()
        self.insert = False
        """What is printed pushes the rest of its line."""
        self.bells = 0
        self._engine = engine
        self._scrollback = scrollback
        self._pending: list[str] = []

    def print(self, text: str) -> None:
        """Print text, in which there may be ordinary sequences."""
        if "\x07" in text:
            self.bells += text.count("\x07")
        if "\x0e" in text or "\x0f" in text:
            for part in _SHIFT.split(text):
                self.shadow = self.shadow.after(part)
                self._print_part(part)
        else:
            self._print_part(text)

    def _print_part(self, text: str) -> None:
        if self.shadow.drawing:  # where the engine draws something else than xterm
            text = text.replace("`", "\u25c6").replace("~", "\xb7")
        self._pending.append(text.replace(" ", BLANK) if self.shadow.decorated else text)

    def send(self, sequence: str) -> None:
        """Let the engine do a sequence."""
        self._pending.append(sequence)

    def flush(self) -> None:
        """Let the engine do all that it was sent."""
        if self._pending:
            text = "".join(self._pending)
            self._pending.clear()
            self._scrollback.fed(self._engine, text)

    def weave(self, text: str) -> None:
        """Print characters some of which have no width."""
        # Where the engine prints something else than it is given, or elsewhere, it has to be looked
        # at what it has.
        at_once = self.shadow.wrap and not self.shadow.drawing
        printed: list[str] = []
        for cluster in split(text):
            marks = cluster if is_mark(cluster[0]) else "" if at_once else cluster[1:]
            if base := cluster[: len(cluster) - len(marks)]:
                printed.append(self.clusters.stand_in(base, wide=width(base[0]) == 2))
            if marks:
                self.print("".join(printed))
                printed.clear()
                self._join(marks)
        self.print("".join(printed))

    def _join(self, marks: str) -> None:
        """Put them on the character left of the cursor, which the engine has already."""
        self.flush()
        row, column, _ = self._engine.cursor
        line = self._engine.line(row)
        column -= 1
        while column > 0 and line[column].width == 0:
            column -= 1
        if column < 0:
            return
        cluster = self.clusters.text(line[column].char) + marks
        stand_in = self.clusters.stand_in(cluster, wide=line[column].width == 2)
        text = f"\x1b[{column + 1}G{stand_in}"
        self._pending.append(f"\x1b[4l{text}\x1b[4h" if self.insert else text)
