"""The keys that a guest can be sent, and combinations of them as people write them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from vmtui.errors import InputError
from vmtui.units import plain

Chord = tuple[str, ...]
"""Keys that are pressed together, the modifiers first."""

# QEMU's names (qapi/ui.json, QKeyCode) from a Linux code on (linux/input-event-codes.h).
_RUNS = {
    1: "esc 1 2 3 4 5 6 7 8 9 0 minus equal backspace",
    15: "tab q w e r t y u i o p bracket_left bracket_right ret",
    29: "ctrl a s d f g h j k l semicolon apostrophe grave_accent",
    42: "shift backslash z x c v b n m comma dot slash shift_r",
    55: "kp_multiply alt spc caps_lock f1 f2 f3 f4 f5 f6 f7 f8 f9 f10 num_lock scroll_lock",
    71: "kp_7 kp_8 kp_9 kp_subtract kp_4 kp_5 kp_6 kp_add kp_1 kp_2 kp_3 kp_0 kp_decimal",
    86: "less f11 f12 ro",
    92: "henkan katakanahiragana muhenkan",
    96: "kp_enter ctrl_r kp_divide print alt_r",
    102: "home up pgup left right end down pgdn insert delete",
    113: "audiomute volumedown volumeup power kp_equals",
    119: "pause",
    121: "kp_comma",
    124: "yen meta_l meta_r compose",
    142: "sleep wake",
}

KEYS: dict[str, int] = {
    name: code for first, names in _RUNS.items() for code, name in enumerate(names.split(), first)
}
"""QEMU's name of each key, and its code in Linux."""

MODIFIERS = ("ctrl", "ctrl_r", "shift", "shift_r", "alt", "alt_r", "meta_l", "meta_r")

# What people write, where that is not QEMU's own name.
_WORDS = {
    "control": "ctrl",
    "altgr": "alt_r",
    "super": "meta_l",
    "win": "meta_l",
    "meta": "meta_l",
    "escape": "esc",
    "enter": "ret",
    "return": "ret",
    "space": "spc",
    "del": "delete",
    "ins": "insert",
    "pageup": "pgup",
    "pagedown": "pgdn",
    "printscreen": "print",
    "sysrq": "print",
    "capslock": "caps_lock",
    "numlock": "num_lock",
    "scrolllock": "scroll_lock",
    "menu": "compose",
    "grave": "grave_accent",
}


def chord(text: str) -> Chord:
    """The keys of a combination such as `ctrl-alt-del` or `ctrl+alt+f2`. Raises InputError.

    The keys are named by where they are on a US keyboard.
    """
    words = re.split(r"[-+]", text.strip().lower()) if text.strip() else []
    if not words:
        raise InputError("no key was named", hint="Such as: ctrl-alt-del, f2, ret.")
    keys = []
    for word in words:
        key = _WORDS.get(word, word)
        if key not in KEYS:
            raise InputError(
                f"there is no key {plain(word)!r} in {plain(text)!r}",
                hint="Such as: ctrl-alt-del, alt-f2, shift-tab, minus, esc, kp_enter.",
            )
        keys.append(key)
    if len(set(keys)) < len(keys):
        raise InputError(f"{plain(text)!r} names a key twice")
    return tuple(sorted(keys, key=lambda key: key not in MODIFIERS))


def known(keys: Sequence[str]) -> Chord:
    """`keys` if there is such a combination. Raises InputError."""
    unknown = [key for key in keys if key not in KEYS]
    if unknown or not keys:
        raise InputError(
            f"there is no key {plain(unknown[0])!r}" if unknown else "no key was named"
        )
    return tuple(keys)
