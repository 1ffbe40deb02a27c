"""Colours that can be told apart: themes whose text can be read on all grounds it stands on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import chain

from textual.color import Color
from textual.theme import Theme

TEXT = 4.5
"""The least contrast of text with its ground; with those that are tinted, two thirds of it."""

_OFF = 3.0
_ROOM = 5.5  # the foreground's: what is left of it on a tinted ground is to be `TEXT`
_TINTED = 2 / 3
_STEPS = 20
_INKS = ("primary", "secondary", "accent", "success", "warning", "error")
_BASES = {*_INKS, "background", "foreground", "panel"}

_readable: dict[str, tuple[Theme, Theme]] = {}


def readable(theme: Theme) -> Theme:
    """The theme, with what can't be read on its grounds moved away from them.

    Textual's themes are made for text in the colour of the foreground; here colours are text.
    What is far enough stays as it is, and so does what the theme sets under `[variables]`.
    """
    known = _readable.get(theme.name)
    if known is None or theme not in known:
        # A terminal's own colours have no known values that could be told apart.
        known = _readable[theme.name] = (theme, theme if theme.ansi else _made_readable(theme))
    return known[1]


@dataclass(frozen=True, slots=True)
class _Grounds:
    """What text stands on."""

    background: Color
    bar: Color
    cursor: Color

    def ink(self, colour: Color, least: float = TEXT) -> Color:
        """`colour`, readable on all of them."""
        tinted = least * _TINTED
        return _moved(
            colour,
            self.background.get_contrast_text(1.0),
            lambda moved: (
                contrast(moved, self.background) >= least
                and min(contrast(moved, self.bar), contrast(moved, self.cursor)) >= tinted
            ),
        )


def _made_readable(theme: Theme) -> Theme:
    colours = colours_of(theme)
    background, primary = colours["background"], colours["primary"]
    foreground = _Grounds(background, background, background).ink(colours["foreground"], _ROOM)

    def ground(colour: Color) -> Color:
        return _moved(colour, background, lambda moved: contrast(foreground, moved) >= TEXT)

    panel = ground(colours["panel"])
    bar = colours.get("vmtui-bar", panel)
    cursor = colours.get("vmtui-cursor", ground(background.blend(primary, 0.3)))
    grounds = _Grounds(background, bar, cursor)
    inks = {name: grounds.ink(colours[name]) for name in _INKS}
    quiet = grounds.ink(colours.get("vmtui-quiet", background.blend(foreground, 0.6)))
    off = grounds.ink(colours.get("vmtui-off", background.blend(foreground, 0.4)), _OFF)
    variables = {
        "vmtui-quiet": quiet,
        "vmtui-off": off,
        "vmtui-bar": bar,
        "vmtui-cursor": cursor,
        "text-muted": quiet,
        "text-disabled": off,
        "block-cursor-blurred-background": cursor,
        "block-cursor-blurred-foreground": foreground,
        **{f"text-{name}": colour for name, colour in inks.items()},
    }
    named = {name: colour.hex for name, colour in variables.items()}
    changed = replace(theme, variables={**named, **theme.variables})
    for name, colour in {**inks, "foreground": foreground, "panel": panel}.items():
        if colour is not colours[name]:
            setattr(changed, name, colour.hex)
    return changed


def colours_of(theme: Theme) -> dict[str, Color]:
    """By name: what a theme sets itself, and what Textual makes of that."""
    own = {name: value for name in _BASES if (value := getattr(theme, name))}
    known = {**theme.to_color_system().generate(), **own, **theme.variables}
    return {
        name: Color.parse(value)
        for name, value in known.items()
        if name in _BASES or name.startswith("vmtui-")
    }


def _moved(colour: Color, end: Color, holds: Callable[[Color], bool]) -> Color:
    """`colour`, as far on its way to `end` as it takes."""
    way = (colour.blend(end, step / _STEPS) for step in range(1, _STEPS))
    return next(filter(holds, chain([colour], way)), end)


def contrast(one: Color, other: Color) -> float:
    """How well two colours are told apart, from 1 to 21, as WCAG counts it."""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: Color) -> float:
    red, green, blue = (
        value / 12.92 if value <= 0.03928 else ((value + 0.055) / 1.055) ** 2.4
        for value in colour.normalized
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
