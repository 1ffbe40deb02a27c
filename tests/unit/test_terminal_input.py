"""Keys, mouse and paste, as xterm sends them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmtui.terminal.cells import Modes, Mouse, MouseEncoding
from vmtui.terminal.keys import encode_key
from vmtui.terminal.mouse import Action, Button, MouseEvent, encode_mouse
from vmtui.terminal.paste import encode_paste

PLAIN = Modes()
APPLICATION = Modes(application_cursor=True)


@pytest.mark.parametrize(
    ("name", "character", "sent"),
    [
        ("a", "a", "a"),
        ("A", "A", "A"),
        ("shift+a", None, "A"),
        ("é", "é", "é"),
        ("full_stop", ".", "."),
        ("plus", None, "+"),
        ("space", " ", " "),
        ("enter", "\r", "\r"),
        ("tab", "\t", "\t"),
        ("shift+tab", None, "\x1b[Z"),
        ("escape", "\x1b", "\x1b"),
        ("backspace", "\x7f", "\x7f"),
        ("ctrl+h", "\x08", "\x08"),
        ("ctrl+c", "\x03", "\x03"),
        ("ctrl+shift+c", None, "\x03"),
        ("ctrl+right_square_bracket", "\x1d", "\x1d"),
        ("ctrl+left_square_bracket", None, "\x1b"),
        ("ctrl+backslash", None, "\x1c"),
        ("ctrl+circumflex_accent", None, "\x1e"),
        ("ctrl+underscore", None, "\x1f"),
        ("ctrl+slash", None, "\x1f"),
        ("ctrl+@", "\x00", "\x00"),
        ("ctrl+space", None, "\x00"),
        ("alt+x", None, "\x1bx"),
        ("alt+é", "é", "\x1bé"),
        ("alt+enter", None, "\x1b\r"),
        ("alt+backspace", None, "\x1b\x7f"),
        ("ctrl+alt+c", None, "\x1b\x03"),
        ("up", None, "\x1b[A"),
        ("ctrl+left", None, "\x1b[1;5D"),
        ("shift+end", None, "\x1b[1;2F"),
        ("alt+shift+up", None, "\x1b[1;4A"),
        ("f1", None, "\x1bOP"),
        ("shift+f1", None, "\x1b[1;2P"),
        ("f5", None, "\x1b[15~"),
        ("ctrl+shift+f5", None, "\x1b[15;6~"),
        ("f12", None, "\x1b[24~"),
        ("f20", None, "\x1b[34~"),
        ("insert", None, "\x1b[2~"),
        ("ctrl+delete", None, "\x1b[3;5~"),
        ("pageup", None, "\x1b[5~"),
        ("hyper+x", None, ""),
        ("print_screen", None, ""),
    ],
)
def test_keys(name: str, character: str | None, sent: str) -> None:
    assert encode_key(name, character, PLAIN) == sent.encode()


def test_keys_in_modes() -> None:
    assert encode_key("up", None, APPLICATION) == b"\x1bOA"
    assert encode_key("ctrl+up", None, APPLICATION) == b"\x1b[1;5A"
    assert encode_key("home", None, APPLICATION) == b"\x1bOH"
    assert encode_key("pageup", None, APPLICATION) == b"\x1b[5~"
    assert encode_key("enter", "\r", Modes(newline=True)) == b"\r\n"


@given(st.text(max_size=20), st.none() | st.text(max_size=3))
def test_any_key_name_gives_bytes(name: str, character: str | None) -> None:
    assert isinstance(encode_key(name, character, PLAIN), bytes)


def event(action: Action, button: Button, column: int = 0, row: int = 0) -> MouseEvent:
    return MouseEvent(action, button, column, row)


@pytest.mark.parametrize(
    ("encoding", "press", "release", "far"),
    [
        (MouseEncoding.BYTES, b"\x1b[M #$", b"\x1b[M##$", b""),
        (MouseEncoding.UTF8, b"\x1b[M #$", b"\x1b[M##$", "\x1b[M ō$".encode()),
        (MouseEncoding.SGR, b"\x1b[<0;3;4M", b"\x1b[<0;3;4m", b"\x1b[<0;301;4M"),
        (MouseEncoding.URXVT, b"\x1b[32;3;4M", b"\x1b[35;3;4M", b"\x1b[32;301;4M"),
    ],
)
def test_mouse_encodings(encoding: MouseEncoding, press: bytes, release: bytes, far: bytes) -> None:
    modes = Modes(mouse=Mouse.BUTTONS, mouse_encoding=encoding)
    assert encode_mouse(event(Action.PRESS, Button.LEFT, 2, 3), modes) == press
    assert encode_mouse(event(Action.RELEASE, Button.LEFT, 2, 3), modes) == release
    assert encode_mouse(event(Action.PRESS, Button.LEFT, 300, 3), modes) == far


@pytest.mark.parametrize(
    ("mouse", "heard"),
    [
        (Mouse.OFF, set()),
        (Mouse.PRESS, {"press"}),
        (Mouse.BUTTONS, {"press", "release"}),
        (Mouse.DRAG, {"press", "release", "drag"}),
        (Mouse.MOTION, {"press", "release", "drag", "move"}),
    ],
)
def test_what_a_guest_hears(mouse: Mouse, heard: set[str]) -> None:
    events = {
        "press": event(Action.PRESS, Button.RIGHT),
        "release": event(Action.RELEASE, Button.RIGHT),
        "drag": event(Action.MOVE, Button.RIGHT),
        "move": event(Action.MOVE, Button.NONE),
    }
    modes = Modes(mouse=mouse, mouse_encoding=MouseEncoding.SGR)
    assert {name for name, one in events.items() if encode_mouse(one, modes)} == heard


def test_the_wheel() -> None:
    notch = event(Action.PRESS, Button.WHEEL_UP)
    assert encode_mouse(notch, PLAIN) == b""
    assert encode_mouse(notch, Modes(alternate_screen=True)) == b"\x1b[A" * 3
    assert encode_mouse(notch, Modes(alternate_screen=True, alternate_scroll=False)) == b""
    reported = Modes(alternate_screen=True, mouse=Mouse.BUTTONS, mouse_encoding=MouseEncoding.SGR)
    assert encode_mouse(notch, reported) == b"\x1b[<64;1;1M"


def test_mouse_with_keys_held() -> None:
    modes = Modes(mouse=Mouse.DRAG, mouse_encoding=MouseEncoding.SGR)
    drag = MouseEvent(Action.MOVE, Button.LEFT, 0, 0, shift=True, alt=True, ctrl=True)
    assert encode_mouse(drag, modes) == b"\x1b[<60;1;1M"


def test_paste() -> None:
    bracketed = Modes(bracketed_paste=True)
    assert encode_paste("a\r\nb\nc\td\x1b[Ae\x7f", PLAIN) == b"a\rb\rc\td[Ae"
    assert encode_paste("a\x1b[201~b", bracketed) == b"\x1b[200~a[201~b\x1b[201~"
    nested = "a\x1b[20\x1b[201~1~b\x03"
    assert encode_paste(nested, bracketed, allow_controls=True) == b"\x1b[200~ab\x03\x1b[201~"
