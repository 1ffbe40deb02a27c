"""Themes: the files they come from, and the inks that widgets draw with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from rich.color import Color as RichColor
from rich.style import Style
from textual.app import App
from textual.color import Color, ColorParseError
from textual.theme import Theme

from vmtui import toml
from vmtui.errors import ConfigError
from vmtui.readable import colours_of, readable

DEFAULT = "vmtui-dark"
SIXTEEN = "ansi-dark"
"""In place of the default where a terminal has 16 colours: it would be left with four of them."""

_PREFIX = "vmtui-"
_FIELDS = {field.name for field in fields(Theme)}
_BOOLEANS = {"dark", "ansi"}
_NUMBERS = {"luminosity_spread", "text_alpha"}
_REQUIRED = "primary"


def shipped_folders() -> tuple[Path, ...]:
    """Where vmtui's own themes are: in the package if it was installed, beside it in a checkout."""
    package = Path(__file__).resolve().parent
    installed = package / "themes"
    return (installed if installed.is_dir() else package.parent / "themes",)


def load_themes(folders: Iterable[Path]) -> tuple[list[Theme], list[ConfigError]]:
    """All themes of all folders, later ones first in line for a name, and what failed.

    A bad file costs one message and itself only.
    """
    loaded: dict[str, Theme] = {}
    failed: list[ConfigError] = []
    for folder in folders:
        try:
            paths = sorted(folder.glob("*.toml"))
        except OSError as error:
            failed.append(ConfigError(f"{folder} can't be read", why=str(error)))
            continue
        for path in paths:
            try:
                theme = load_theme(path)
            except ConfigError as error:
                failed.append(error)
            else:
                loaded[theme.name] = theme
    return list(loaded.values()), failed


def load_theme(path: Path) -> Theme:
    """The theme of one file. Raises ConfigError with file, key and reason."""
    try:
        table = toml.tables(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, toml.TomlError) as error:
        raise ConfigError(f"the theme {path} can't be used", why=str(error)) from error
    table.setdefault("name", path.stem)
    for key, value in table.items():
        reason = _problem(key, value)
        if reason:
            raise ConfigError(f"the theme {path}: {key}", why=reason)
    if _REQUIRED not in table:
        raise ConfigError(f"the theme {path}: {_REQUIRED}", why="a theme needs this colour")
    theme = Theme(**table)
    try:
        colours_of(theme)
    except (ColorParseError, ValueError) as error:
        raise ConfigError(f"the theme {path} can't be used", why=str(error)) from error
    return theme


def _problem(key: str, value: Any) -> str:
    if key not in _FIELDS:
        return f"there is no such field; there is: {', '.join(sorted(_FIELDS))}"
    if key == "variables":
        return _variables_problem(value)
    if key in _BOOLEANS:
        return "" if isinstance(value, bool) else "it has to be true or false"
    if key in _NUMBERS:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return "" if is_number else "it has to be a number"
    if not isinstance(value, str):
        return "it has to be text in quotes"
    return "" if key == "name" else _colour_problem(value)


def _variables_problem(variables: Any) -> str:
    if not isinstance(variables, dict):
        return "it has to be a table"
    for name, value in variables.items():
        if not isinstance(value, str):
            return f"{name} has to be text in quotes"
        if name.startswith(_PREFIX) and _colour_problem(value):
            return f"{name}: {_colour_problem(value)}"
    return ""


def _colour_problem(value: str) -> str:
    try:
        Color.parse(value)
    except ColorParseError:
        return f"{value!r} is not a colour"
    return ""


@dataclass(frozen=True, slots=True)
class Ink:
    """The styles that widgets draw with, one per meaning. Backgrounds: base, bar and cursor."""

    base: Style  # a line of a pane
    bar: Style  # the top bar and the key bar
    cursor: Style  # the line under the cursor
    text: Style
    strong: Style
    quiet: Style  # labels, units, what is off
    faint: Style  # the empty part of a bar
    off: Style  # what can't be done now
    line: Style  # borders
    accent: Style  # keys and titles
    selected: Style  # a chosen tab
    good: Style
    warn: Style
    bad: Style
    note: Style  # badges
    cpu: Style
    memory: Style
    disk: Style
    net: Style

    @classmethod
    def of(cls, theme: Theme) -> Ink:
        """The inks of a theme: its `vmtui-…` variables, or what its colours come to."""
        theme = readable(theme)
        colours = colours_of(theme)
        foreground, background = colours["foreground"], colours["background"]

        def own(name: str, share: float = 1) -> Color:
            # A terminal's own colours have no known values that could be mixed.
            mixed = foreground if theme.ansi else background.blend(foreground, share)
            return colours.get(_PREFIX + name, mixed)

        def ground(name: str) -> RichColor:
            return (background if theme.ansi else own(name)).rich_color

        def ink(name: str, *, bold: bool | None = None) -> Style:
            colour = colours[_PREFIX + name if _PREFIX + name in colours else name]
            return Style(color=colour.rich_color, bold=bold)

        dim = theme.ansi or None
        return cls(
            base=Style(color=foreground.rich_color, bgcolor=background.rich_color),
            bar=Style(color=foreground.rich_color, bgcolor=ground("bar")),
            cursor=Style(color=foreground.rich_color, bgcolor=ground("cursor"), reverse=dim),
            text=Style(color=foreground.rich_color),
            strong=Style(color=foreground.rich_color, bold=True),
            quiet=Style(color=own("quiet").rich_color, dim=dim),
            faint=Style(color=own("faint", 0.22).rich_color, dim=dim),
            off=Style(color=own("off").rich_color, dim=dim),
            line=Style(color=own("line", 0.3).rich_color, dim=dim),
            accent=ink("primary", bold=True),
            selected=Style(
                color=background.rich_color, bgcolor=colours["primary"].rich_color, bold=True
            ),
            good=ink("success"),
            warn=ink("warning"),
            bad=ink("error"),
            note=ink("accent"),
            cpu=ink("cpu") if _PREFIX + "cpu" in colours else ink("accent"),
            memory=ink("memory") if _PREFIX + "memory" in colours else ink("secondary"),
            disk=ink("disk") if _PREFIX + "disk" in colours else ink("success"),
            net=ink("net") if _PREFIX + "net" in colours else ink("warning"),
        )


_inks: WeakKeyDictionary[App[Any], tuple[str, Ink]] = WeakKeyDictionary()


def ink_of(app: App[Any]) -> Ink:
    """The inks of the app's theme of this moment."""
    known = _inks.get(app)
    if known is None or known[0] != app.theme:
        known = _inks[app] = (app.theme, Ink.of(app.current_theme))
    return known[1]


def following(names: Sequence[str], current: str) -> str:
    """The theme after `current`: vmtui's own come first."""
    ordered = sorted(names, key=lambda name: (not name.startswith(_PREFIX), name))
    at = ordered.index(current) if current in ordered else -1
    return ordered[(at + 1) % len(ordered)]
