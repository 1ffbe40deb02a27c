"""What a terminal answers: as xterm would, and never with a text that the guest chose."""

from __future__ import annotations

import re
from collections.abc import Iterable

from vmtui.terminal.palette import Palette, Rgb
from vmtui.terminal.scanner import ControlString

_INDEX = re.compile("[0-9]{1,3}")

# What is the same whatever has happened, by sequence and parameters.
FIXED = {
    ("c", ""): b"\x1b[?62;22c",  # DA1: a VT220 with ANSI colours
    ("c", "0"): b"\x1b[?62;22c",
    (">c", ""): b"\x1b[>1;370;0c",  # DA2: as an xterm that vim asks for SGR mouse reports
    (">c", "0"): b"\x1b[>1;370;0c",
    ("=c", ""): b"\x1bP!|00000000\x1b\\",
    ("=c", "0"): b"\x1bP!|00000000\x1b\\",
    (">q", ""): b"\x1bP>|vmtui\x1b\\",
    (">q", "0"): b"\x1bP>|vmtui\x1b\\",
    ("n", "5"): b"\x1b[0n",
    ("?n", "15"): b"\x1b[?13n",  # no printer
    ("?n", "25"): b"\x1b[?21n",  # user-defined keys are locked
    ("?n", "26"): b"\x1b[?27;1;0;0n",  # a North American keyboard
    ("x", ""): b"\x1b[2;1;1;128;128;1;0x",  # DECREQTPARM
    ("x", "0"): b"\x1b[2;1;1;128;128;1;0x",
    ("x", "1"): b"\x1b[3;1;1;128;128;1;0x",
}


def to_string(string: ControlString, palette: Palette) -> bytes:
    """The answer to a control string that asks for something; b"" to others."""
    if string.kind == "P":
        if string.text.startswith("$q"):  # DECRQSS
            return b"\x1bP0$r\x1b\\"
        if string.text.startswith("+q"):  # XTGETTCAP
            return b"\x1bP0+r\x1b\\"
        return b""
    if string.kind != "]" or not string.text.endswith("?"):
        return b""
    end = "\x07" if string.end == "\x07" else "\x1b\\"
    command, *arguments = string.text.split(";")
    return "".join(
        f"\x1b]{what};{_rgb(colour)}{end}" for what, colour in _asked(command, arguments, palette)
    ).encode("ascii")


def _asked(command: str, arguments: list[str], palette: Palette) -> Iterable[tuple[str, Rgb]]:
    if command == "4":
        for index, question in zip(arguments[::2], arguments[1::2], strict=False):
            if question == "?" and _INDEX.fullmatch(index) and int(index) < len(palette.indexed):
                yield f"4;{int(index)}", palette.indexed[int(index)]
    elif command in ("10", "11", "12") and all(question == "?" for question in arguments):
        colours = (palette.foreground, palette.background, palette.foreground)
        for number in range(int(command), min(13, int(command) + len(arguments))):
            yield str(number), colours[number - 10]


def _rgb(colour: Rgb) -> str:
    return "rgb:" + "/".join(f"{value:02x}{value:02x}" for value in colour)
