"""Rows of a few columns, the last of which is wrapped: help and reports, as one light widget."""

from __future__ import annotations

from collections.abc import Sequence

from rich.segment import Segment
from textual.geometry import Size

from vmtui.widgets.lines import Line, Lines, fit, wrapped

Row = tuple[tuple[str, str], ...]
"""Texts, each with the name of its ink. A row of a single text is a heading."""


class Listing(Lines):
    """All rows in one widget: dozens of widgets, or a table of Rich, hold up the loop."""

    DEFAULT_CSS = """
    Listing { height: auto; }
    """

    def __init__(
        self,
        rows: Sequence[Row],
        widths: Sequence[int],
        *,
        id: str | None = None,  # noqa: A002
    ) -> None:
        super().__init__(id=id)
        self._rows = list(rows)
        self._widths = list(widths)  # of all columns but the last

    def show(self, rows: Sequence[Row]) -> None:
        """Other rows."""
        self._rows = list(rows)
        self.refresh(layout=True)
        self.redraw()

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:  # noqa: ARG002
        """As many lines as there are after wrapping."""
        return len(self._lines(width))

    def paint(self) -> Sequence[Line]:
        """The rows."""
        return self._lines(self.size.width)

    def _lines(self, width: int) -> list[Line]:
        lines: list[Line] = []
        for row in self._rows:
            *cells, (text, ink) = row
            widths = self._widths if cells else ()
            head = [
                Segment(fit(cell, cells_width), getattr(self.ink, cell_ink))
                for (cell, cell_ink), cells_width in zip(cells, widths, strict=True)
            ]
            for piece in wrapped(text, max(10, width - sum(widths))) or [""]:
                lines.append([*head, Segment(piece, getattr(self.ink, ink))])
                head = [Segment(" " * sum(widths))]
        return lines
