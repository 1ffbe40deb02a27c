"""Pictures in the outer terminal: kitty's graphics and sixels, as the bytes that draw them."""

from __future__ import annotations

import base64
import fcntl
import re
import struct
import termios
import unicodedata
import zlib
from collections.abc import Iterator, Mapping
from enum import StrEnum
from functools import cache

from vmtui.picture import Picture, indexed


class Graphics(StrEnum):
    """How a terminal shows a picture. The value is what the configuration calls it."""

    BLOCKS = "blocks"  # half blocks, which every terminal has
    KITTY = "kitty"  # kitty's protocol with Unicode placeholders
    SIXEL = "sixel"


_KITTY_TERMS = ("xterm-kitty", "xterm-ghostty")
_SIXEL_TERMS = ("foot", "mlterm", "contour", "yaft")
_SIXEL_PROGRAMS = ("WezTerm", "iTerm.app", "mintty", "rio")
_SIXEL_VARIABLES = ("WEZTERM_PANE", "KONSOLE_VERSION", "WT_SESSION")
_MULTIPLEXERS = ("tmux", "screen")

CELL_USUAL = (10, 20)
"""Pixels of a cell where the terminal does not tell: only their ratio matters then."""

_WINSIZE = struct.Struct("4H")  # rows, columns, and the pixels of both


AUTO = "auto"


def chosen(setting: str, environment: Mapping[str, str]) -> Graphics:
    """By the configuration's `graphics`; `auto` goes by the terminal."""
    return detected(environment) if setting == AUTO else Graphics(setting)


def detected(environment: Mapping[str, str]) -> Graphics:
    """What the terminal has, by what it says of itself in the environment.

    It is not asked: an answer may be slow to come or never, and would come amid the user's keys.
    """
    term = environment.get("TERM", "")
    if term.startswith(_MULTIPLEXERS) or environment.get("NO_COLOR"):
        return Graphics.BLOCKS
    if term in _KITTY_TERMS:
        return Graphics.KITTY
    if (
        term.startswith(_SIXEL_TERMS)
        or environment.get("TERM_PROGRAM") in _SIXEL_PROGRAMS
        or any(environment.get(variable) for variable in _SIXEL_VARIABLES)
    ):
        return Graphics.SIXEL
    return Graphics.BLOCKS


def cell_pixels(descriptor: int) -> tuple[int, int]:
    """Width and height of a terminal's cells."""
    try:
        answer = fcntl.ioctl(descriptor, termios.TIOCGWINSZ, bytes(_WINSIZE.size))
    except OSError:
        return CELL_USUAL
    rows, columns, width, height = _WINSIZE.unpack(answer)
    if not (rows and columns and width >= columns and height >= rows):
        return CELL_USUAL
    return width // columns, height // rows


# -- kitty -----------------------------------------------------------------------------------------

PLACEHOLDER_ROWS = 129
"""Rows that `placeholders` can number."""

_PLACEHOLDER = "\U0010eeee"
_CHUNK_BYTES = 4096
_MARKS = range(0x300, 0x898)


def kitty_sent(picture: Picture, image: int, columns: int, rows: int) -> str:
    """Gives the terminal a picture under a number, for `columns` x `rows` of placeholders."""
    data = base64.b64encode(zlib.compress(picture.rgb, 1)).decode("ascii")
    chunks = [data[at : at + _CHUNK_BYTES] for at in range(0, len(data), _CHUNK_BYTES)]
    # q=2: the terminal answers nothing, which would arrive as keys.
    keys = f"a=T,U=1,q=2,f=24,o=z,i={image},s={picture.width},v={picture.height},"
    keys += f"c={columns},r={rows},"
    pieces = []
    for number, chunk in enumerate(chunks, 1):
        pieces.append(f"\x1b_G{keys}m={int(number < len(chunks))};{chunk}\x1b\\")
        keys = "q=2,"
    return "".join(pieces)


def kitty_deleted(image: int) -> str:
    """Has the terminal forget a picture."""
    return f"\x1b_Ga=d,d=I,q=2,i={image}\x1b\\"


def placeholders(row: int, columns: int) -> str:
    """Cells where the row of that number of a picture is seen; their colour is its number."""
    # Only the first one says where it is: each of the others is right of the one before.
    return _PLACEHOLDER + _numbers()[row] + _numbers()[0] + _PLACEHOLDER * (columns - 1)


@cache
def _numbers() -> tuple[str, ...]:
    """Marks that stand for 0, 1, …: those above letters that are not part of other characters.

    It is the rule by which kitty's own list was made; it holds up to the end of `_MARKS`.
    """
    parts = {
        int(code, 16)
        for character in map(chr, range(0xC0, 0x2000))
        for code in unicodedata.decomposition(character).split()
        if not code.startswith("<")
    }
    return tuple(
        chr(code)
        for code in _MARKS
        if unicodedata.combining(chr(code)) == 230
        and not unicodedata.decomposition(chr(code))
        and code not in parts
    )


# -- sixel -----------------------------------------------------------------------------------------

_BAND = 6
"""Rows of pixels in one row of sixels."""

_RUN = re.compile(rb"(.)\1{3,}", re.DOTALL)
_PRINTABLE = bytes(min(63 + value, 126) for value in range(256))


def sixel(picture: Picture) -> str:
    """Draws a picture from the cursor on."""
    palette, pixels = indexed(picture)
    width, height = picture.width, picture.height
    pieces = [f'\x1bP0;1;0q"1;1;{width};{height}'.encode("ascii")]
    for number, colour in enumerate(palette):
        red, green, blue = (round(level * 100 / 255) for level in colour)
        pieces.append(f"#{number};2;{red};{green};{blue}".encode("ascii"))
    for top in range(0, height, _BAND):
        rows = [pixels[y * width : (y + 1) * width] for y in range(top, min(top + _BAND, height))]
        pieces.append(b"$".join(_band(rows, width)))
        pieces.append(b"-")
    pieces.append(b"\x1b\\")
    return b"".join(pieces).decode("ascii")


def _band(rows: list[bytes], width: int) -> Iterator[bytes]:
    """The sixels of each colour in six rows of pixels."""
    for number in sorted(set().union(*rows)):
        # Each pixel of that colour becomes its row's bit; long integers add up a row at once.
        bits = 0
        for row, pixels in enumerate(rows):
            table = bytes(number) + bytes([1 << row]) + bytes(255 - number)
            bits |= int.from_bytes(pixels.translate(table), "big")
        sixels = bits.to_bytes(width, "big").translate(_PRINTABLE)
        yield b"#%d%b" % (number, _RUN.sub(_counted, sixels))


def _counted(run: re.Match[bytes]) -> bytes:
    return b"!%d%b" % (len(run[0]), run[1])
