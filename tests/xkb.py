"""What a guest makes of its keys: libxkbcommon, which Linux desktops ask as well."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable

_EVDEV_OFFSET = 8
_DOWN, _UP = 1, 0
_COMPOSING, _COMPOSED = 1, 2
_EXTENDED = {0x38: 100, 0x1D: 97, 0x5B: 125}  # after 0xe0: what a text needs, by codes of Linux


class _RuleNames(ctypes.Structure):
    _fields_ = [(name, ctypes.c_char_p) for name in ("rules", "model", "layout", "variant", "opt")]


def _library() -> ctypes.CDLL:
    xkb = ctypes.CDLL("libxkbcommon.so.0")
    for made in ("context_new", "keymap_new_from_names", "state_new"):
        getattr(xkb, f"xkb_{made}").restype = ctypes.c_void_p
    for made in ("table_new_from_locale", "state_new"):
        getattr(xkb, f"xkb_compose_{made}").restype = ctypes.c_void_p
    return xkb


class Keyboard:
    """One with a layout, of which keys go down and up."""

    def __init__(self, layout: str) -> None:
        self._xkb = _library()
        context = ctypes.c_void_p(self._xkb.xkb_context_new(0))
        names = _RuleNames(b"evdev", b"pc105", layout.encode(), b"", b"")
        keymap = self._xkb.xkb_keymap_new_from_names(context, ctypes.byref(names), 0)
        assert keymap, layout
        self._state = ctypes.c_void_p(self._xkb.xkb_state_new(ctypes.c_void_p(keymap)))
        table = self._xkb.xkb_compose_table_new_from_locale(context, b"en_US.UTF-8", 0)
        assert table
        self._compose = ctypes.c_void_p(self._xkb.xkb_compose_state_new(ctypes.c_void_p(table), 0))
        self.text = ""

    def key(self, code: int, *, down: bool) -> None:
        """A key by its code in Linux."""
        key = code + _EVDEV_OFFSET
        if down:
            self._feed(self._xkb.xkb_state_key_get_one_sym(self._state, key))
        self._xkb.xkb_state_update_key(self._state, key, _DOWN if down else _UP)

    def _feed(self, symbol: int) -> None:
        self._xkb.xkb_compose_state_feed(self._compose, symbol)
        status = self._xkb.xkb_compose_state_get_status(self._compose)
        if status == _COMPOSED:
            composed = ctypes.create_string_buffer(32)
            self._xkb.xkb_compose_state_get_utf8(self._compose, composed, 32)
            self.text += composed.value.decode()
        elif status != _COMPOSING:
            character = self._xkb.xkb_keysym_to_utf32(symbol)
            self.text += chr(character).replace("\r", "\n") if character else ""


def typed(layout: str, scan_codes: Iterable[int]) -> str:
    """The text that a keyboard's bytes (scan codes of set 1) make."""
    keyboard = Keyboard(layout)
    extended = False
    for byte in scan_codes:
        if byte == 0xE0:
            extended = True
            continue
        code = byte & 0x7F
        keyboard.key(_EXTENDED[code] if extended else code, down=byte < 0x80)
        extended = False
    return keyboard.text
