import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmtui.errors import OperationError
from vmtui.units import GIB, MIB, duration, parse_size_bytes, plain, size


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("512M", 512 * MIB),
        ("1.5G", 1536 * MIB),
        ("1,5g", 1536 * MIB),
        ("2GiB", 2 * GIB),
        (" 2 GB ", 2 * GIB),
        ("1T", 1024 * GIB),
    ],
)
def test_sizes_are_powers_of_1024(text: str, expected: int) -> None:
    assert parse_size_bytes(text) == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("12", "no unit"),
        ("-1", "not a size"),
        ("-1G", "not a size"),
        ("", "not a size"),
        ("1.G", "not a size"),
        ("0M", "more than 0"),
        ("9999999999T", "more than any machine"),
        ("\x1b[31m1G", "not a size"),
    ],
)
def test_bad_sizes_say_why(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as caught:
        parse_size_bytes(text)
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize(
    ("size_bytes", "shown"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1 KiB"), (1536 * MIB, "1.5 GiB"), (None, "–")],
)
def test_sizes_are_shown_short(size_bytes: int | None, shown: str) -> None:
    assert size(size_bytes) == shown


def test_a_size_never_rounds_up_to_1024_of_its_unit() -> None:
    assert size(1024 * MIB - 1) == "1 GiB"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0 s"), (59.9, "59 s"), (60, "1 min 00 s"), (3725, "1 h 02 min"), (90061, "1 d 1 h")],
)
def test_durations(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("web-01", "web-01"),
        ("[red]x[/red]", "[red]x[/red]"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07x", "x"),
        ("\x1b]52;c;aGk=\x1b\\x", "x"),
        ("a\nb\tc", "a b c"),
        ("a\u202eb", "a\ufffdb"),
        ("bell\x07", "bell\ufffd"),
        ("\x9b31mC1", "\ufffd31mC1"),
    ],
)
def test_outside_text_is_made_harmless(text: str, shown: str) -> None:
    assert plain(text) == shown


@given(st.text())
def test_nothing_that_a_terminal_obeys_is_left(text: str) -> None:
    shown = plain(text)
    assert all(c >= " " and not "\x7f" <= c <= "\x9f" for c in shown)


def test_no_error_says_what_a_terminal_obeys() -> None:
    error = OperationError("\x1b[31mred", why="a\x1b]0;title\x07\nb", hint="\u202eback")
    assert (error.what, error.why, error.hint) == ("red", "a\nb", "\ufffdback")


def test_lines_are_kept_on_request() -> None:
    assert plain("a\r\nb\x1b[1mc", keep_lines=True) == "a\nbc"
