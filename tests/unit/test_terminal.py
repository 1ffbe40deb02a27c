"""What the terminal shows, answers and remembers."""

from __future__ import annotations

import re

import pytest

from vmtui.terminal.cells import Cursor, CursorShape, Modes, Mouse, MouseEncoding, Run, Style
from vmtui.terminal.emulator import Emulator
from vmtui.terminal.palette import Palette
from vmtui.terminal.text import Position, Span, pattern, search, text


def fed(output: str, columns: int = 20, rows: int = 4) -> Emulator:
    terminal = Emulator(columns, rows)
    terminal.feed(output.encode())
    return terminal


def shown(terminal: Emulator, row: int = 0) -> str:
    return "".join(run.text for run in terminal.row(row))


def test_styles() -> None:
    row = fed("\x1b[1;31mbold\x1b[0m \x1b[38;5;200;48;2;1;2;3mx\x1b[m").row(0)
    assert row == (
        Run("bold", Style(foreground=1, bold=True)),
        Run(" ", Style()),
        Run("x", Style(foreground=200, background=(1, 2, 3))),
    )


@pytest.mark.parametrize(
    ("sgr", "style"),
    [
        ("21", Style(underline=True)),
        ("4:3", Style(underline=True)),
        ("4:0", Style()),
        ("6", Style(blink=True)),
        ("58;5;1", Style()),
        ("58:2::1:2:3", Style()),
        ("38:2::9:8:7", Style(foreground=(9, 8, 7))),
        ("38:5:99", Style(foreground=99)),
        ("38;5;300", Style()),
        ("97;104", Style(foreground=15, background=12)),
        ("3;9", Style(italic=True, strike=True)),
        ("2", Style(faint=True)),
    ],
)
def test_styles_that_the_engine_takes_otherwise(sgr: str, style: Style) -> None:
    assert fed(f"\x1b[{sgr}mx").row(0) == (Run("x", style),)


def test_what_is_erased_has_only_the_background() -> None:
    row = fed("\x1b[7;4;44m a \x1b[K\x1b[mb", columns=6).row(0)
    decorated = Style(background=4, inverse=True, underline=True)
    assert row[:1] == (Run(" a ", decorated),)
    assert [run.style for run in row[1:]] == [Style(), Style(background=4)]


def test_wide_and_combining_characters() -> None:
    row = fed("e\u0301漢字\u0301x").row(0)
    assert row == (
        Run("e\u0301", cluster=True),
        Run("漢", cell_columns=2),
        Run("字\u0301", cell_columns=2, cluster=True),
        Run("x"),
    )
    assert [run.columns for run in row] == [1, 2, 2, 1]


def test_a_mark_joins_what_was_read_before() -> None:
    terminal = Emulator(20, 4)
    data = "e\u0301".encode()
    for start in range(len(data)):
        terminal.feed(data[start : start + 1])
    assert terminal.row(0) == (Run("e\u0301", cluster=True),)


def test_what_turns_or_joins_text_is_left_out() -> None:
    assert shown(fed("a\u202eb\u2066c\u200dd\ufe0fe\u2028f\x9bg\x7fh")) == "abcdefgh"


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        ("\x1b[c", "\x1b[?62;22c"),
        ("\x1b[0c", "\x1b[?62;22c"),
        ("\x1bZ", "\x1b[?62;22c"),
        ("\x1b[>c", "\x1b[>1;370;0c"),
        ("\x1b[?0c", ""),  # the Linux console's cursor shape
        ("\x1b[5n", "\x1b[0n"),
        ("ab\r\nc\x1b[6n", "\x1b[2;2R"),
        ("\x1b[2;3r\x1b[?6h\x1b[2Bx\x1b[6n", "\x1b[2;2R"),
        ("x" * 20 + "\x1b[6n", "\x1b[1;20R"),
        ("\x1b[?6n", "\x1b[?1;1R"),
        ("\x1b[18t", "\x1b[8;4;20t"),
        ("\x1b[21t", ""),  # a title that the guest chose is never told
        ("\x1b]0;x\x07\x1b[20t\x1b[21t", ""),
        ("\x1b[?2004h\x1b[?2004$p", "\x1b[?2004;1$y"),
        ("\x1b[?1006$p\x1b[?7$p\x1b[?9999$p", "\x1b[?1006;2$y\x1b[?7;1$y\x1b[?9999;0$y"),
        ("\x1b[4h\x1b[4$p", "\x1b[4;1$y"),
        ("\x1b[>q", "\x1bP>|vmtui\x1b\\"),
        ("\x1bP$qm\x1b\\", "\x1bP0$r\x1b\\"),
        ("\x1bP+q544e\x1b\\", "\x1bP0+r\x1b\\"),
        ("\x1b]10;?\x07", "\x1b]10;rgb:0101/0202/0303\x07"),
        ("\x1b]4;1;?;300;?\x1b\\", "\x1b]4;1;rgb:cdcd/0000/0000\x1b\\"),
        ("\x1b]10;?;?\x1b\\", "\x1b]10;rgb:0101/0202/0303\x1b\\\x1b]11;rgb:0000/0000/0000\x1b\\"),
        ("\x1b]52;c;?\x07", ""),
        ("\x1b]0;\x1b[c?\x07", "\x1b[?62;22c"),
        ("\x05", ""),
    ],
)
def test_answers(asked: str, answer: str) -> None:
    terminal = Emulator(20, 4)
    terminal.palette = Palette(foreground=(1, 2, 3))
    assert terminal.feed(asked.encode()).decode() == answer
    assert Emulator(20, 4).feed(asked.encode(), live=False) == b""


def test_answers_do_not_grow_without_bound() -> None:
    assert len(Emulator().feed(b"\x1b[c" * 10000)) <= 4096


@pytest.mark.parametrize(
    ("output", "modes"),
    [
        ("\x1b[?1h\x1b=", Modes(application_cursor=True, application_keypad=True)),
        ("\x1b[?1;2004h", Modes(application_cursor=True, bracketed_paste=True)),
        ("\x1b[?1002;1006h", Modes(mouse=Mouse.DRAG, mouse_encoding=MouseEncoding.SGR)),
        ("\x1b[?1003h\x1b[?1000l", Modes()),
        ("\x1b[?1049h\x1b[?1007l", Modes(alternate_screen=True, alternate_scroll=False)),
        ("\x1b[?47h\x1b[?1049l", Modes()),
        (
            "\x1b[20h\x1b[?5h\x1b[?1004h",
            Modes(newline=True, reverse_screen=True, focus_events=True),
        ),
        ("\x1b[?1000;1006;2004;1h\x1bc", Modes()),
        ("\x1b[?1h\x1b[!p", Modes()),
    ],
)
def test_modes(output: str, modes: Modes) -> None:
    assert fed(output).modes == modes


def test_the_cursor() -> None:
    assert fed("ab\x1b[5 q").cursor == Cursor(0, 2, True, CursorShape.BAR, blinking=True)
    assert fed("ab\x1b[4 q\x1b[?25l").cursor == Cursor(0, 2, False, CursorShape.UNDERLINE)


def test_titles_are_plain_and_bounded() -> None:
    assert fed("\x1b]2;a\x01b\u202ec\x07").title == "a\ufffdb\ufffdc"
    assert len(fed(f"\x1b]0;{'x' * 5000}\x1b\\").title) == 256
    assert fed("\x1b]0;one\x07\x1b[22;0t\x1b]0;two\x07\x1b[23;0t").title == "one"
    assert shown(fed("\x1bkscreen\x1b\\x")) == "x"


def test_the_clipboard_is_only_taken_if_allowed() -> None:
    copies = b"\x1b]52;c;" + b"aGk=" + b"\x07"
    terminal = Emulator()
    terminal.feed(copies)
    assert terminal.take_clipboard() == ""
    terminal.allow_clipboard = True
    terminal.feed(copies)
    terminal.feed(copies, live=False)
    terminal.feed(b"\x1b]52;c;aGk=\x07")
    assert terminal.take_clipboard() == "hi"
    assert terminal.take_clipboard() == ""


@pytest.mark.parametrize(
    "dropped",
    [
        "\x1b]8;;https://example.org\x1b\\",
        "\x1b_Gf=24;AAAA\x1b\\",
        "\x1bPq#0;2;0;0;0~~\x1b\\",
        "\x1b^privacy\x1b\\",
        "\x1bXstart of string\x1b\\",
        "\x1b[8;50;132t",
        "\x1b[>4;2m",
        "\x1b[?u",
        "\x1b]P0aabbcc",
        "\x1b]R",
        "\x1b[12\x18",
    ],
)
def test_what_is_dropped_leaves_nothing(dropped: str) -> None:
    terminal = fed(f"a{dropped}b")
    assert shown(terminal) == "ab"
    assert (terminal.columns, terminal.rows) == (20, 4)


def test_controls_inside_of_sequences_work() -> None:
    terminal = fed("a\x1b[3\r1mb")
    assert terminal.row(0) == (Run("b", Style(foreground=1)),)


def test_saving_the_cursor_saves_the_character_set() -> None:
    assert shown(fed("\x1b(0q\x1b7\x1b(Bq\x1b8\x1b[1Cq")) == "─q─"


def test_line_drawing() -> None:
    assert shown(fed("\x1b(0lqk`~\x1b(B \x1b)0\x0ex\x0fx")) == "┌─┐◆· │x"


def test_reverse_index_in_origin_mode() -> None:
    terminal = fed("\x1b[2;4r\x1b[?6ha\r\nb\r\nc\x1bM\x1bM\x1bM")
    assert [shown(terminal, row) for row in range(4)] == ["", "", "a", "b"]


def test_bells_are_counted() -> None:
    terminal = fed("\x07a\x1b]0;x\x07\x07")
    terminal.feed(b"\x07", live=False)
    assert terminal.bells == 2


def test_a_guest_can_not_make_the_engine_work_without_end() -> None:
    terminal = Emulator(80, 24)
    terminal.feed(b"x\x1b[65535b" * 5000)
    assert terminal.scrolled_off < 16 * 9 * 5000 / 80 + 16 * 24 + 5000 / 80
    terminal.feed(b"\x1b[999S" * 5000)
    assert terminal.scrolled_off < 100_000
    terminal.feed(b"\x1b[2J\x1b[H" + numbered(2).encode())
    assert shown(terminal, 1) == "line 1"


def test_the_alternate_screen_is_cut_and_kept() -> None:
    terminal = fed("below\x1b[?1049h\x1b[H\x1b[31m0123456789\x1b[m\r\nx", 10, 3)
    terminal.resize(5, 3)
    assert terminal.row(0) == (Run("01234", Style(foreground=1)),)
    terminal.resize(8, 2)
    terminal.feed(b"y\x1b[?1049l")
    assert shown(terminal) == "below"


def test_damage() -> None:
    terminal = fed("a\r\nb")
    terminal.take_damage()
    terminal.feed(b"c")
    assert terminal.take_damage() == {1}
    terminal.resize(10, 3)
    assert terminal.take_damage() == {0, 1, 2}


def numbered(count: int) -> str:
    return "".join(f"line {number}\r\n" for number in range(count))


def test_scrollback() -> None:
    terminal = Emulator(20, 4, scrollback_lines=1000)
    terminal.feed(numbered(5000).encode())
    assert (terminal.scrolled_off, terminal.scrollback_count) == (4997, 1000)
    assert terminal.line(terminal.first_line) == (Run("line 3997"),)
    assert terminal.line(4500) == (Run("line 4500"),)
    assert terminal.line(4998) == (Run("line 4998"),)
    assert terminal.line(10) == ()
    terminal.feed(b"\x1b[3J")
    assert terminal.scrollback_count == 0
    assert terminal.scrolled_off == 4997


def test_every_line_of_the_scrollback_is_where_it_was() -> None:
    terminal = Emulator(20, 4, scrollback_lines=5000)
    terminal.feed(numbered(5000).encode())
    for number in range(5000):
        assert terminal.line(number) == (Run(f"line {number}"),)


def test_rows_stay_where_they_are_when_there_is_more_room() -> None:
    # The guest on a serial line does not know, and goes on to count rows from the top.
    terminal = fed(numbered(5) + "red", 20, 4)
    terminal.resize(20, 7)
    assert [shown(terminal, row) for row in range(5)] == ["line 2", "line 3", "line 4", "red", ""]
    assert terminal.cursor == Cursor(3, 3)


def test_full_screen_programs_leave_nothing_in_the_scrollback() -> None:
    terminal = fed("before\r\n")
    for _ in range(100):
        terminal.feed(b"\x1b[?1049h\x1b[H" + numbered(500).encode() + b"\x1b[?1049l")
    assert terminal.scrollback_count == 0
    terminal.feed(numbered(10).encode())
    assert terminal.line(terminal.first_line) == (Run("before"),)


def test_wrapped_lines_are_copied_as_one() -> None:
    terminal = fed("one\r\n" + "0123456789" * 5 + "\r\nlast  \r\n", 20, 3)
    first = terminal.first_line
    whole = Span(Position(first, 0), Position(first + 4, terminal.columns))
    assert text(terminal, whole) == "one\n" + "0123456789" * 5 + "\nlast"
    part = Span(Position(first + 1, 18), Position(first + 2, 2))
    assert text(terminal, part) == "8901"


def found(terminal: Emulator, wanted: re.Pattern[str], **how: bool) -> list[str]:
    start = terminal.end_line - 1 if how.get("backwards", True) else terminal.first_line
    places = search(terminal, wanted, start=start, **how)
    return [text(terminal, place) for place in places if place is not None]


def test_search() -> None:
    terminal = fed(numbered(300) + "Über 漢字 needle" + " " * 12 + "split nee" + "dle", 20, 4)
    assert found(terminal, pattern("NEEDLE")) == []
    assert found(terminal, pattern("needle")) == ["needle", "needle"]
    assert found(terminal, pattern("LINE 1[0-2]$", regex=True)) == []
    assert found(terminal, pattern("line 1[0-2]$", regex=True)) == ["line 12", "line 11", "line 10"]
    forwards = found(terminal, pattern("line 29", regex=False), backwards=False)
    assert forwards == ["line 29", *["line 29"] * 10]
    place = next(one for one in search(terminal, pattern("字"), start=300) if one)
    assert (place.start.column, place.end.column) == (7, 9)
