"""Themes: those that are shipped, the user's own, and files that are wrong."""

from __future__ import annotations

from itertools import combinations
from math import dist
from operator import mul
from pathlib import Path

import pytest
from rich.style import Style
from textual.color import Color
from textual.theme import BUILTIN_THEMES, Theme

from vmtui.errors import ConfigError
from vmtui.readable import readable
from vmtui.theming import Ink, following, load_theme, load_themes, shipped_folders


def shipped() -> dict[str, Theme]:
    themes, failed = load_themes(shipped_folders())
    assert not failed
    return {theme.name: theme for theme in themes}


def luminance(colour: Color) -> float:
    red, green, blue = linear(colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def linear(colour: Color) -> list[float]:
    return [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in colour.normalized]


def contrast(one: Color, other: Color) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def front(style: Style) -> Color:
    assert style.color
    return Color.from_rich_color(style.color)


def grounds(ink: Ink) -> dict[str, Color]:
    styles = {"base": ink.base, "bar": ink.bar, "cursor": ink.cursor}
    return {name: Color.from_rich_color(style.bgcolor) for name, style in styles.items()}


def test_the_four_themes_are_shipped() -> None:
    names = {"vmtui-dark", "vmtui-light", "vmtui-high-contrast", "vmtui-colour-blind"}
    assert names == set(shipped())


TEXTS = ("text", "quiet", "accent", "good", "warn", "bad", "note")
GRAPHS = ("cpu", "memory", "disk", "net")


@pytest.mark.parametrize("name", ["dark", "light", "high-contrast", "colour-blind"])
def test_what_is_shipped_can_be_read_on_every_ground(name: str) -> None:
    theme = shipped()[f"vmtui-{name}"]
    ink = Ink.of(theme)
    least, least_off = (7.0, 4.5) if name == "high-contrast" else (4.5, 3.0)
    for where, ground in grounds(ink).items():
        for text in TEXTS:
            assert contrast(front(getattr(ink, text)), ground) >= least, (text, where)
        for graph in GRAPHS:
            assert contrast(front(getattr(ink, graph)), ground) >= 3, (graph, where)
        assert contrast(front(ink.faint), ground) >= 1.4, where
        if where != "cursor":
            assert contrast(front(ink.off), ground) >= least_off, where
    base, cursor = grounds(ink)["base"], grounds(ink)["cursor"]
    assert contrast(cursor, base) >= 1.3
    assert contrast(Color.parse(theme.variables["scrollbar"]), base) >= 3


@pytest.mark.parametrize("name", ["dark", "light", "high-contrast", "colour-blind"])
def test_what_is_shipped_needs_no_help(name: str) -> None:
    theme = shipped()[f"vmtui-{name}"]
    helped = readable(theme)
    assert {**vars(helped), "variables": theme.variables} == vars(theme)


KNOWN_COLOURS = sorted(name for name, theme in BUILTIN_THEMES.items() if not theme.ansi)


@pytest.mark.parametrize("name", KNOWN_COLOURS)
def test_themes_of_textual_can_be_read(name: str) -> None:
    ink = Ink.of(BUILTIN_THEMES[name])
    for where, ground in grounds(ink).items():
        least = 4.5 if where == "base" else 3.0
        assert contrast(front(ink.text), ground) >= 4.5, where
        for text in TEXTS:
            assert contrast(front(getattr(ink, text)), ground) >= least, (text, where)
        assert contrast(front(ink.off), ground) >= least * 2 / 3, where


def test_what_a_theme_sets_for_vmtui_stays_as_it_is() -> None:
    theme = Theme("mine", "#223344", background="#202020", variables={"vmtui-quiet": "#303030"})
    helped = readable(theme)
    assert helped.variables["vmtui-quiet"] == "#303030"
    assert contrast(Color.parse(helped.primary), Color.parse("#202020")) >= 4.5
    assert theme.primary == "#223344"


SEEN = {
    "protan": ((0.152, 1.053, -0.205), (0.115, 0.786, 0.099), (-0.004, -0.048, 1.052)),
    "deutan": ((0.367, 0.861, -0.228), (0.280, 0.673, 0.047), (-0.012, 0.043, 0.969)),
    "tritan": ((1.256, -0.077, -0.179), (-0.078, 0.931, 0.148), (0.005, 0.691, 0.304)),
}
"""What is left of linear red, green and blue: Machado, Oliveira and Fernandes, 2009."""


def lab(red: float, green: float, blue: float) -> tuple[float, float, float]:
    x, y, z = (
        part ** (1 / 3) if part > 0.008856 else 7.787 * part + 16 / 116
        for part in (
            (0.4124 * red + 0.3576 * green + 0.1805 * blue) / 0.9505,
            0.2126 * red + 0.7152 * green + 0.0722 * blue,
            (0.0193 * red + 0.1192 * green + 0.9505 * blue) / 1.089,
        )
    )
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


@pytest.mark.parametrize("vision", SEEN)
def test_states_are_told_apart_with_any_kind_of_colour_vision(vision: str) -> None:
    ink = Ink.of(shipped()["vmtui-colour-blind"])

    def seen(style: Style) -> tuple[float, float, float]:
        rgb = linear(front(style))
        red, green, blue = (max(0.0, min(1.0, sum(map(mul, row, rgb)))) for row in SEEN[vision])
        return lab(red, green, blue)

    for one, other in combinations((ink.good, ink.warn, ink.bad), 2):
        assert dist(seen(one), seen(other)) >= 25


@pytest.mark.parametrize("name", sorted(BUILTIN_THEMES))
def test_every_theme_of_textual_gives_inks(name: str) -> None:
    ink = Ink.of(BUILTIN_THEMES[name])
    assert ink.good != ink.bad


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("primary = ", "Invalid value"),
        ("dark = true", "primary"),
        ('primary = "blurple"', "not a colour"),
        ('primary = "#fff"\nfancy = 1', "no such field"),
        ('primary = "#fff"\ndark = "yes"', "true or false"),
        ("primary = 7", "text in quotes"),
        ('primary = "#fff"\nvariables = 3', "a table"),
        ('primary = "#fff"\n[variables]\nvmtui-cpu = "nope"', "not a colour"),
        ('primary = "#fff"\n[variables]\nborder = 3', "text in quotes"),
        ('primary = "#fff"\ntext_alpha = "x"', "a number"),
    ],
)
def test_a_bad_file_costs_one_message(tmp_path: Path, content: str, reason: str) -> None:
    (tmp_path / "bad.toml").write_text(content)
    (tmp_path / "good.toml").write_text('primary = "#7aa2f7"')
    themes, failed = load_themes([tmp_path])
    assert [theme.name for theme in themes] == ["good"]
    assert len(failed) == 1
    assert "bad.toml" in str(failed[0])
    assert reason in str(failed[0])


def test_a_folder_that_is_not_there_is_no_problem(tmp_path: Path) -> None:
    assert load_themes([tmp_path / "none"]) == ([], [])


def test_the_users_theme_takes_the_place_of_a_shipped_one(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('name = "vmtui-dark"\nprimary = "#ff0000"')
    themes, _ = load_themes([*shipped_folders(), tmp_path])
    mine = [theme for theme in themes if theme.name == "vmtui-dark"]
    assert [theme.primary for theme in mine] == ["#ff0000"]


def test_an_unreadable_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        load_theme(tmp_path / "gone.toml")


def test_cycling_begins_with_vmtuis_own() -> None:
    names = ["nord", "vmtui-dark", "vmtui-light"]
    assert following(names, "vmtui-dark") == "vmtui-light"
    assert following(names, "nord") == "vmtui-dark"
    assert following(names, "unknown") == "vmtui-dark"
