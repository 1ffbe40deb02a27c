"""Presets: recipes by name, vmtui's own beside this file and the user's in the configuration."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from vmtui.errors import InputError
from vmtui.recipe import Recipe, read_preset
from vmtui.units import plain

ORDER = ("dev", "server", "windows-11", "sandbox", "micro")
"""vmtui's own, the most wanted first."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,40}")


@dataclass(frozen=True, slots=True)
class Preset:
    """A recipe under a name; `about` is the comment on its first line."""

    name: str
    recipe: Recipe
    about: str = ""


def own_folder() -> Path:
    """Where the user's presets are; one of the same name stands for vmtui's."""
    return platformdirs.user_config_path("vmtui") / "presets"


def own_path(name: str) -> Path:
    """Where the user's preset of that name is. Raises InputError for what can't be a name."""
    if not _NAME.fullmatch(name):
        raise InputError(
            f"{name!r} can't be a preset's name", hint="Use letters, digits, '.', '-' and '_'."
        )
    return own_folder() / f"{name}.toml"


def names(folder: Path | None = None) -> list[str]:
    """All presets, vmtui's first. Reads two folders."""
    own = sorted(path.stem for path in (folder or own_folder()).glob("*.toml"))
    return [*ORDER, *(plain(name) for name in own if name not in ORDER)]


def preset(name: str, folder: Path | None = None) -> Preset:
    """The preset of that name. Raises InputError if there is none, or it can't be read."""
    for place in (folder or own_folder(), Path(__file__).parent):
        path = place / f"{name}.toml"
        try:
            text = path.read_text("utf-8") if _NAME.fullmatch(name) else None
        except FileNotFoundError:
            continue
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{path} can't be read", why=str(error)) from error
        if text is not None:
            first = text.partition("\n")[0]
            about = plain(first.removeprefix("#").strip()) if first.startswith("#") else ""
            return Preset(name, read_preset(text, str(path)), about)
    raise InputError(f"there is no preset {name!r}", hint=f"There is: {', '.join(names(folder))}.")


def applied(recipe: Recipe, folder: Path | None = None) -> Recipe:
    """The recipe over the preset that it names. Raises InputError."""
    return recipe if recipe.preset is None else recipe.over(preset(recipe.preset, folder).recipe)
