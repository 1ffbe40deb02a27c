from pathlib import Path

import pytest

from vmtui.config import Config, escape_byte, load
from vmtui.errors import ConfigError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "config.toml"


def test_no_file_is_all_defaults(path: Path) -> None:
    assert load(path) == Config()


def test_a_file_needs_only_what_differs(path: Path) -> None:
    path.write_text('connections = ["kvm:"]\n[keys]\ndelete = "f8"\n')
    config = load(path)
    assert config.connections == ("kvm:",)
    assert config.keys == {"delete": "f8"}
    assert config.theme == Config().theme


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("themes = 1", "themes: there is no such setting"),
        ("interval_s = 0", "interval_s"),
        ('interval_s = "fast"', "interval_s"),
        ("keys = 3", "keys"),
        ("[keys]\nnew = 3", "keys"),
        ("connections = [", "not valid TOML"),
        ('console_escape = "x"', "console_escape"),
        ("theme = \x00", "not valid TOML"),
    ],
)
def test_errors_name_file_key_and_reason(path: Path, content: str, told: str) -> None:
    path.write_text(content)
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert str(path) in str(caught.value)
    assert told in str(caught.value)


def test_a_folder_in_its_place(path: Path) -> None:
    path.mkdir()
    with pytest.raises(ConfigError, match="can't be read"):
        load(path)


def test_bytes_that_are_no_text(path: Path) -> None:
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="can't be read"):
        load(path)


@pytest.mark.parametrize(("key", "byte"), [("ctrl+]", b"\x1d"), ("ctrl+a", b"\x01")])
def test_escape_keys(key: str, byte: bytes) -> None:
    assert escape_byte(key) == byte
