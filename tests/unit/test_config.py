from pathlib import Path

import pytest

from vmtui.alarms import Thresholds
from vmtui.column_sets import DEFAULTS, ColumnSet
from vmtui.config import Config, escape_byte, load
from vmtui.errors import ConfigError
from vmtui.units import MIB


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
        ('[columns]\ncpu = ["name", "nope"]', "columns.cpu: there is no column 'nope'"),
        ('[columns]\ncpu = ["nope"]', "accel, address, allocation"),
        ('[columns]\ncpu = ["name", "name"]', "columns.cpu: a column is named twice"),
        ("[columns]\ncpu = []", "columns.cpu: a table needs a column"),
        ("[columns]\ncpu = [1]", "columns.cpu"),
        ("[columns]\nfirst = []", "columns.first: there is no such setting"),
        ("[columns]\nfirst = []", "There is: summary, cpu, memory, disk, network"),
        ("[alarms]\nnope = 1", "alarms.nope: there is no such figure"),
        ("[alarms]\nnope = 1", "ready_max"),
        ("[alarms]\nlatency = -1", "alarms.latency: -1.0 is not a number of 0 or more"),
        ("[alarms]\nlatency = nan", "alarms.latency"),
        ('[alarms]\nlatency = "25"', "alarms.latency: '25' is not a number or \"off\""),
        ('[alarms]\nballoon = "much"', "alarms.balloon: 'much' is not a size"),
        ('[alarms]\nsustained_s = "off"', "alarms.sustained_s: 'off' is not a number"),
        ("[alarms]\nlatency = true", "alarms"),
    ],
)
def test_errors_name_file_key_and_reason(path: Path, content: str, told: str) -> None:
    path.write_text(content)
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert str(path) in str(caught.value)
    assert told in str(caught.value)


def test_chosen_columns(path: Path) -> None:
    path.write_text('[columns]\ncpu = ["name", "exits"]\n')
    columns = load(path).columns
    assert columns.of(ColumnSet.CPU) == ("name", "exits")
    assert columns.of(ColumnSet.DISK) == DEFAULTS[ColumnSet.DISK]


def test_the_usual_alarms_where_nothing_is_said(path: Path) -> None:
    assert load(path).thresholds() == Thresholds()


def test_alarms_are_numbers_sizes_or_off_and_need_only_what_differs(path: Path) -> None:
    path.write_text(
        '[alarms]\nready_max = 5\nballoon = "512M"\nlatency = "off"\ncpu = 90\nsustained_s = 30\n'
    )
    thresholds = load(path).thresholds()
    assert thresholds.sustained_s == 30
    assert thresholds.above == {
        "ready_max": 5.0,
        "balloon": 512.0 * MIB,
        "guest_swap_out": 0.0,
        "swapped": 0.0,
        "drops": 0.0,
        "cpu": 90.0,
    }


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
