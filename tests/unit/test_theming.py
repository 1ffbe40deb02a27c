"""Themes: those that are shipped, the user's own, and files that are wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.color import Color
from textual.theme import BUILTIN_THEMES, Theme

from vmtui.errors import ConfigError
from vmtui.theming import Ink, following, load_theme, load_themes, shipped_folders


def shipped() -> dict[str, Theme]:
    themes, failed = load_themes(shipped_folders())
    assert not failed
    return {theme.name: theme for theme in themes}


def contrast(one: str, other: str) -> float:
    def luminance(text: str) -> float:
        channels = [value / 255 for value in Color.parse(text).rgb]
        red, green, blue = (
            c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels
        )
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def test_the_four_themes_are_shipped() -> None:
    names = {"vmtui-dark", "vmtui-light", "vmtui-high-contrast", "vmtui-colour-blind"}
    assert names == set(shipped())


@pytest.mark.parametrize("name", ["dark", "light", "high-contrast", "colour-blind"])
def test_text_can_be_read(name: str) -> None:
    theme = shipped()[f"vmtui-{name}"]
    least = 7.0 if name == "high-contrast" else 4.5
    background = theme.background or ""
    for colour in (
        theme.foreground,
        theme.primary,
        theme.success,
        theme.warning,
        theme.error,
        theme.variables["vmtui-quiet"],
        theme.variables["vmtui-cpu"],
        theme.variables["vmtui-memory"],
    ):
        assert contrast(colour or "", background) >= least, colour
    # Text stays readable on the line under the cursor and on the bars too.
    for ground in (theme.variables["vmtui-cursor"], theme.variables["vmtui-bar"]):
        assert contrast(theme.foreground or "", ground) >= 4.5


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
