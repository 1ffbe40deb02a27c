"""A VM's hardware in a pane: a tree with a cursor, or in few lines what each part is."""

from __future__ import annotations

from rich.segment import Segment
from rich.style import Style

from vmtui.hardware.settings import SETTINGS, setting
from vmtui.hardware.tree import Hardware, Takes
from vmtui.theming import Ink
from vmtui.units import plain
from vmtui.widgets.hardware_rows import HardwareRow, part_name, rows, summary
from vmtui.widgets.lines import Line, fit, length, wrapped
from vmtui.widgets.sections import beside
from vmtui.widgets.states import PENDING

TAKES_CELLS = 12
LABEL_CELLS = (22, 30)
VALUE_MOST = 34
ASIDE_LEAST = 30
"""Cells that are left from which each setting is explained in its own row."""

KEYS = (("Enter", "edit"), ("+", "attach"), ("-", "detach"))

HELP_LINES = 2
"""Below the tree: what the setting under the cursor is for."""

SUMMARY_CELLS = 60
SUMMARY_LABEL = 20


class HardwarePane:
    """The hardware of one VM at a time."""

    def __init__(self) -> None:
        self._hardware: Hardware | None = None
        self._note = ""
        self._rows: list[HardwareRow] = []
        self._at = 0
        self._top = 0
        self._wanted = ""
        self._height = 1
        self._widths = _widths(80)
        self.changeable = True

    def forget(self) -> None:
        """Another VM's is to be read."""
        self._hardware, self._note, self._rows = None, "", []
        self._at = self._top = 0

    def take(self, hardware: Hardware | None, note: str = "") -> None:
        """The hardware, or a note on why there is none; the cursor stays on what it was on."""
        self._note = note
        wanted = self._wanted or (self._rows[self._at].id if self._rows else "")
        self._hardware = hardware
        self._rows = rows(hardware) if hardware else []
        places = self._places(wanted)
        self._at = places[0] if places else max(0, min(self._at, len(self._rows) - 1))
        if hardware is not None:
            self._wanted = ""

    @property
    def hardware(self) -> Hardware | None:
        """What is shown."""
        return self._hardware

    @property
    def current(self) -> HardwareRow | None:
        """The row under the cursor."""
        return self._rows[self._at] if self._rows else None

    @property
    def line(self) -> int:
        """The line of the pane on which the cursor is."""
        return 1 + self._at - self._top

    @property
    def label_cells(self) -> int:
        """Cells before the values."""
        return 2 + self._widths[0]

    def point_at(self, row_id: str) -> bool:
        """Put the cursor on a setting or a part, now or once it is known; False: it has none."""
        places = self._places(row_id)
        if places:
            self._at = places[0]
        elif not self._rows:
            self._wanted = row_id
        return bool(places) or not self._rows

    def _places(self, row_id: str) -> list[int]:
        """Where a row is; with a `*` the rows of all parts of that kind."""
        if "*" not in row_id:
            parts = [i for i, row in enumerate(self._rows) if row.id == f"{row_id}:"]
            return [i for i, row in enumerate(self._rows) if row.id == row_id] or parts
        known = next(one for one in SETTINGS if one.key == row_id)
        return [i for i, row in enumerate(self._rows) if row.entry and known.matches(row.id)]

    def point_at_part(self, number: int) -> None:
        """Put the cursor on the first setting of a part, counted from 1."""
        heads = [i for i, row in enumerate(self._rows) if row.entry is None]
        if 0 < number <= len(heads):
            head = heads[number - 1]
            more = head + 1 < len(self._rows) and self._rows[head + 1].entry is not None
            self._at = head + 1 if more else head
            self._top = head

    def move(self, lines: int) -> None:
        """Move the cursor."""
        self._at = max(0, min(len(self._rows) - 1, self._at + lines)) if self._rows else 0

    def move_to_line(self, line: int) -> bool:
        """Move the cursor to a line of the pane; False: there is no row."""
        at = self._top + line - 1
        if not (1 <= line <= self._height and 0 <= at < len(self._rows)):
            return False
        self._at = at
        return True

    def corner(self, ink: Ink, room: int, *, whole: bool) -> Line:
        """What waits for the next boot, and keys: as many as `room` cells hold."""
        count = len(self._hardware.pending) if self._hardware else 0
        line: Line = [Segment(f"{PENDING} {count} at next boot", ink.warn)] if count else []
        if not whole:
            return line or [Segment("Enter opens it", ink.quiet)]
        if not self.changeable:
            return [*line, Segment("  " if line else ""), Segment("read-only", ink.quiet)]
        for key, word in KEYS:
            gap = "  " if line else ""
            if length(line) + len(f"{gap}{key} {word}") > room:
                break
            line += [Segment(gap), Segment(key, ink.accent), Segment(f" {word}", ink.quiet)]
        return line

    # -- drawing -------------------------------------------------------------------------------

    def lines(self, ink: Ink, width: int, height: int) -> list[Line]:
        """The tree, with what is under the cursor explained below it."""
        if self._hardware is None:
            return [[Segment(self._note or "Reading …", ink.quiet)]]
        widths = self._widths = _widths(width)
        self._height = max(1, height - 1 - HELP_LINES)
        self._top = max(0, min(self._top, len(self._rows) - self._height))
        if self._at < self._top:
            self._top = self._at
        elif self._at >= self._top + self._height:
            self._top = self._at - self._height + 1
        if self._top == 1 and self._at == 1 and self._height > 1:
            self._top = 0
        shown = self._rows[self._top : self._top + self._height]
        lines = [self._header(ink, widths)]
        for place, row in enumerate(shown, self._top):
            lines.append(_row(row, ink, widths, width, here=place == self._at))
        lines += [[]] * (1 + self._height - len(lines))
        below = len(self._rows) - self._top - len(shown)
        return [*lines, *self._help(ink, width, below)][:height]

    def _header(self, ink: Ink, widths: tuple[int, int, int]) -> Line:
        assert self._hardware is not None
        label, now, then = widths
        active = self._hardware.active
        return [
            Segment("  " + fit("", label), ink.quiet),
            Segment(fit("now" if active else "now: it is off", now), ink.quiet),
            Segment(fit("next boot", then), ink.quiet),
            Segment("takes effect", ink.quiet),
        ]

    def _help(self, ink: Ink, width: int, below: int) -> list[Line]:
        row = self.current
        if row is None:
            return []
        text = _explained(row)
        more = f" {below} more ↓" if below else ""
        pieces = wrapped(text, max(10, width - len(more))) or [""]
        if len(pieces) > HELP_LINES:
            pieces[HELP_LINES - 1] = fit(pieces[HELP_LINES - 1] + " " + pieces[HELP_LINES],
                                         width - len(more))  # fmt: skip
        lines: list[Line] = [[Segment(piece, ink.quiet)] for piece in pieces[:HELP_LINES]]
        lines += [[]] * (HELP_LINES - len(lines))
        if more:
            gap = width - length(lines[-1]) - len(more)
            lines[-1] = [*lines[-1], Segment(" " * max(0, gap)), Segment(more, ink.accent)]
        return lines

    def short_lines(self, ink: Ink, width: int, height: int) -> list[Line]:
        """A line for each part, in as many columns as there is room for."""
        if self._hardware is None:
            return [[Segment(self._note or "Reading …", ink.quiet)]]
        gap = 3
        parts = self._hardware.parts
        fitting = max(1, (width + gap) // (SUMMARY_CELLS + gap))
        columns = min(fitting, max(1, -(-len(parts) // max(1, height))))
        cells = (width - gap * (columns - 1)) // columns
        listed = [_summary_line(self._hardware, i, ink, cells) for i in range(len(parts))]
        room = height * columns
        if len(listed) > room:
            hidden = len(listed) - room + 1
            listed = [*listed[: room - 1], [Segment(f"… {hidden} more: Enter", ink.quiet)]]
        each = min(height, -(-len(listed) // columns))
        blocks = [(listed[at : at + each], cells) for at in range(0, columns * each, each or 1)]
        return beside(blocks, each, gap)


def _explained(row: HardwareRow) -> str:
    if row.entry is None:
        notes = [plain(note) for note in row.part.notes]
        why = row.part.detach_why if row.part.detach is not Takes.NEVER else ""
        return " · ".join([*notes, *([f"Detach: {plain(why)}"] if why else [])])
    known = setting(row.entry.key)
    takes = "Not now" if row.entry.takes is Takes.NEVER else row.takes.capitalize()
    why = f" {takes}: {plain(row.entry.why)}." if row.entry.why else ""
    return f"{row.entry.key}: {known.help}{why}"


def _widths(width: int) -> tuple[int, int, int]:
    """Cells for label, now and next boot."""
    label = max(LABEL_CELLS[0], min(LABEL_CELLS[1], width // 4))
    rest = max(20, width - 2 - label - TAKES_CELLS)
    now = min(VALUE_MOST, rest * 11 // 20)
    return label, now, min(VALUE_MOST, rest - now)


def _row(
    row: HardwareRow, ink: Ink, widths: tuple[int, int, int], width: int, *, here: bool
) -> Line:
    label, now, then = widths
    mark = Segment("▸ " if here else "  ", ink.accent)
    if row.entry is None:
        room = label + now
        text = fit(row.label, room if not row.now else label)
        line: Line = [mark, Segment(text, ink.accent)]
        if row.now:
            line.append(Segment(fit(row.now, now), ink.warn))
    else:
        value = ink.strong if here else ink.text
        quiet = row.now in ("", "–", "off")
        line = [
            mark,
            Segment(fit(f"  {row.label}", label - 1) + " ", value if here else ink.quiet),
        ]
        if not row.then:  # room for a long one
            now, then = now + then, 0
        line.append(
            Segment(fit(row.now, now - 1) + " ", ink.quiet if quiet and not here else value)
        )
    if then:
        text = f"{PENDING} {row.then}" if row.pending else row.then
        line.append(Segment(fit(text, then - 1) + " ", _then_style(row, ink)))
    line.append(Segment(fit(row.takes, TAKES_CELLS), ink.quiet))
    left = width - length(line) - 2
    if left >= ASIDE_LEAST and row.entry is not None:
        line.append(Segment("  " + fit(setting(row.entry.key).help, left), ink.quiet))
    if not here:
        return line
    line.append(Segment(" " * (width - length(line))))
    if ink.cursor.reverse:
        return [Segment(segment.text, ink.cursor) for segment in line]
    return [*Segment.apply_style(line, ink.cursor)]


def _then_style(row: HardwareRow, ink: Ink) -> Style:
    if row.pending:
        return ink.warn
    return ink.quiet if row.then in ("–", "off") else ink.text


def _summary_line(hardware: Hardware, index: int, ink: Ink, width: int) -> Line:
    part = hardware.parts[index]
    pieces = summary(part, active=hardware.active)
    pending = any(is_pending for _, is_pending in pieces)
    line: Line = [
        Segment(f"{PENDING} " if pending else "  ", ink.warn),
        Segment(fit(part_name(part).split(" · ")[0], SUMMARY_LABEL - 1) + " ", ink.quiet),
    ]
    room = width - length(line)
    for place, (text, waits) in enumerate(pieces):
        dot = " · " if place else ""
        if room <= len(dot) + 1:
            break
        cut = fit(dot + text, min(room, len(dot) + len(text)))
        line.append(Segment(cut, ink.warn if waits else ink.text))
        room -= len(cut)
    return line
