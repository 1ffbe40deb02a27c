"""Keyboard layouts: which keys make which character, and a text as the keys that type it."""

from __future__ import annotations

import tomllib
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from string import ascii_letters

from vmtui.errors import InputError
from vmtui.keyboards.keys import Chord

LAYOUTS = ("us", "gb", "de", "fr")
"""Those that there are, by the names that X and Linux have for them."""

# The keys of the four rows in the order in which a layout's file gives their characters.
_ROWS = (
    "grave_accent 1 2 3 4 5 6 7 8 9 0 minus equal",
    "q w e r t y u i o p bracket_left bracket_right",
    "a s d f g h j k l semicolon apostrophe backslash",
    "less z x c v b n m comma dot slash",
)
_LEVELS: dict[str, Chord] = {"plain": (), "shift": ("shift",), "altgr": ("alt_r",)}
_BLANK = " "
"""Holds the place of a key that makes nothing."""

# What a dead key makes with the space bar, by the mark that it puts on letters. Acute and diaeresis
# are not here: Linux makes quotes of them, Windows accents.
_ALONE = {"\u0300": "`", "\u0302": "^"}
_ALWAYS: dict[str, tuple[Chord, ...]] = {
    " ": (("spc",),),
    "\n": (("ret",),),
    "\t": (("tab",),),
}
_NAMED_AT_MOST = 12


@dataclass(frozen=True, slots=True)
class Layout:
    """What the guest has to be set to for `characters` to be right."""

    id: str
    name: str
    characters: Mapping[str, tuple[Chord, ...]]


@cache
def layout(name: str) -> Layout:
    """The layout of that name. Raises InputError."""
    if name not in LAYOUTS:
        raise InputError(
            f"there is no keyboard layout {name!r}", hint=f"There is: {', '.join(LAYOUTS)}."
        )
    text = files(__package__).joinpath(f"{name}.toml").read_text("utf-8")
    content = tomllib.loads(text)
    # In this order, so that the keys with the fewest modifiers win.
    characters = dict(_ALWAYS)
    dead: dict[str, Chord] = {}
    for level, modifiers in _LEVELS.items():
        for character, key in _positions(content.get(level, [])):
            if unicodedata.combining(character):
                dead.setdefault(character, (*modifiers, key))
            else:
                characters.setdefault(character, ((*modifiers, key),))
    for mark, keys in dead.items():
        if mark in _ALONE:
            characters.setdefault(_ALONE[mark], (keys, ("spc",)))
        for base in ascii_letters:
            composed = unicodedata.normalize("NFC", base + mark)
            if len(composed) == 1:
                characters.setdefault(composed, (keys, *characters[base]))
    return Layout(name, content["name"], characters)


def _positions(rows: list[str]) -> Iterator[tuple[str, str]]:
    for characters, keys in zip(rows, _ROWS, strict=False):
        for character, key in zip(characters, keys.split(), strict=False):
            if character != _BLANK:
                yield character, key


def text_to_keys(text: str, name: str) -> list[Chord]:
    """What to press, one after the other, to type `text` in a guest with that layout.

    Raises InputError for an unknown layout, and for characters that the layout can't make.
    """
    characters = layout(name).characters
    text = unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n"))
    missing = [c for c in dict.fromkeys(text) if c not in characters]
    if missing:
        named = ", ".join(_named(character) for character in missing[:_NAMED_AT_MOST])
        more = len(missing) - _NAMED_AT_MOST
        raise InputError(
            f"the {layout(name).name} keyboard ({name}) has no {named}"
            + (f" and {more} more" if more > 0 else ""),
            hint=f"Choose the layout that the guest has: {', '.join(LAYOUTS)}.",
        )
    return [keys for character in text for keys in characters[character]]


def _named(character: str) -> str:
    if character.isprintable():
        return repr(character)
    return f"U+{ord(character):04X}"
