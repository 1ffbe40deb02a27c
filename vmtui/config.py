"""The user's configuration: where it is, what it may say, and what is wrong with it."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated

import msgspec
import platformdirs

from vmtui.errors import ConfigError

Seconds = Annotated[float, msgspec.Meta(ge=0.2, le=3600)]


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
    """The key that detaches from a console: ctrl+ and a letter or one of ] \\ ^ _."""


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
        config = msgspec.convert(tomllib.loads(text), Config)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not valid TOML", why=str(error)) from error
    except msgspec.ValidationError as error:
        raise _explained(path, str(error)) from error
    escape_byte(config.console_escape, path)
    return config


def _explained(path: Path, reason: str) -> ConfigError:
    # msgspec says "Expected `int`, got `str` - at `$.keys`" and "contains unknown field `x`".
    reason, _, where = reason.partition(" - at ")
    key = where.strip("`").removeprefix("$").removeprefix(".")
    unknown = reason.rpartition("unknown field ")[2].strip("`") if "unknown field" in reason else ""
    if unknown:
        known = ", ".join(Config.__struct_fields__)
        return ConfigError(
            f"{path}: {unknown}", why="there is no such setting", hint=f"There is: {known}."
        )
    return ConfigError(
        f"{path}: {key or 'the file'}",
        why=reason[:1].lower() + reason[1:],
        hint="vmtui config show prints all settings with their values.",
    )


def escape_byte(key: str, path: Path | None = None) -> bytes:
    """The byte that `ctrl+X` sends. Raises ConfigError for anything else."""
    prefix, _, character = key.lower().partition("+")
    if prefix == "ctrl" and len(character) == 1 and "@" <= character.upper() <= "_":
        return bytes([ord(character.upper()) & 0x1F])
    raise ConfigError(
        f"{path or config_path()}: console_escape",
        why=f"{key!r} is not ctrl+ and a letter or one of ] \\ ^ _",
    )
