"""Where nothing may be changed: all can be looked at, and each verb is refused by its key."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import replace

from textual.pilot import Pilot

from tests.tui.support import press, running, said, shown, until, whole
from vmtui.actions import ACTIONS, Scope
from vmtui.app import VmtuiApp
from vmtui.backends.demo import DemoBackend
from vmtui.screens.balloon import BalloonScreen
from vmtui.screens.base import MAKES, FleetScreen
from vmtui.screens.images import ImagesScreen
from vmtui.screens.panel import Panel
from vmtui.screens.trash import TrashScreen
from vmtui.screens.vm import VMScreen

SIZE = (120, 40)
READ_ONLY = "This connection is read-only."


def looking() -> AbstractAsyncContextManager[tuple[VmtuiApp, Pilot[None]]]:
    """The app on two VMs."""
    return running(DemoBackend("demo:?vms=2", read_only=True), read_only=True, size=SIZE)


async def refused(app: VmtuiApp, pilot: Pilot[None], key: str) -> bool:
    """Whether a key does no more than to say why."""
    app.clear_notifications()
    for screen in app.screen_stack:
        if isinstance(screen, FleetScreen):
            screen._refused = ("", 0.0)  # what was said just now is not said again
    await press(pilot, key)
    return READ_ONLY in said(app)


async def test_no_action_that_changes_a_vm_or_makes_one_opens_anything() -> None:
    async with looking() as (app, pilot):
        assert "read-only" in shown(app.dashboard.top_bar)
        for action in ACTIONS:
            if action.id in MAKES or (action.scope is Scope.VM and action.changes):
                assert app.dashboard.refusal(action) == READ_ONLY, action.id
        for key in ("n", "e", "X"):
            assert await refused(app, pilot, key), key
            assert app.screen is app.dashboard


async def test_panels_tell_and_refuse() -> None:
    async with looking() as (app, pilot):
        for panel, key in (("t", "a"), ("f", "r"), ("M", "o")):
            await press(pilot, panel)
            opened = app.screen
            assert isinstance(opened, Panel)
            await until(pilot, lambda: "Reading" not in whole(app))
            assert "· read-only" in whole(app)
            assert await refused(app, pilot, key), panel
            assert app.screen is opened
            await press(pilot, "escape")


async def test_memory_is_shown_and_left_alone() -> None:
    async with looking() as (app, pilot):
        await press(pilot, "b")
        await until(pilot, lambda: "ceiling" in whole(app))
        screen = app.screen
        assert isinstance(screen, BalloonScreen)
        assert "· read-only" in whole(app)
        before = screen._slider.target_bytes
        await press(pilot, "left", "1")
        assert screen._slider.target_bytes == before
        for key in ("enter", "exclamation_mark", "a", "r", "f"):
            assert await refused(app, pilot, key), key
            assert app.screen is screen
        await press(pilot, "escape")
        assert app.screen is app.dashboard


async def test_hardware_is_shown_and_left_alone() -> None:
    async with looking() as (app, pilot):
        await press(pilot, "m")
        await until(pilot, lambda: isinstance(app.screen, VMScreen))
        screen = app.screen
        assert isinstance(screen, VMScreen)
        await until(pilot, lambda: "autostart" in whole(app))
        assert "read-only" in shown(screen.detail).splitlines()[0]
        await press(pilot, "down")
        for key in ("enter", "plus", "minus"):
            assert await refused(app, pilot, key), key
            assert app.screen is screen


async def test_images_and_trash_refuse_before_they_ask() -> None:
    backend = DemoBackend()
    old_db = next(vm for vm in await backend.vms() if vm.name == "old-db")
    plan = await backend.delete_plan(old_db.id)
    await backend.delete(old_db.id, replace(plan, to_trash=True))
    async with running(backend, read_only=True, size=SIZE) as (app, pilot):
        for opener, kind, keys in (("I", ImagesScreen, "npx"), ("Z", TrashScreen, "rx")):
            await press(pilot, opener)
            await until(pilot, lambda kind=kind: isinstance(app.screen, kind))  # type: ignore[misc]
            opened = app.screen
            await until(pilot, lambda: "Looking" not in whole(app))
            for key in keys:
                assert await refused(app, pilot, key), key
                assert app.screen is opened
            await press(pilot, "escape")


async def test_a_console_is_watched_and_not_offered() -> None:
    async with looking() as (app, pilot):
        await press(pilot, "c")
        await until(pilot, lambda: "◐ watching" in whole(app))
        assert f"{READ_ONLY} You see what is printed." in whole(app)
        assert "takes it over" not in whole(app)
        opened = app.screen
        await press(pilot, "ctrl+backslash", "t")
        await until(pilot, lambda: READ_ONLY in whole(app).splitlines()[-1])
        assert app.screen is opened
