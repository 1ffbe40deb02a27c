"""A guest's keyboard: what keys of this terminal and pasted texts are on it."""

from __future__ import annotations

from textual.keys import key_to_character

from vmtui.displaying import WatchedScreen
from vmtui.errors import InputError, VmtuiError
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


class Keyboard:
    """A guest's, of the layout that the guest has set; typed on by what this terminal gets."""

    def __init__(self, layout: str) -> None:
        self._layout = layout
        self._screen: WatchedScreen | None = None
        self._refused: VmtuiError | None = None

    def plug_into(self, screen: WatchedScreen | None) -> None:
        """Type into another guest, or into none."""
        self._screen, self._refused = screen, None

    @property
    def refused(self) -> VmtuiError | None:
        """Why what was typed last can't be, or did not reach the guest."""
        return self._refused or (self._screen.refused if self._screen else None)

    @property
    def pending(self) -> int:
        """How many keys are still to be sent."""
        return self._screen.pending if self._screen else 0

    def press(self, keys: Chord) -> None:
        """Press keys together."""
        self._refused = None
        if self._screen is not None:
            self._screen.press(keys)

    def type(self, key: str, character: str | None) -> None:
        """A key of Textual's."""
        try:
            for keys in chords(key, character, self._layout):
                self.press(keys)
        except InputError as error:
            self._refused = error

    def paste(self, text: str) -> None:
        """All of a text, or nothing."""
        self._refused = None
        try:
            keys = text_to_keys(text, self._layout)
        except InputError as error:
            self._refused = error
        else:
            if self._screen is not None:
                self._screen.paste(keys)

    def forget_pending(self) -> None:
        """Do not type the rest."""
        if self._screen is not None:
            self._screen.forget_pending()
