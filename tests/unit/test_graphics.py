"""What draws pictures in other terminals, held against libsixel and kitty's own description."""

from __future__ import annotations

import base64
import os
import re
import subprocess
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.guest.screen import text_screen
from vmtui.graphics import (
    CELL_USUAL,
    PLACEHOLDER_ROWS,
    Graphics,
    cell_pixels,
    chosen,
    detected,
    kitty_sent,
    placeholders,
    sixel,
)
from vmtui.picture import Picture, decoded


def seen_by_libsixel(picture: Picture) -> Picture:
    drawn = sixel(picture)
    assert drawn.startswith("\x1bP") and drawn.endswith("\x1b\\")
    assert drawn[1:-2].isprintable()
    done = subprocess.run(["sixel2png"], input=drawn.encode(), capture_output=True, check=True)
    return decoded(done.stdout)


def test_a_screen_of_few_colours_is_the_same_in_sixels() -> None:
    picture = text_screen()
    found = seen_by_libsixel(picture)
    assert (found.width, found.height) == (picture.width, picture.height)
    # Sixels' colours are per cent.
    assert max(abs(a - b) for a, b in zip(found.rgb, picture.rgb, strict=True)) <= 2


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 30), st.integers(1, 30), st.data())
def test_any_picture_is_nearly_the_same_in_sixels(
    width: int, height: int, data: st.DataObject
) -> None:
    grey = data.draw(st.binary(min_size=width * height, max_size=width * height))
    picture = Picture(width, height, bytes(level for level in grey for _ in range(3)))
    found = seen_by_libsixel(picture)
    assert (found.width, found.height) == (width, height)
    assert max(abs(a - b) for a, b in zip(found.rgb, picture.rgb, strict=True)) <= 40


def test_kitty_gets_all_of_a_picture_in_pieces_it_takes() -> None:
    picture = Picture(100, 80, os.urandom(24000))
    sent = kitty_sent(picture, 0x123456, 12, 5)
    pieces = re.findall(r"\x1b_G([^;]*);([A-Za-z0-9+/=]*)\x1b\\", sent)
    assert "".join(f"\x1b_G{keys};{data}\x1b\\" for keys, data in pieces) == sent
    assert all(len(data) <= 4096 for _, data in pieces)
    first = dict(pair.split("=") for pair in pieces[0][0].split(","))
    assert first == {
        **{"a": "T", "U": "1", "q": "2", "f": "24", "o": "z", "i": str(0x123456), "m": "1"},
        **{"s": "100", "v": "80", "c": "12", "r": "5"},
    }
    assert [keys for keys, _ in pieces[1:]] == ["q=2,m=1"] * (len(pieces) - 2) + ["q=2,m=0"]
    data = base64.b64decode("".join(data for _, data in pieces))
    assert zlib.decompress(data) == picture.rgb


def test_placeholders_say_their_row_and_then_go_on() -> None:
    # The first numbers of kitty's list (rowcolumn-diacritics.txt), and its 100th.
    marks = [placeholders(row, 3)[1] for row in range(PLACEHOLDER_ROWS)]
    assert marks[:8] == list("\u0305\u030d\u030e\u0310\u0312\u033d\u033e\u033f")
    assert len(set(marks)) == PLACEHOLDER_ROWS
    assert placeholders(1, 3) == "\U0010eeee\u030d\u0305\U0010eeee\U0010eeee"


@pytest.mark.parametrize(
    ("environment", "graphics"),
    [
        ({"TERM": "xterm-256color"}, Graphics.BLOCKS),
        ({"TERM": "xterm-kitty"}, Graphics.KITTY),
        ({"TERM": "xterm-ghostty"}, Graphics.KITTY),
        ({"TERM": "foot"}, Graphics.SIXEL),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "WezTerm"}, Graphics.SIXEL),
        ({"TERM": "tmux-256color", "TERM_PROGRAM": "WezTerm"}, Graphics.BLOCKS),
        ({"TERM": "xterm-kitty", "NO_COLOR": "1"}, Graphics.BLOCKS),
        ({}, Graphics.BLOCKS),
    ],
)
def test_a_terminal_is_known_by_its_environment(
    environment: dict[str, str], graphics: Graphics
) -> None:
    assert detected(environment) is graphics
    assert chosen("auto", environment) is graphics
    assert chosen("sixel", environment) is Graphics.SIXEL


def test_what_is_no_terminal_has_cells_of_the_usual_size() -> None:
    with Path(os.devnull).open("rb") as null:
        assert cell_pixels(null.fileno()) == CELL_USUAL
