"""The mouse as xterm reports it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from vmtui.terminal.cells import Modes, Mouse, MouseEncoding
from vmtui.terminal.keys import encode_key

WHEEL_LINES = 3
"""Arrow keys that one notch of the wheel sends on the alternate screen."""

_SHIFT, _ALT, _CTRL, _MOVED = 4, 8, 16, 32
_NO_BUTTON = 3
_LAST_BYTE, _LAST_UTF8 = 223, 2015  # the columns and rows that these encodings can say


class Button(Enum):
    """Which one. The value is the code that is reported."""

    LEFT = 0
    MIDDLE = 1
    RIGHT = 2
    NONE = _NO_BUTTON
    WHEEL_UP = 64
    WHEEL_DOWN = 65
    WHEEL_LEFT = 66
    WHEEL_RIGHT = 67

    @property
    def is_wheel(self) -> bool:
        """Whether it is the wheel, which is never held down."""
        return self.value >= Button.WHEEL_UP.value


class Action(Enum):
    """What was done with it."""

    PRESS = "press"
    RELEASE = "release"
    MOVE = "move"


@dataclass(frozen=True, slots=True)
class MouseEvent:
    """Something that the mouse did, on a cell counted from 0."""

    action: Action
    button: Button
    """On a move, the one that is held down."""
    column: int
    row: int
    shift: bool = False
    alt: bool = False
    ctrl: bool = False


def encode_mouse(event: MouseEvent, modes: Modes) -> bytes:
    """What it sends; b"" if the guest does not want to hear of it."""
    if modes.mouse is Mouse.OFF:
        return _arrows(event, modes)
    if not _is_wanted(event, modes.mouse):
        return b""
    code = event.button.value
    if event.action is Action.MOVE:
        code += _MOVED
    if modes.mouse is not Mouse.PRESS:
        code += _SHIFT * event.shift + _ALT * event.alt + _CTRL * event.ctrl
    released = event.action is Action.RELEASE
    column, row = event.column + 1, event.row + 1
    if modes.mouse_encoding is MouseEncoding.SGR:
        return f"\x1b[<{code};{column};{row}{'m' if released else 'M'}".encode("ascii")
    if released:
        code = code - event.button.value + _NO_BUTTON
    if modes.mouse_encoding is MouseEncoding.URXVT:
        return f"\x1b[{code + 32};{column};{row}M".encode("ascii")
    values = (code + 32, column + 32, row + 32)
    if modes.mouse_encoding is MouseEncoding.UTF8:
        fits = max(column, row) <= _LAST_UTF8
        return b"\x1b[M" + "".join(map(chr, values)).encode("utf-8") if fits else b""
    return b"\x1b[M" + bytes(values) if max(column, row) <= _LAST_BYTE else b""


def _is_wanted(event: MouseEvent, mouse: Mouse) -> bool:
    if event.action is Action.PRESS:
        return event.button is not Button.NONE
    if event.action is Action.RELEASE:
        return mouse is not Mouse.PRESS and not event.button.is_wheel
    held = event.button is not Button.NONE
    return mouse is Mouse.MOTION or (mouse is Mouse.DRAG and held)


def _arrows(event: MouseEvent, modes: Modes) -> bytes:
    """The wheel for programs that fill the screen and know no mouse, such as less."""
    key = {Button.WHEEL_UP: "up", Button.WHEEL_DOWN: "down"}.get(event.button)
    if key is None or not (modes.alternate_screen and modes.alternate_scroll):
        return b""
    return encode_key(key, None, modes) * WHEEL_LINES
