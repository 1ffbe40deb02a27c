"""The user's configuration: where it is, what it may say, and what is wrong with it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
import platformdirs

from vmtui import toml
from vmtui.alarms import DEFAULT_SUSTAINED_S, DEFAULT_THRESHOLDS, Thresholds
from vmtui.column_sets import DEFAULTS, ColumnSet, known
from vmtui.deferred import deferred
from vmtui.errors import ConfigError
from vmtui.units import parse_size_bytes, plain

if TYPE_CHECKING:
    from vmtui import figures
else:
    (figures,) = deferred("vmtui", "figures")

ScrollbackLines = Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]
Days = Annotated[int, msgspec.Meta(ge=0, le=3650)]
Seconds = Annotated[float, msgspec.Meta(ge=0.2, le=3600)]

SUSTAINED = "sustained_s"
OFF = "off"


class Columns(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Columns of the table of VMs, by id, in the order in which they stand."""

    summary: tuple[str, ...] = DEFAULTS[ColumnSet.SUMMARY]
    cpu: tuple[str, ...] = DEFAULTS[ColumnSet.CPU]
    memory: tuple[str, ...] = DEFAULTS[ColumnSet.MEMORY]
    disk: tuple[str, ...] = DEFAULTS[ColumnSet.DISK]
    network: tuple[str, ...] = DEFAULTS[ColumnSet.NETWORK]

    def of(self, columns: ColumnSet) -> tuple[str, ...]:
        """The ids of one set."""
        chosen: tuple[str, ...] = getattr(self, columns.value)
        return chosen


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All settings; a file needs only those that differ."""

    connections: tuple[str, ...] = ()
    """URIs opened at start. Empty: `kvm:`, and libvirt where it answers."""

    read_only: bool = False
    """Refuse every change, in the interface and in commands."""

    theme: str = "vmtui-dark"
    """A theme of vmtui, of Textual, or of the user's own themes folder."""

    interval_s: Seconds = 1.0
    """Seconds between two samples."""

    keys: dict[str, str] = {}
    """Keys by action id, such as `delete = "f8"`; several with commas."""

    console_escape: str = "ctrl+]"
    """The key that detaches from a console: ctrl+ and a letter or one of ] \\ ^ _, or none."""

    console_prefix: str = "ctrl+backslash"
    """The key of the embedded consoles that is not the guest's: ctrl+ or alt+ and a key, or f1…"""

    scrollback_lines: ScrollbackLines = 10_000
    """Lines that an embedded console keeps."""

    paste_question_bytes: int = 4096
    """More than this is only pasted into a guest after a question; 0: always ask."""

    guest_title: bool = False
    """Whether a guest may name its console."""

    guest_clipboard: bool = False
    """Whether a guest may write to the clipboard (OSC 52)."""

    keyboard: Literal["us", "gb", "de", "fr"] = "us"
    """The layout that guests are set to: what is pasted into a screen is typed by it."""

    graphics: Literal["auto", "blocks", "kitty", "sixel"] = "auto"
    """How guests' screens are drawn; auto goes by what the terminal says of itself."""

    trash_days: Days = 30
    """How long deleted VMs of the direct backend can be brought back."""

    columns: Columns = Columns()
    """What the five sets of columns of the table are made of."""

    alarms: Mapping[str, float | str] = msgspec.field(
        default_factory=lambda: {**DEFAULT_THRESHOLDS, SUSTAINED: DEFAULT_SUSTAINED_S}
    )
    """By figure: more than this is an alarm, after `sustained_s`; "off": never."""

    def thresholds(self) -> Thresholds:
        """What counts as an alarm. Raises ConfigError with key and reason."""
        above = {}
        for key, value in self.alarms.items():
            limit = _limit(key, value)
            if limit is not None and key != SUSTAINED:
                above[key] = limit
        return Thresholds(above, _limit(SUSTAINED, self.alarms.get(SUSTAINED, 0)) or 0.0)


def config_path() -> Path:
    """Where the configuration is read from."""
    return platformdirs.user_config_path("vmtui") / "config.toml"


def themes_path() -> Path:
    """Where the user's own themes are."""
    return platformdirs.user_config_path("vmtui") / "themes"


def load(path: Path | None = None) -> Config:
    """The configuration; no file gives the defaults. Raises ConfigError with file, key, reason."""
    path = path or config_path()
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        return Config()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} can't be read", why=str(error)) from error
    try:
        config = msgspec.convert(toml.tables(text), Config)
    except toml.TomlError as error:
        raise ConfigError(f"{path} is not valid TOML", why=str(error)) from error
    except msgspec.ValidationError as error:
        raise _explained(path, str(error)) from error
    escape_byte(config.console_escape, path)
    _check_prefix(config.console_prefix, path)
    config = msgspec.structs.replace(config, alarms={**Config().alarms, **config.alarms})
    _check(config, path)
    return config


def _check_prefix(key: str, path: Path) -> None:
    if not re.fullmatch(r"(ctrl|alt)\+\S+|f([1-9]|1\d|2[0-4])", key):
        raise ConfigError(
            f"{path}: console_prefix",
            why=f"{key!r} is not ctrl+ or alt+ and a key, or a function key",
        )


def _check(config: Config, path: Path) -> None:
    for columns in ColumnSet:
        chosen = config.columns.of(columns)
        key = f"{path}: columns.{columns}"
        hint = f"There is: {', '.join(sorted(known()))}."
        unknown = next((column for column in chosen if column not in known()), None)
        if unknown is not None:
            raise ConfigError(key, why=f"there is no column {unknown!r}", hint=hint)
        if not chosen:
            raise ConfigError(key, why="a table needs a column", hint=hint)
        if len(set(chosen)) < len(chosen):
            raise ConfigError(key, why="a column is named twice")
    try:
        config.thresholds()
    except ConfigError as error:
        raise ConfigError(f"{path}: {error.what}", why=error.why, hint=error.hint) from error


def _limit(key: str, value: float | str) -> float | None:
    """The number that an alarm begins above; None: it is off."""
    what = f"alarms.{plain(key)}"
    figure = figures.BY_ID.get(key)
    if figure is None and key != SUSTAINED:
        there_is = ", ".join([*figures.BY_ID, SUSTAINED])
        raise ConfigError(what, why="there is no such figure", hint=f"There is: {there_is}.")
    is_bytes = figure is not None and figure.unit is figures.Unit.BYTES
    if isinstance(value, str):
        if value == OFF and figure is not None:
            return None
        if not is_bytes:
            kind = "a number" if figure is None else 'a number or "off"'
            raise ConfigError(what, why=f"{value!r} is not {kind}")
        try:
            return float(parse_size_bytes(value))
        except ValueError as error:
            raise ConfigError(what, why=str(error)) from error
    if not math.isfinite(value) or value < 0:
        raise ConfigError(what, why=f"{value} is not a number of 0 or more")
    return value


def _explained(path: Path, reason: str) -> ConfigError:
    # msgspec says "Expected `int`, got `str` - at `$.keys`" and "contains unknown field `x`".
    reason, _, where = reason.partition(" - at ")
    key = where.strip("`").removeprefix("$").removeprefix(".")
    unknown = reason.rpartition("unknown field ")[2].strip("`") if "unknown field" in reason else ""
    if unknown:
        table = Columns if key == "columns" else Config
        name = f"{key}.{unknown}" if key else unknown
        return ConfigError(
            f"{path}: {name}",
            why="there is no such setting",
            hint=f"There is: {', '.join(table.__struct_fields__)}.",
        )
    return ConfigError(
        f"{path}: {key or 'the file'}",
        why=reason[:1].lower() + reason[1:],
        hint="vmtui config show prints all settings with their values.",
    )


def escape_byte(key: str, path: Path | None = None) -> bytes:
    """The byte that `ctrl+X` sends; b"" for `none`. Raises ConfigError for anything else."""
    if key.lower() == "none":
        return b""
    prefix, _, character = key.lower().partition("+")
    if prefix == "ctrl" and len(character) == 1 and "@" <= character.upper() <= "_":
        return bytes([ord(character.upper()) & 0x1F])
    raise ConfigError(
        f"{path or config_path()}: console_escape",
        why=f"{key!r} is not none, or ctrl+ and a letter or one of ] \\ ^ _",
    )
