import asyncio
from dataclasses import replace

import pytest

from vmtui.actions import ACTIONS, BY_COMMAND, BY_ID, Scope, perform
from vmtui.backends.base import Endpoint, Feature, no_progress
from vmtui.backends.demo import DemoBackend
from vmtui.errors import (
    AmbiguousVMError,
    InputError,
    NoSuchVMError,
    RefusedError,
    StateError,
)
from vmtui.fleet import Fleet
from vmtui.model import State
from vmtui.spec import VMSpec
from vmtui.views import FleetView


@pytest.fixture
async def fleet():  # type: ignore[no-untyped-def]
    fleet = Fleet([Endpoint(DemoBackend(), "demo")])
    await fleet.connect()
    yield fleet
    await fleet.close()


def state(fleet: Fleet, name: str) -> State:
    return fleet.vm(fleet.find(name)).state


def test_ids_keys_and_commands_are_unique() -> None:
    assert len(BY_ID) == len(ACTIONS)
    assert len({action.key for action in ACTIONS}) == len(ACTIONS)
    assert len(BY_COMMAND) == sum(bool(action.command) for action in ACTIONS)


def test_what_destroys_is_a_capital_and_dangerous() -> None:
    for action in ACTIONS:
        if action.dangerous:
            assert action.key.isupper(), action.id


@pytest.mark.parametrize(
    ("verb", "name", "after"),
    [
        ("start", "old-db", State.RUNNING),
        ("shutdown", "web-01", State.OFF),
        ("stop", "build", State.OFF),
        ("pause", "web-01", State.PAUSED),
        ("resume", "build", State.RUNNING),
        ("reset", "web-01", State.RUNNING),
        ("reboot", "web-01", State.RUNNING),
    ],
)
async def test_each_verb_reaches_its_state(
    fleet: Fleet, verb: str, name: str, after: State
) -> None:
    line = await perform(BY_COMMAND[verb], fleet, fleet.find(name), no_progress, confirmed=True)
    assert name in line
    assert state(fleet, name) is after


@pytest.mark.parametrize("verb", ["stop", "reset", "delete"])
async def test_danger_needs_a_confirmation_that_names_the_consequences(
    fleet: Fleet, verb: str
) -> None:
    with pytest.raises(RefusedError) as caught:
        await perform(BY_COMMAND[verb], fleet, fleet.find("web-01"), no_progress, confirmed=False)
    assert "web-01" in caught.value.why
    assert state(fleet, "web-01") is State.RUNNING


async def test_a_state_that_does_not_fit_is_told(fleet: Fleet) -> None:
    with pytest.raises(StateError, match="can't start web-01"):
        await perform(BY_ID["start"], fleet, fleet.find("web-01"), no_progress, confirmed=True)


async def test_refusals_for_the_interface(fleet: Fleet) -> None:
    view = fleet.view()
    rows = {row.vm.name: row.vm for row in view.vms}
    demo = view.connections[0]
    assert BY_ID["start"].refusal(rows["old-db"], demo) == ""
    assert "running" in BY_ID["start"].refusal(rows["web-01"], demo)
    without = replace(demo, features=demo.features & ~Feature.CONSOLE)
    assert "can't do that" in BY_ID["console"].refusal(rows["web-01"], without)
    assert "No VM" in BY_ID["start"].refusal(None, None)
    assert all(a.refusal(None, None) == "" for a in ACTIONS if a.scope is Scope.VIEW)


async def test_read_only_refuses_every_change_in_every_layer() -> None:
    fleet = Fleet([Endpoint(DemoBackend(read_only=True), "demo")], read_only=True)
    await fleet.connect()
    try:
        for action in ACTIONS:
            if action.scope is Scope.VM and action.prepare is not None:
                with pytest.raises(RefusedError):
                    await perform(action, fleet, fleet.find("web-01"), no_progress, confirmed=True)
                row = fleet.view().vms[0]
                assert "read-only" in action.refusal(row.vm, fleet.view().connections[0])
        with pytest.raises(RefusedError):
            await fleet.create("demo:", VMSpec("x"), no_progress)
    finally:
        await fleet.close()


async def test_names_are_found_with_and_without_connection() -> None:
    backends = [DemoBackend("demo:"), DemoBackend("demo:?host=lab&vms=3")]
    fleet = Fleet([Endpoint(b, b.uri) for b in backends])
    await fleet.connect()
    try:
        with pytest.raises(AmbiguousVMError, match="2 VMs"):
            fleet.find("web-01")
        assert fleet.find("demo:/web-01").uri == "demo:"
        assert fleet.find("demo:?host=lab&vms=3/web-01").uri == "demo:?host=lab&vms=3"
        assert fleet.find("postgres").uri == "demo:"
        with pytest.raises(NoSuchVMError):
            fleet.find("\x1b[31mnothing")
    finally:
        await fleet.close()


async def test_a_bad_spec_is_refused_with_all_its_problems(fleet: Fleet) -> None:
    with pytest.raises(InputError) as caught:
        await fleet.create("demo:", VMSpec("web-01", vcpus=0), no_progress)
    assert "already exists" in caught.value.why
    assert "at least 1 vCPU" in caught.value.why


async def test_a_burst_of_changes_is_published_once(fleet: Fleet) -> None:
    seen: list[FleetView] = []
    stop_watching = fleet.watch(seen.append)
    for _ in range(5):
        await fleet.connections[0].sample()
    burst = len(seen)
    for _ in range(50):
        fleet._changed()
    await asyncio.sleep(0)
    assert len(seen) == burst + 1
    stop_watching()


async def test_tasks_end_with_a_line_an_error_or_cancelled(fleet: Fleet) -> None:
    async def good(_: object) -> str:
        return "web is running"

    async def bad(_: object) -> str:
        raise InputError("no")

    async def defect(_: object) -> str:
        raise ZeroDivisionError

    async def endless(_: object) -> str:
        await asyncio.Event().wait()
        return ""

    views = [await fleet.tasks.start("x", None, work) for work in (good, bad, defect)]
    endless_task = fleet.tasks.start("x", None, endless)
    await asyncio.sleep(0)
    assert fleet.tasks.cancel(fleet.tasks.views[-1].id)
    views.append(await endless_task)
    assert [view.status.value for view in views] == ["done", "failed", "failed", "cancelled"]
    assert views[0].result == "web is running"
    assert "defect in vmtui" in str(views[2].error)


async def test_a_vm_without_a_serial_port_has_no_console(fleet: Fleet) -> None:
    view = fleet.view()
    vm = next(row.vm for row in view.vms if row.vm.name == "web-01")
    with_consoles = replace(view.connections[0], features=Feature.CONSOLE)
    assert "no serial console" in BY_ID["console"].refusal(replace(vm, consoles=()), with_consoles)
    assert BY_ID["console"].refusal(vm, with_consoles) == ""
