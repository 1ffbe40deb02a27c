"""The text of a log in a pane: wrapped, scrolled back, following its end."""

from __future__ import annotations

from rich.cells import chop_cells
from rich.segment import Segment

from vmtui.theming import Ink
from vmtui.units import plain
from vmtui.widgets.lines import Line


class LogPane:
    """One log at a time."""

    def __init__(self) -> None:
        self._text: list[str] | None = None
        self._note = ""
        self._wrapped: tuple[int, list[str]] | None = None
        self.back = 0
        """Lines scrolled back from the log's end; 0 follows it."""

    def forget(self) -> None:
        """Another log is to be read."""
        self._text, self._note, self._wrapped, self.back = None, "", None, 0

    def take(self, text: str, note: str = "") -> None:
        """The log's text, or a note on why there is none."""
        lines = plain(text, keep_lines=True).expandtabs().split("\n")
        while lines and not lines[-1].strip():
            lines.pop()
        if self.back and self._text is not None:
            self.back += max(0, len(lines) - len(self._text))  # stay where one reads
        self._text, self._note, self._wrapped = lines, note, None

    def scroll(self, lines: int) -> None:
        """Back (positive) or towards the end."""
        self.back = max(0, self.back + lines)

    def lines(self, ink: Ink, width: int, height: int) -> list[Line]:
        """The part that is looked at."""
        if self._text is None:
            return [[Segment("Reading …", ink.quiet)]]
        if not self._text:
            return [[Segment(self._note or "The log is empty.", ink.quiet)]]
        if self._wrapped is None or self._wrapped[0] != width:
            # An empty line has no pieces, and is a line all the same.
            pieces = [p for line in self._text for p in (chop_cells(line, width) or [""])]
            self._wrapped = (width, pieces)
        wrapped = self._wrapped[1]
        self.back = max(0, min(self.back, len(wrapped) - height))
        end = len(wrapped) - self.back
        return [[Segment(line, ink.text)] for line in wrapped[max(0, end - height) : end]]
