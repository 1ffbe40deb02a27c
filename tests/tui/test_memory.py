"""The memory dialog: a target is chosen, asked for, and followed to what the guest makes of it."""

from __future__ import annotations

from textual import events
from textual.pilot import Pilot

from tests.tui.support import point, press, running, until, whole
from vmtui.app import VmtuiApp
from vmtui.backends.demo import DemoBackend
from vmtui.model import VMId
from vmtui.screens.balloon import BalloonScreen
from vmtui.units import GIB, MIB
from vmtui.widgets.memory_slider import MemorySlider

SIZE = (90, 30)
"""Smaller screens are drawn in less time."""


async def memory(pilot: Pilot[None], app: VmtuiApp, name: str) -> MemorySlider:
    """The slider of a VM, once its figures are there."""
    await point(pilot, app, name)
    await press(pilot, "b")
    await until(pilot, lambda: "ceiling" in whole(app))
    assert isinstance(app.screen, BalloonScreen)
    return app.screen.query_one(MemorySlider)


def id_of(app: VmtuiApp, name: str) -> VMId:
    return app.fleet.find(name).id


async def test_a_target_is_chosen_by_keys_mouse_and_digits_and_reached() -> None:
    backend = DemoBackend()
    async with running(backend, size=SIZE) as (app, pilot):
        slider = await memory(pilot, app, "web-01")
        assert slider.target_bytes == 3 * GIB
        await press(pilot, "left", "left")
        assert slider.target_bytes == 3 * GIB - 2 * slider.step_bytes
        await press(pilot, "shift+right")
        assert slider.target_bytes == 3 * GIB  # a larger step stops at what it has
        await press(pilot, "end")
        assert slider.target_bytes == 4 * GIB
        await pilot.click(slider, offset=(slider.size.width // 2, 1))
        assert abs(slider.target_bytes - 2 * GIB) <= 2 * slider.step_bytes
        await press(pilot, *"2900M")
        assert slider.target_bytes == 2900 * MIB
        await press(pilot, "enter")
        await until(pilot, lambda: "✓ web-01 has 2.83 GiB" in whole(app))
        assert (await backend.balloon(id_of(app, "web-01"))).actual_bytes == 2900 * MIB


async def test_a_target_that_is_typed_ahead_of_the_focus_is_whole() -> None:
    async with running(size=SIZE) as (app, pilot):
        slider = await memory(pilot, app, "web-01")
        for key in "2900M":  # all before the first of them is looked at
            app.post_message(events.Key(key, key))
        await until(pilot, lambda: slider.target_bytes == 2900 * MIB)


async def test_a_size_that_can_not_be_is_told_while_it_is_typed() -> None:
    async with running(size=SIZE) as (app, pilot):
        await memory(pilot, app, "web-01")
        await press(pilot, "9")
        await until(pilot, lambda: "has no unit" in whole(app))
        await press(pilot, "G")
        await until(pilot, lambda: "its ceiling is 4 GiB" in whole(app))


async def test_the_floor_protects_unless_somebody_insists() -> None:
    backend = DemoBackend()
    async with running(backend, size=SIZE) as (app, pilot):
        await memory(pilot, app, "web-01")
        await press(pilot, *"500M", "enter")
        await until(pilot, lambda: "is not asked to do with 500 MiB" in whole(app))
        vm = id_of(app, "web-01")
        assert (await backend.balloon(vm)).target_bytes == 3 * GIB
        await press(pilot, "exclamation_mark")
        await until(pilot, lambda: "With less its guest may swap" in whole(app))
        await press(pilot, "y")
        await until(pilot, lambda: "↻" in whole(app))
        assert (await backend.balloon(vm)).target_bytes == 500 * MIB


async def test_a_guest_without_driver_does_not_comply() -> None:
    async with running(size=SIZE) as (app, pilot):
        await memory(pilot, app, "router")
        assert "its guest has no driver" in whole(app)
        await press(pilot, *"600M", "enter")
        await until(pilot, lambda: "not complying: router stays at 1 GiB" in whole(app))


async def test_automatic_balance_is_switched_with_its_plan() -> None:
    async with running(size=SIZE) as (app, pilot):
        await memory(pilot, app, "web-01")
        await press(pilot, "a")
        await until(pilot, lambda: "automatic balance: off → on" in whole(app))
        await press(pilot, "y")
        await until(pilot, lambda: app.fleet.vm(app.fleet.find("web-01")).balance is not None)
        await until(pilot, lambda: "● on – from" in whole(app))
