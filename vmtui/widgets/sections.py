"""What a pane says of one resource, and how that is laid out in a given room.

Content names its inks instead of styles, so that the same content is drawn in colour, or grey when
it is old.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from rich.cells import cell_len
from rich.segment import Segment

from vmtui.counters import Measure
from vmtui.figures import Unit
from vmtui.theming import Ink
from vmtui.units import plain
from vmtui.widgets.graph import meter, tiny_bars
from vmtui.widgets.lines import Line, length, wrapped

GAP = 2
BAR_LEAST, BAR_LIMIT = 6, 16
MANY_BARS = 8
"""More than these below each other show their first figure only, where that makes two columns."""

FLOWING_LINES = 3
"""In so few lines, more pairs are worth more than their order."""

NONE = "–"
"""There is no value now."""

NOT_TOLD = "n/a"
"""There never is one here."""

Pieces = tuple[tuple[str, str], ...]
"""Texts with the names of their inks."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A label and its value."""

    label: str
    value: str
    ink: str = "text"


@dataclass(frozen=True, slots=True)
class Plot:
    """A graph of the sum of some figures; without `top` its scale follows the values."""

    label: str
    figures: tuple[str, ...]
    ink: str
    unit: Unit
    top: float | None = None
    minor: bool = False  # takes no more lines than it needs


@dataclass(frozen=True, slots=True)
class Bar:
    """One of several of a kind, such as a vCPU, as a bar with its figures."""

    label: str
    fraction: float | None
    text: Pieces


@dataclass(frozen=True, slots=True)
class Part:
    """One of several devices: its pairs, or a note on why there are none."""

    name: str
    pairs: tuple[Pair, ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """One resource. `summary` is the one graph where there is room for no more; pairs: the most
    telling first.
    """

    title: str
    head: tuple[Pieces, ...]  # phrases: one that has no room is left out, with all after it
    summary: Plot
    plots: tuple[Plot, ...] = ()  # where there is room; none: the summary
    pairs: tuple[Pair, ...] = ()
    strip: tuple[float | None, ...] = ()  # many of a kind, as tiny bars
    bars: tuple[Bar, ...] = ()
    parts: tuple[Part, ...] = ()
    notes: tuple[str, ...] = ()


def absences(missing: Mapping[Measure, str], measures: Iterable[Measure]) -> tuple[str, ...]:
    """What of `measures` is n/a, with one note for each reason."""
    by_reason: dict[str, list[str]] = {}
    for measure in measures:
        if measure in missing:
            by_reason.setdefault(missing[measure], []).append(measure.value.replace("-", " "))
    return tuple(f"{NOT_TOLD}: {', '.join(what)}: {plain(why)}" for why, what in by_reason.items())


def inked(pieces: Pieces, ink: Ink) -> Line:
    """The pieces as segments."""
    return [Segment(text, getattr(ink, name)) for text, name in pieces]


def head_line(section: Section, ink: Ink, width: int) -> Line:
    """Title and most telling values."""
    line: Line = [Segment(section.title, ink.accent)]
    room = width - cell_len(section.title)
    for phrase in section.head:
        room -= GAP + sum(cell_len(text) for text, _ in phrase)
        if room < 0:
            break
        line += [Segment(" " * GAP), *inked(phrase, ink)]
    return line


def padded(line: Line, width: int) -> Line:
    """At least `width` cells."""
    missing = width - length(line)
    return [*line, Segment(" " * missing)] if missing > 0 else line


def beside(blocks: Sequence[tuple[Sequence[Line], int]], height: int, gap: int) -> list[Line]:
    """Blocks of lines side by side, each with its width."""
    lines: list[Line] = []
    for y in range(height):
        line: Line = []
        for block, width in blocks:
            line += padded(list(block[y]) if y < len(block) else [], width + gap)
        lines.append(line)
    return lines


# -- pairs -----------------------------------------------------------------------------------------


def aligned(pairs: Sequence[Pair], ink: Ink, width: int) -> list[Line]:
    """Pairs in as many columns as they fit in whole, labels and values below each other."""
    if not pairs:
        return []
    label = max(cell_len(pair.label) for pair in pairs) + 1
    cell = label + max(cell_len(pair.value) for pair in pairs)
    columns = max(1, min(len(pairs), (width + GAP) // (cell + GAP)))
    if cell > width:
        return flowing(pairs, ink, width)
    rows = -(-len(pairs) // columns)
    columns = -(-len(pairs) // rows)
    step = (width + GAP) // columns
    lines: list[Line] = []
    for row in range(rows):
        line: Line = []
        for column, pair in enumerate(pairs[row::rows]):
            line = padded(line, column * step)
            line += [
                Segment(pair.label + " " * (label - cell_len(pair.label)), ink.quiet),
                Segment(pair.value, getattr(ink, pair.ink)),
            ]
        lines.append(line)
    return lines


def flowing(pairs: Sequence[Pair], ink: Ink, width: int) -> list[Line]:
    """Pairs one after another, which takes the least room; none is broken."""
    lines: list[Line] = []
    room = 0
    for pair in pairs:
        cells = cell_len(pair.label) + 1 + cell_len(pair.value)
        if cells > width:
            continue
        if cells + GAP > room:
            lines.append([])
            room = width + GAP
        else:
            lines[-1].append(Segment(" " * GAP))
        lines[-1] += [
            Segment(f"{pair.label} ", ink.quiet),
            Segment(pair.value, getattr(ink, pair.ink)),
        ]
        room -= cells + GAP
    return lines


# -- the rest of a section -------------------------------------------------------------------------


def bar_lines(bars: Sequence[Bar], ink: Ink, width: int) -> list[Line]:
    """Bars in columns of equal width."""
    if not bars:
        return []
    label = max(cell_len(bar.label) for bar in bars) + 1
    text, columns = _bar_columns(bars, label, width)
    if columns == 1 and len(bars) > MANY_BARS:
        bars = [replace(bar, text=bar.text[:1]) for bar in bars]
        text, columns = _bar_columns(bars, label, width)
    rows = -(-len(bars) // columns)
    columns = -(-len(bars) // rows)
    step = (width + GAP) // columns
    cells = max(0, min(BAR_LIMIT, step - GAP - label - text))
    lines: list[Line] = []
    for row in range(rows):
        line: Line = []
        for column, bar in enumerate(bars[row::rows]):
            line = padded(line, column * step)
            figures = inked(bar.text, ink)
            line += [
                Segment(bar.label.rjust(label - 1) + " ", ink.quiet),
                *meter(bar.fraction, cells, ink, "cpu"),
                Segment(" " * (text - length(figures))),
                *figures,
            ]
        lines.append(line)
    return lines


def _bar_columns(bars: Sequence[Bar], label: int, width: int) -> tuple[int, int]:
    """The cells of the texts, and in how many columns the bars fit."""
    text = max(sum(cell_len(t) for t, _ in bar.text) for bar in bars) + 1
    return text, max(1, min(len(bars), (width + GAP) // (label + text + BAR_LEAST + GAP)))


def strip_lines(fractions: Sequence[float | None], ink: Ink, width: int) -> list[Line]:
    """Tiny bars, as many lines as they take."""
    bars = tiny_bars(fractions)
    return [[Segment(bars[at : at + width], ink.cpu)] for at in range(0, len(bars), width)]


def part_lines(part: Part, ink: Ink, width: int) -> list[Line]:
    """A device's name, and below it its pairs or the note."""
    lines: list[Line] = [[Segment(part.name, ink.strong)]] if part.name else []
    if part.note:
        return lines + [[Segment(text, ink.quiet)] for text in wrapped(part.note, width)]
    return lines + aligned(part.pairs, ink, width)


def note_lines(notes: Sequence[str], ink: Ink, width: int) -> list[Line]:
    """Notes, wrapped."""
    return [[Segment(text, ink.quiet)] for note in notes for text in wrapped(note, width)]


def all_lines(section: Section, ink: Ink, width: int) -> list[Line]:
    """Everything below head and graphs."""
    lines = [
        *aligned(section.pairs, ink, width),
        *strip_lines(section.strip, ink, width),
        *bar_lines(section.bars, ink, width),
    ]
    for part in section.parts:
        lines += part_lines(part, ink, width)
    return lines + note_lines(section.notes, ink, width)


def some_lines(section: Section, ink: Ink, width: int, height: int) -> list[Line]:
    """As much of it as fits in `height` lines: every kind has its share, no line is broken."""
    whole = all_lines(section, ink, width)
    if len(whole) <= height:
        return whole
    if height <= FLOWING_LINES:
        return _packed(section, ink, width, height)
    others = [*strip_lines(section.strip, ink, width), *bar_lines(section.bars, ink, width)]
    others = others or [line for part in section.parts for line in part_lines(part, ink, width)]
    pairs = aligned(section.pairs, ink, width)
    room = height - min(len(others), height // 2)
    if len(pairs) > room:
        pairs = aligned(section.pairs[:room], ink, width)
    room = height - len(pairs)
    if len(others) <= room:
        return [*pairs, *others]
    more: Line = [Segment(f"… {len(others) - room + 1} more lines", ink.quiet)]
    return [*pairs, *others[: room - 1], more]


def _packed(section: Section, ink: Ink, width: int, height: int) -> list[Line]:
    """The pairs alone, those of devices where there are none of all; then the tiny bars."""
    each = [] if section.pairs else [pair for part in section.parts for pair in part.pairs]
    strip = strip_lines(section.strip, ink, width)[: max(0, height - 1)]
    notes = [part.note for part in section.parts if part.note]
    lines = [*flowing([*section.pairs, *each], ink, width), *note_lines(notes, ink, width)]
    return [*lines[: height - len(strip)], *strip]
