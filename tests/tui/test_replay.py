"""A recording in the interface: the same screens, and keys for where it is played."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from textual.pilot import Pilot

from tests.tui.support import names, press, running, said, shown, until, whole
from tests.unit.test_recording import scripted
from vmtui.config import Config
from vmtui.recording import Recording
from vmtui.replay import ReplayFleet
from vmtui.replay_app import ReplayApp

SECONDS = 90


@pytest.fixture
async def recording(tmp_path: Path) -> Path:
    """A minute and a half of four VMs."""
    path = tmp_path / "recording"
    async with scripted(path) as live:
        await live.go(SECONDS)
    return path


@asynccontextmanager
async def replaying(path: Path) -> AsyncIterator[tuple[ReplayApp, Pilot[None]]]:
    fleet = ReplayFleet(Recording(path))
    app = ReplayApp(fleet, Config())
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await until(pilot, lambda: bool(app.dashboard.table.rows.shown))
        yield app, pilot
    await fleet.close()


def at_s(app: ReplayApp) -> float | None:
    host = app.fleet.view().connections[0].host_counters
    return host.at_s if host else None


async def test_it_pauses_steps_and_jumps(recording: Path) -> None:
    end_s = Recording(recording).end_s
    async with replaying(recording) as (app, pilot):
        assert names(app) == ["ci-runner", "postgres", "web-01", "win11"]
        bar = shown(app.dashboard.actions)
        assert bar.split("  ")[0].strip() == "P pause or go on"
        assert "n new" not in bar
        await pilot.click(app.dashboard.actions, offset=(bar.index("P pause"), 0))
        assert "‖" in shown(app.dashboard.top_bar)
        await press(pilot, "$")
        await until(pilot, lambda: at_s(app) == end_s)
        await press(pilot, ",")
        await until(pilot, lambda: at_s(app) == end_s - 1)
        await press(pilot, ".")
        await until(pilot, lambda: at_s(app) == end_s)
        await press(pilot, "{")
        await until(pilot, lambda: at_s(app) == end_s - 10)
        await press(pilot, "(")
        await until(pilot, lambda: at_s(app) == end_s - 70)
        await press(pilot, ")", "}")
        await until(pilot, lambda: at_s(app) == end_s)
        await press(pilot, "^")
        await until(pilot, lambda: app.player.position_s < end_s - SECONDS + 2)
        await press(pilot, "F", "F")
        assert "16×" in shown(app.dashboard.top_bar)
        await press(pilot, "P")
        await until(pilot, lambda: (at_s(app) or 0) > end_s - SECONDS + 3)


async def test_clocks_are_those_of_the_recording(recording: Path) -> None:
    async with replaying(recording) as (app, pilot):
        await press(pilot, "P", "$")
        await until(pilot, lambda: at_s(app) == Recording(recording).end_s)
        await pilot.pause()
        end = app.player.local().strftime("%H:%M:%S")
        assert f"{end} / {end}" in shown(app.dashboard.top_bar)
        assert "stalled" not in whole(app)
        assert "read-only" not in shown(app.dashboard.top_bar)


async def test_nothing_can_be_changed(recording: Path) -> None:
    async with replaying(recording) as (app, pilot):
        for key in ("s", "D", "X", "n", "r", "m", "b", "t"):
            app.dashboard._refused = ("", 0.0)  # what was said just now is not said again
            app.clear_notifications()
            await press(pilot, key)
            await until(pilot, lambda: "This is a recording." in said(app))
        assert not app.fleet.tasks.views


async def test_screens_of_a_vm_work(recording: Path) -> None:
    async with replaying(recording) as (app, pilot):
        await press(pilot, "enter")
        await until(pilot, lambda: "ci-runner" in whole(app))
        await press(pilot, "P")
        await press(pilot, "escape", "question_mark")
        await until(pilot, lambda: "replay_pause" in whole(app) or "Keys" in whole(app))


async def test_without_a_recording_the_keys_say_so() -> None:
    async with running() as (app, pilot):
        await press(pilot, "P")
        assert "That is for recordings" in said(app)
