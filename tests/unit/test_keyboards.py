"""Names of keys, combinations, and layouts held against libxkbcommon's."""

import string

import pytest

from tests.xkb import Keyboard
from vmtui.errors import InputError
from vmtui.keyboards import KEYS, LAYOUTS, chord, known, layout, text_to_keys


def made_by_xkb(name: str, text: str) -> str:
    """What libxkbcommon makes of the keys for `text`."""
    keyboard = Keyboard(name)
    for keys in text_to_keys(text, name):
        for key in keys:
            keyboard.key(KEYS[key], down=True)
        for key in reversed(keys):
            keyboard.key(KEYS[key], down=False)
    return keyboard.text


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_character_of_a_layout_is_what_linux_makes_of_its_keys(name: str) -> None:
    wrong = {c: made_by_xkb(name, c) for c in layout(name).characters}
    assert {c: made for c, made in wrong.items() if made != c} == {}


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_has_all_of_ascii(name: str) -> None:
    assert set(string.printable) - set("\x0b\x0c\r") <= set(layout(name).characters)


@pytest.mark.parametrize(
    ("name", "own"), [("gb", "£¬€"), ("de", "äöüÄÖÜß§€°µáÈ"), ("fr", "éèçàùêË§²")]
)
def test_a_layout_has_the_letters_of_its_language(name: str, own: str) -> None:
    assert set(own) <= set(layout(name).characters)


def test_characters_that_a_layout_has_not_are_named() -> None:
    with pytest.raises(InputError, match=r"US keyboard \(us\) has no 'ß', '漢', U\+0007") as raised:
        text_to_keys("aß漢\x07ß", "us")
    assert "de" in raised.value.hint


def test_line_ends_of_all_systems_are_one_enter() -> None:
    assert text_to_keys("a\r\nb\rc\n", "us") == text_to_keys("a\nb\nc\n", "us")


def test_a_letter_with_its_mark_apart_is_the_same_letter() -> None:
    assert text_to_keys("u\u0308", "de") == text_to_keys("ü", "de")


def test_an_unknown_layout_is_refused() -> None:
    with pytest.raises(InputError, match="no keyboard layout"):
        text_to_keys("a", "../de")


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("ctrl-alt-del", ("ctrl", "alt", "delete")),
        ("Del+Ctrl+Alt", ("ctrl", "alt", "delete")),
        ("ctrl-alt-f2", ("ctrl", "alt", "f2")),
        ("super-l", ("meta_l", "l")),
        ("enter", ("ret",)),
        ("altgr-q", ("alt_r", "q")),
        ("ctrl-minus", ("ctrl", "minus")),
    ],
)
def test_combinations_are_read_as_people_write_them(text: str, keys: tuple[str, ...]) -> None:
    assert chord(text) == keys


@pytest.mark.parametrize("text", ["", " ", "ctrl-", "-", "ctrl-alt-nothing", "a-a", "é", "\x1b"])
def test_what_is_no_combination_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        chord(text)


def test_only_known_keys_go_to_a_guest() -> None:
    assert known(["ctrl", "c"]) == ("ctrl", "c")
    for unknown in ([], ["nothing"]):
        with pytest.raises(InputError):
            known(unknown)
