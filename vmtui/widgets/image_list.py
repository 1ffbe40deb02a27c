"""The images that fit what is typed: here or to be pulled, one under the cursor."""

from __future__ import annotations

from collections.abc import Sequence

from rich.segment import Segment
from textual import events
from textual.message import Message

from vmtui.shelf import Offer
from vmtui.units import plain, size
from vmtui.widgets.lines import Line, Lines, fit, length

ROWS = 6
NAME, HERE, SIZE = 22, 8, 10


class ImageList(Lines):
    """A few rows below the image's field, which keeps the focus."""

    DEFAULT_CSS = """
    ImageList { height: auto; max-height: 6; margin-left: 12; }
    """

    class Chosen(Message):
        """A row was clicked."""

        def __init__(self, offer: Offer) -> None:
            super().__init__()
            self.offer = offer

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._offers: list[Offer] = []
        self._at: int | None = None
        self._looking = False

    def show(self, offers: Sequence[Offer], *, choose: bool) -> None:
        """Other rows; the cursor on the first if `choose`, else on none."""
        self._looking = False
        self._offers = list(offers)
        self._at = 0 if offers and choose else None
        self._take_rows(min(ROWS, len(self._offers)))

    def look(self) -> None:
        """Say that images are looked for, in as many rows as these take: what is below stays."""
        self._looking = True
        self._take_rows(ROWS)

    def _take_rows(self, rows: int) -> None:
        self.styles.height = rows
        self.display = rows > 0
        self.redraw()

    @property
    def chosen(self) -> Offer | None:
        """The one under the cursor."""
        return None if self._at is None else self._offers[self._at]

    def step(self, step: int) -> bool:
        """Move the cursor; False where there is nothing in that direction."""
        at = (-1 if self._at is None else self._at) + step
        if not self.display or at >= len(self._offers) or at < -1:
            return False
        self._at = None if at < 0 else at
        self.redraw()
        return True

    @property
    def _top(self) -> int:
        return max(0, min((self._at or 0) - ROWS + 2, len(self._offers) - ROWS))

    def paint(self) -> Sequence[Line]:
        """Name, whether it is here, size, title."""
        if self._looking:
            return [[Segment("  Looking …", self.ink.quiet)]]
        return [
            self._line(offer, self._top + place == self._at)
            for place, offer in enumerate(self._offers[self._top : self._top + ROWS])
        ]

    def _line(self, offer: Offer, here: bool) -> Line:
        ink = self.ink
        extent = "" if offer.size_bytes is None else size(offer.size_bytes)
        line = [
            Segment("▸ " if here else "  ", ink.accent),
            Segment(fit(plain(offer.name), NAME), ink.strong if here else ink.text),
            Segment(fit("● here" if offer.here else "○ pull", HERE), ink.good if offer.here
                    else ink.quiet),
            Segment(fit(extent, SIZE, right=True), ink.quiet),
            Segment("  "),
        ]  # fmt: skip
        room = self.size.width - length(line)
        return [*line, Segment(fit(plain(offer.title), room), ink.quiet)]

    def on_click(self, event: events.Click) -> None:
        """Choose it."""
        place = self._top + event.y
        if place < len(self._offers):
            self.post_message(self.Chosen(self._offers[place]))
