"""Whatever a guest prints: nothing raises, reads may be split anywhere, memory stays bounded."""

from __future__ import annotations

import itertools
import tracemalloc
import unicodedata

from avt._avt import Line, Vt
from hypothesis import example, given, settings
from hypothesis import strategies as st

from vmtui.terminal.cells import Cursor, Modes, Row
from vmtui.terminal.clusters import Clusters
from vmtui.terminal.emulator import Emulator
from vmtui.terminal.engine import Engine, is_wrapped, read
from vmtui.terminal.scanner import MAX_STRING

_number = st.sampled_from(["", "0", "1", "2", "3", "5", "7", "12", "38;5;9", "48;2;1;2;3", "65535"])
_words = st.text("abc xyz qlk", min_size=1, max_size=30)
_unicode = st.text(
    st.sampled_from(
        "é漢字가e\u0301\u0302\u200d\ufe0f\u202e👩🚀\u0e01\u0e33ｱ\u1100\u1161\U00100001─…"
    ),
    min_size=1,
    max_size=8,
)
_csi = st.tuples(
    st.sampled_from(["", "", "", "?", ">", "="]),
    st.lists(_number, max_size=3).map(";".join),
    st.sampled_from([*"@ABCDEFGHIJKLMPSTXZ`abcdefghlmnqrstuwxy", "!p", "$p", " q"]),
).map(lambda parts: "\x1b[" + "".join(parts))
_mode = st.tuples(
    st.sampled_from(["?1", "?3", "?6", "?7", "?25", "?47", "?1000", "?1006", "?1047"])
    | st.sampled_from(["?1048", "?1049", "?2004", "4", "20"]),
    st.sampled_from("hl"),
).map(lambda parts: "\x1b[" + "".join(parts))
_style = st.sampled_from(
    ["0", "1", "4", "7", "9", "21", "4:3", "58;5;1", "38:2::1:2:3", "31;7"]
).map("\x1b[{}m".format)
_escape = st.sampled_from("78DEHMc=Z").map("\x1b{}".format) | st.sampled_from(
    ["\x1b#8", "\x1b(0", "\x1b(B", "\x1b)0", "\x0e", "\x0f", "\x1b]P0123456", "\x1b]R", "\x1b"]
)
_string = st.tuples(
    st.sampled_from(["\x1b]0;", "\x1b]52;c;", "\x1b]4;1;", "\x1bP$q", "\x1b_G", "\x1b^", "\x1bk"]),
    st.text("ab;?=\x01é", max_size=6),
    st.sampled_from(["\x07", "\x1b\\", "\x18", "\x1b[m", ""]),
).map("".join)
_control = st.sampled_from([*"\r\n\t\b\x07\x05\x7f\x9b\x85", "\r\n", "\r\n"])
_output = st.lists(
    _words | _unicode | _csi | _mode | _style | _escape | _string | _control, max_size=40
).map("".join)
_sizes = st.tuples(st.integers(2, 20), st.integers(1, 8))


def _everything(terminal: Emulator) -> tuple[list[Row], Cursor, Modes, str, int, int, int]:
    lines = [terminal.line(number) for number in range(terminal.first_line, terminal.end_line)]
    return (
        lines,
        terminal.cursor,
        terminal.modes,
        terminal.title,
        terminal.bells,
        terminal.first_line,
        terminal.scrolled_off,
    )


def _check_shown(terminal: Emulator) -> None:
    assert 0 <= terminal.cursor.row < terminal.rows
    assert 0 <= terminal.cursor.column < terminal.columns
    for number in range(terminal.first_line, terminal.end_line):
        row = terminal.line(number)
        assert sum(run.columns for run in row) <= terminal.columns
        for character in "".join(run.text for run in row):
            assert unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Zl", "Zp")


@given(st.binary(max_size=2000), _sizes)
def test_bytes_never_raise(data: bytes, size: tuple[int, int]) -> None:
    terminal = Emulator(*size)
    terminal.feed(data)
    _check_shown(terminal)


@settings(max_examples=400)
@given(_output, _sizes, st.lists(st.integers(0, 2000), max_size=8))
@example("q\u0301\x1b(0q\u0301", (10, 3), [1, 8])
@example("a\x1b[", (4, 2), [2])
@example("\x1b[1:2;3ra\x1b[4:2;1:1ma\x1b[1:1J", (4, 2), [2])
def test_reads_may_be_split_anywhere(output: str, size: tuple[int, int], places: list[int]) -> None:
    data = output.encode()
    whole, split = Emulator(*size), Emulator(*size)
    answers = whole.feed(data)
    cuts = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    answers_split = b"".join(split.feed(data[start:end]) for start, end in itertools.pairwise(cuts))
    _check_shown(whole)
    assert _everything(split) == _everything(whole)
    assert answers_split == answers


@settings(max_examples=300)
@given(st.lists(_output | _sizes, min_size=1, max_size=5), _sizes)
def test_the_scrollback_is_what_scrolled_off(
    steps: list[str | tuple[int, int]], size: tuple[int, int]
) -> None:
    terminal = _Recording(*size)
    for step in steps:
        if isinstance(step, str):
            terminal.feed(step.encode())
        else:
            terminal.resize(*step)
    assert terminal.scrolled_off == len(terminal.gone)
    kept = terminal.gone[terminal.first_line :]
    clusters = terminal.clusters
    numbers = range(terminal.first_line, terminal.scrolled_off)
    assert [terminal.line(number) for number in numbers] == [read(line, clusters) for line in kept]
    assert [terminal.is_wrapped(number) for number in numbers] == [is_wrapped(one) for one in kept]


class _Recording(Emulator):
    """Keeps all lines that leave the screen, as the engine gives them."""

    def __init__(self, columns: int, rows: int) -> None:
        super().__init__(columns, rows)
        self.gone: list[Line] = []
        self._engine.feed, feed = self._kept_of_feed, self._engine.feed  # type: ignore[method-assign]
        self._engine.resize, resize = self._kept_of_resize, self._engine.resize  # type: ignore[method-assign]
        self._feed, self._resize = feed, resize

    @property
    def clusters(self) -> Clusters:
        return self._interpreter.printer.clusters

    def _kept_of_feed(self, text: str) -> list[Line]:
        self.gone += (gone := self._feed(text))
        return gone

    def _kept_of_resize(self, columns: int, rows: int, *, alternate: bool) -> list[Line]:
        self.gone += (gone := self._resize(columns, rows, alternate=alternate))
        return gone


@settings(max_examples=200)
@given(_output, _sizes)
def test_rows_are_what_the_cells_say(output: str, size: tuple[int, int]) -> None:
    # Rows are read off the way a line is shown; the cells one by one have to agree.
    engine = Engine(*size)
    engine.feed(output.replace("\x1b[?1049", ""))
    for number in range(size[1]):
        line = engine.line(number)
        shown = "".join(run.text for run in read(line, Clusters()))
        cells = [cell for cell in line.cells if cell.width]
        assert shown.ljust(len(cells)) == "".join(cell.char for cell in cells)
        styles = [run.style for run in read(line, Clusters()) for _ in run.cells]
        for cell, style in zip(cells, styles, strict=False):
            pen = cell.pen
            assert (pen.bold, pen.faint, pen.italic, pen.blink) == (
                style.bold,
                style.faint,
                style.italic,
                style.blink,
            ) or cell.char == " "
            if cell.char != " ":
                assert (pen.underline, pen.inverse) == (style.underline, style.inverse)


def test_the_engine_panics_only_where_it_is_known_to() -> None:
    # One column is not offered, because of this; a panic is contained all the same.
    engine = Engine(5, 4)
    engine.feed("😀 x")
    engine.resize(1, 5, alternate=False)
    engine.feed("text")
    assert engine.line(0).text


def test_strings_that_never_end_are_bounded() -> None:
    terminal = Emulator()
    terminal.feed(b"\x1b]0;")
    tracemalloc.start()
    for _ in range(200):
        terminal.feed(b"x" * 65536)
    assert tracemalloc.get_traced_memory()[0] < 4 * MAX_STRING
    tracemalloc.stop()
    terminal.feed(b"\x07shown")
    assert terminal.title == ""
    assert terminal.row(0)[0].text == "shown"


def test_sequences_that_never_end_are_bounded() -> None:
    terminal = Emulator()
    for _ in range(50):
        terminal.feed(b"\x1b[" + b"1;" * 30000)
    terminal.feed(b"\x1b[m\r\nshown")
    row = terminal.cursor.row
    assert terminal.row(row)[0].text == "shown"


def test_marks_without_end_are_bounded() -> None:
    terminal = Emulator()
    terminal.feed(b"e" + "\u0301".encode() * 50000 + b"x")
    assert len(terminal.row(0)[0].text) <= 8
    for code in range(0x300, 0x36F):
        for other in range(0x300, 0x36F):
            terminal.feed(f"a{chr(code)}{chr(other)}".encode())
    assert terminal.row(terminal.cursor.row)


def test_the_engine_restores_what_it_dumped() -> None:
    first = Vt(20, 4, 0)
    first.feed_str("\x1b[2;3r\x1b[1;7mx\x1b7\x1b[?6h\x1b[4h\x1b(0\x1b[?1049hqq\x1b[3;20Hab")
    second = Vt(20, 4, 0)
    second.feed_str(first.dump())
    assert second.dump() == first.dump()
    for vt in (first, second):
        vt.feed_str("more\r\n\r\n\r\n\x1b8y\x1b[?1049lz\n\n\n")
    assert second.dump() == first.dump()
