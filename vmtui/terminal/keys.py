"""Keys as xterm sends them."""

from __future__ import annotations

import unicodedata

from vmtui.terminal.cells import Modes

_MODIFIERS = {"shift": 1, "alt": 2, "ctrl": 4, "meta": 2}
_SHIFT, _ALT, _CTRL = 1, 2, 4

# Sent as CSI, or as SS3 with application cursor keys.
_CURSOR = {"up": "A", "down": "B", "right": "C", "left": "D", "home": "H", "end": "F"}
_SS3 = {"f1": "P", "f2": "Q", "f3": "R", "f4": "S"}
_TILDE = {
    "insert": 2, "delete": 3, "pageup": 5, "pagedown": 6,
    "f5": 15, "f6": 17, "f7": 18, "f8": 19, "f9": 20, "f10": 21, "f11": 23, "f12": 24,
    "f13": 25, "f14": 26, "f15": 28, "f16": 29, "f17": 31, "f18": 32, "f19": 33, "f20": 34,
}  # fmt: skip

# What is not called by its name in Unicode.
_CHARACTERS = {
    "at": "@",
    "backslash": "\\",
    "minus": "-",
    "plus": "+",
    "slash": "/",
    "space": " ",
    "underscore": "_",
}
# Ctrl with what has no control character by itself.
_CTRL_CHARACTERS = {
    " ": 0x00, "2": 0x00, "3": 0x1B, "4": 0x1C, "5": 0x1D, "6": 0x1E, "7": 0x1F, "8": 0x7F,
    "/": 0x1F, "?": 0x7F,
}  # fmt: skip

FOCUS_IN = b"\x1b[I"
FOCUS_OUT = b"\x1b[O"


def encode_key(name: str, character: str | None, modes: Modes) -> bytes:
    """What the key called `name`, as Textual names keys, sends; b"" for one that sends nothing.

    `character` is what it prints, if it prints.
    """
    *before, key = name.split("+")
    if not all(modifier in _MODIFIERS for modifier in before):
        return b""
    pressed = 0
    for modifier in before:
        pressed |= _MODIFIERS[modifier]
    prefix = b"\x1b" if pressed & _ALT else b""
    if sequence := _function_key(key, pressed, modes):
        return sequence
    if (sent := _typed(key, pressed, modes)) is not None:
        return prefix + sent
    if character is None or not character.isprintable() or pressed & _CTRL:
        character = _character(key)
        if pressed & _SHIFT:
            character = character.upper()
    if not character:
        return b""
    if pressed & _CTRL:
        control = _control(character)
        return b"" if control is None else prefix + bytes([control])
    return prefix + character.encode("utf-8", "ignore")


def _function_key(key: str, pressed: int, modes: Modes) -> bytes:
    """A key that sends a sequence with its modifiers inside."""
    if final := _CURSOR.get(key) or _SS3.get(key):
        if pressed:
            return f"\x1b[1;{1 + pressed}{final}".encode("ascii")
        single = key in _SS3 or modes.application_cursor
        return f"\x1b{'O' if single else '['}{final}".encode("ascii")
    if number := _TILDE.get(key):
        modified = f";{1 + pressed}" if pressed else ""
        return f"\x1b[{number}{modified}~".encode("ascii")
    return b"\x1b[Z" if key == "tab" and pressed == _SHIFT else b""


def _typed(key: str, pressed: int, modes: Modes) -> bytes | None:
    """A key that sends a control character of its own."""
    if key == "enter":
        return b"\r\n" if modes.newline else b"\r"
    if key == "backspace":
        return b"\x08" if pressed & _CTRL else b"\x7f"
    return {"tab": b"\t", "escape": b"\x1b"}.get(key)


def _character(key: str) -> str:
    """The character that a key is named after; "" if it is none."""
    if len(key) == 1:
        return key
    if key in _CHARACTERS:
        return _CHARACTERS[key]
    try:
        return unicodedata.lookup(key.replace("_", " "))
    except KeyError:
        return ""


def _control(character: str) -> int | None:
    if character in _CTRL_CHARACTERS:
        return _CTRL_CHARACTERS[character]
    upper = character.upper()
    return ord(upper) & 0x1F if len(upper) == 1 and "@" <= upper <= "_" else None
