"""The table of deleted VMs that can still be brought back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.segment import Segment
from textual import events

from vmtui.backends.abilities import Trashed
from vmtui.units import duration, plain, size
from vmtui.widgets.clock import Clock
from vmtui.widgets.lines import Line, Panel, fit, key_words

LEAST_LINES = 8
SIZE_CELLS, AGO_CELLS, LEFT_CELLS = 11, 18, 13
ON_LEAST, ON_MOST = 10, 24


@dataclass(frozen=True, slots=True)
class InTrash:
    """A deleted VM of a connection."""

    uri: str
    label: str
    trashed: Trashed


class TrashTable(Panel, can_focus=True):
    """A row each, the last deleted first."""

    focused_border = True

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock
        self._rows: Sequence[InTrash] | None = None
        self._at = 0
        self._changeable = True

    def show(self, rows: Sequence[InTrash], *, changeable: bool) -> None:
        """Other rows; `changeable`: something can be done to one of them."""
        self._rows, self._changeable = rows, changeable
        self._at = max(0, min(self._at, len(rows) - 1))
        self.styles.height = max(LEAST_LINES, len(rows) + 3)
        self.redraw()

    @property
    def chosen(self) -> InTrash | None:
        """The one under the cursor."""
        return self._rows[self._at] if self._rows else None

    def move(self, step: int) -> None:
        """Move the cursor."""
        if self._rows:
            self._at = max(0, min(len(self._rows) - 1, self._at + step))
            self.redraw()

    def title(self) -> Line:
        """What it is, and how much."""
        count = len(self._rows or ())
        total = sum(row.trashed.size_bytes or 0 for row in self._rows or ())
        what = f" · {count} VM{'s' * (count != 1)} · {size(total)}" if count else ""
        return [Segment("Trash", self.ink.accent), Segment(what, self.ink.quiet)]

    def corner(self) -> Line:
        """The keys."""
        can = self._changeable
        return key_words((("r", "restore", can), ("x", "purge", can), ("Esc", "", True)), self.ink)

    def body(self, width: int, height: int) -> Sequence[Line]:
        """Header and rows."""
        ink = self.ink
        if not self._rows:
            text = "Looking …" if self._rows is None else "The trash is empty."
            return [[Segment(text, ink.quiet)]]
        on = min(ON_MOST, max(ON_LEAST, *(cell_len(plain(row.label)) for row in self._rows)))
        name = max(18, width - 2 - SIZE_CELLS - AGO_CELLS - LEFT_CELLS - on)
        header = fit("  NAME", name + 2) + fit("SIZE", SIZE_CELLS, right=True)
        header += fit("  DELETED", AGO_CELLS) + fit("GONE IN", LEFT_CELLS) + "CONNECTION"
        lines: list[Line] = [[Segment(header, ink.quiet)]]
        room = max(1, height - 1)
        top = max(0, min(self._at - room // 2, len(self._rows) - room))
        now_s = self._clock.unix_s()
        for place, row in enumerate(self._rows[top : top + room], top):
            here = place == self._at
            trashed = row.trashed
            ago = f"  {duration(now_s - trashed.deleted_at_s)}"
            lines.append(
                [
                    Segment("▸ " if here else "  ", ink.accent),
                    Segment(fit(plain(trashed.name), name), ink.strong if here else ink.text),
                    Segment(fit(size(trashed.size_bytes), SIZE_CELLS, right=True), ink.text),
                    Segment(fit(f"{ago} ago", AGO_CELLS), ink.quiet),
                    Segment(fit(duration(trashed.gone_at_s - now_s), LEFT_CELLS), ink.quiet),
                    Segment(fit(plain(row.label), on), ink.quiet),
                ]
            )
        return lines

    def on_click(self, event: events.Click) -> None:
        """Move the cursor there."""
        room = max(1, self.size.height - 3)
        top = max(0, min(self._at - room // 2, len(self._rows or ()) - room))
        if self._rows and 2 <= event.y < 2 + min(room, len(self._rows)):
            self._at = top + event.y - 2
            self.redraw()
