"""The lines that have left the screen: kept as what was printed, drawn again when looked at.

Lines as the engine has them take twenty bytes a cell. What made them takes one a character, and
keeping it costs a flood nothing: a segment is a stretch of output with the state of the engine at
its beginning, and an engine that is given both scrolls the same lines off again.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict, deque
from dataclasses import dataclass

from avt._avt import Line

from vmtui.terminal.engine import Engine

SLICE_CHARACTERS = 4096
"""Fed at once: so many lines may leave the screen before the engine lets go of them."""

SEGMENT_CHARACTERS = 1 << 16
SEGMENT_LINES = 1000
MAX_BYTES = 4 * 1024 * 1024
SEGMENTS_DRAWN = 3


@dataclass(frozen=True, slots=True)
class Resize:
    """Another size, taken on one of the screens."""

    columns: int
    rows: int
    alternate: bool

    def __call__(self, engine: Engine) -> list[Line]:
        """Let the engine take it; gives the lines that left its screen."""
        return engine.resize(self.columns, self.rows, alternate=self.alternate)


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of output, and the lines that left the screen meanwhile."""

    columns: int
    rows: int
    checkpoint: bytes
    output: bytes
    resize: Resize | None
    """What it ended with, if it ended so."""
    first: int
    """The number of its first line, of all that ever scrolled off."""
    count: int

    def lines(self) -> list[Line]:
        """Those lines."""
        engine = Engine(self.columns, self.rows, self.checkpoint.decode("utf-8"))
        lines = engine.replay(self.output.decode("utf-8"))
        if self.resize:
            lines += self.resize(engine)
        return lines

    @property
    def size_bytes(self) -> int:
        """What it takes."""
        return len(self.checkpoint) + len(self.output)


class Scrollback:
    """The scrollback of one engine."""

    def __init__(self, engine: Engine, limit: int) -> None:
        self._limit = limit
        self._segments: deque[Segment] = deque()
        self._size_bytes = 0
        self.scrolled_off = 0
        """Lines that have ever left."""
        self._drawn: OrderedDict[tuple[int, int], list[Line]] = OrderedDict()
        self._begin(engine)

    def _begin(self, engine: Engine) -> None:
        self._columns, self._rows = engine.columns, engine.rows
        self._checkpoint = engine.checkpoint().encode("utf-8")
        self._output: list[str] = []
        self._length = 0
        self._first = self.scrolled_off

    def fed(self, engine: Engine, text: str) -> None:
        """Feed `text` to the engine; what leaves its screen is kept."""
        for start in range(0, len(text), SLICE_CHARACTERS):
            part = text[start : start + SLICE_CHARACTERS]
            self.scrolled_off += len(engine.feed(part))
            self._output.append(part)
            self._length += len(part)
            lines = self.scrolled_off - self._first
            if self._length >= SEGMENT_CHARACTERS or lines >= SEGMENT_LINES:
                self._end(engine)

    def resized(self, engine: Engine, resize: Resize) -> None:
        """Give the engine another size; what leaves its screen is kept."""
        self.scrolled_off += len(resize(engine))
        self._end(engine, resize)

    def _segment(self, resize: Resize | None = None) -> Segment:
        return Segment(
            self._columns,
            self._rows,
            self._checkpoint,
            "".join(self._output).encode("utf-8"),
            resize,
            self._first,
            self.scrolled_off - self._first,
        )

    def _end(self, engine: Engine, resize: Resize | None = None) -> None:
        # What scrolled nothing off, such as a full-screen program, is not kept.
        if self.scrolled_off > self._first:
            segment = self._segment(resize)
            self._segments.append(segment)
            self._size_bytes += segment.size_bytes
        self._begin(engine)
        while self._segments and (
            self._segments[0].first + self._segments[0].count <= self.scrolled_off - self._limit
            or self._size_bytes > MAX_BYTES
        ):
            self._size_bytes -= self._segments.popleft().size_bytes

    def clear(self, engine: Engine) -> None:
        """Forget them all."""
        self._segments.clear()
        self._drawn.clear()
        self._size_bytes = 0
        self._begin(engine)

    @property
    def count(self) -> int:
        """Lines that can be had."""
        first = self._segments[0].first if self._segments else self._first
        return self.scrolled_off - max(first, self.scrolled_off - self._limit)

    def line(self, number: int) -> Line:
        """A line, by its number among all that ever scrolled off."""
        if number >= self._first:
            first, count = self._first, self.scrolled_off - self._first
            segment = None
        else:
            index = bisect_right(self._segments, number, key=lambda one: one.first) - 1
            segment = self._segments[index]
            first, count = segment.first, segment.count
        key = (first, count)
        if key in self._drawn:
            self._drawn.move_to_end(key)
        else:
            self._drawn[key] = (segment or self._segment()).lines()
            if len(self._drawn) > SEGMENTS_DRAWN:
                self._drawn.popitem(last=False)
        return self._drawn[key][number - first]

    def forget_drawn(self) -> None:
        """Give back what was only kept for the next look."""
        self._drawn.clear()
