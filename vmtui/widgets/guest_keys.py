"""Keys of this terminal as keys of a guest's keyboard."""

from __future__ import annotations

from textual.keys import key_to_character

from vmtui.errors import InputError
from vmtui.keyboards import KEYS, Chord, text_to_keys

_NAMED = {
    "enter": "ret",
    "escape": "esc",
    "space": "spc",
    "pageup": "pgup",
    "pagedown": "pgdn",
    "at": "2",  # Ctrl+Space and Ctrl+@ are the same to a terminal
    **{f"f{number}": f"f{number}" for number in range(1, 13)},
}
_SAME = ("tab", "backspace", "delete", "insert", "home", "end", "up", "down", "left", "right")
_SHORT = {"at": "@", "backslash": "\\", "minus": "-", "plus": "+", "slash": "/", "underscore": "_"}
"""Characters that Textual calls by another name than Unicode."""
_MODIFIERS = ("ctrl", "shift", "alt", "super")


def chords(key: str, character: str | None, layout: str) -> list[Chord]:
    """What to press for a key of Textual's. Raises InputError where the guest has no such key.

    Characters are typed by the guest's layout, whichever this terminal's keyboard has.
    """
    *modifiers, last = key.split("+")
    modifiers = [modifier for modifier in modifiers if modifier in _MODIFIERS]
    if last in _NAMED or last in _SAME:
        return [(*_modifiers(modifiers), _NAMED.get(last, last))]
    if character is not None and character.isprintable() and not set(modifiers) & {"ctrl", "alt"}:
        return text_to_keys(character, layout)
    plain_character = _SHORT.get(last) or key_to_character(last)
    if plain_character is None:
        raise InputError(f"a guest has no key {key!r}")
    *before, (*own, name) = text_to_keys(plain_character, layout)
    if before or name not in KEYS:
        raise InputError(f"{key!r} can't be pressed with the layout {layout}")
    return [(*_modifiers(modifiers), *own, name)]


def _modifiers(names: list[str]) -> Chord:
    return tuple({"super": "meta_l"}.get(name, name) for name in names)
