"""Themes on the screens: what is written can be read in each of them, on every kind of terminal."""

from __future__ import annotations

import pytest
from rich.cells import cell_len
from rich.style import Style
from textual.color import Color

from tests.tui.support import fleet_of, nothing_missing, press, running, until, whole
from vmtui.app import FleetChanged, VmtuiApp
from vmtui.config import Config
from vmtui.readable import contrast
from vmtui.theming import DEFAULT, SIXTEEN, ink_of

OWN = ("vmtui-light", "vmtui-high-contrast", "vmtui-colour-blind", "vmtui-dark")

STATIONS = (
    (("space", "slash", "w", "enter"), "1 marked"),
    (("n", "tab", "exclamation_mark", "tab", "x", "tab"), "whole number"),
    (("X",), "trash"),
    (("b",), "ceiling"),
    (("I",), "debian-12"),
)
"""The keys that lead to what is looked at, and what is on it once it is there."""

DRAWN = set(map(chr, [*range(0x2500, 0x25B8), *range(0x2800, 0x2900)]))
"""Borders, bars and graphs: they are not text."""


@pytest.fixture
async def _debug() -> None:
    """Only what is drawn is looked at here; other tests go the same ways in debug mode."""


def front(style: Style) -> Color:
    assert style.color
    return Color.from_rich_color(style.color)


def back(style: Style) -> Color:
    assert style.bgcolor
    return Color.from_rich_color(style.bgcolor)


def unreadable(app: VmtuiApp) -> set[str]:
    """What the screen in front says in a colour too near to its ground."""
    off = front(ink_of(app).off)
    found = set()
    for y, strip in enumerate(app.screen._compositor.render_strips()):
        x = 0
        for text, style, _ in strip:
            at = x + len(text) - len(text.lstrip())
            x += cell_len(text)
            if not style or set(text.strip()) <= DRAWN:
                continue
            least = 3.0 if front(style) == off else 4.5
            if contrast(front(style), back(style)) >= least:
                continue
            if not app.screen.is_modal or app.screen.get_widget_at(at, y)[0] is not app.screen:
                found.add(f"{text.strip()}: {front(style).hex} on {back(style).hex}")
    return found


async def test_what_is_written_can_be_read_in_every_theme() -> None:
    fleet = fleet_of(still=True)
    app = VmtuiApp(fleet, Config(), examine=nothing_missing)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await fleet.connect()
        await fleet.connections[0].sample()
        app.post_message(FleetChanged(fleet.view()))
        await pilot.pause()
        app.dashboard.point_at(fleet.find("web-01"))
        for severity in ("information", "warning", "error"):
            app.notify("text", title="title", severity=severity, timeout=600)
        for keys, there in STATIONS:
            for key in keys:
                await press(pilot, key)
                await until(pilot, lambda key=key: key != "n" or "alpine" in whole(app))  # type: ignore[misc]
            await until(pilot, lambda there=there: there in whole(app))  # type: ignore[misc]
            for theme in OWN:
                app.theme = theme
                await pilot.pause()
                assert not unreadable(app), (keys, theme)
            if app.screen is not app.dashboard:
                await press(pilot, "escape")
                await until(pilot, lambda: app.screen is app.dashboard)


@pytest.mark.parametrize(
    ("term", "theme"), [("linux", SIXTEEN), ("xterm", SIXTEEN), ("xterm-256color", DEFAULT)]
)
async def test_the_default_needs_more_than_16_colours(
    term: str, theme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLORTERM")
    monkeypatch.setenv("TERM", term)
    async with running(rows=False) as (app, _):
        assert app.theme == theme


@pytest.mark.parametrize("theme", ["ansi-dark", DEFAULT])
async def test_what_is_below_a_dialog_stays_in_sight(theme: str) -> None:
    async with running(config=Config(theme=theme)) as (app, pilot):
        await press(pilot, "G", "D")
        await until(pilot, lambda: "loses power" in whole(app))
        assert "ci-runner" in whole(app)
