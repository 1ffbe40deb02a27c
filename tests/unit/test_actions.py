import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
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
    UnreachableError,
    VmtuiError,
)
from vmtui.fleet import Fleet
from vmtui.model import VM, Event, EventKind, State
from vmtui.spec import VMSpec
from vmtui.views import ConnectionStatus, ConnectionView, FleetView


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


@pytest.mark.parametrize(
    ("action", "told"),
    [("console", "can't watch the console of web-01"), ("attach", "can't attach to web-01")],
)
async def test_what_is_no_verb_is_refused_in_words(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, action: str, told: str
) -> None:
    ref = fleet.find("web-01")
    vm = replace(fleet.vm(ref), consoles=())
    monkeypatch.setattr(fleet, "vm", lambda _: vm)
    with pytest.raises(VmtuiError) as caught:
        BY_ID[action].check(fleet, ref)
    assert str(caught.value).startswith(told)


@pytest.mark.parametrize(
    ("action", "changed", "line"),
    [
        ("start", {"state": State.OFF}, ""),
        ("start", {}, "web-01 is running; it has to be off."),
        ("start", {"state": State.BROKEN}, "web-01 is broken; its definition has to be mended."),
        ("memory", {"state": State.OFF}, "web-01 is off; it has to be running."),
        ("shutdown", {"state": State.PAUSED}, "web-01 is paused; it has to be running."),
        ("resume", {}, "web-01 is running; it has to be paused or suspended."),
        ("console", {"consoles": ()}, "web-01 has no serial console; add a serial port to it."),
        ("screen", {"displays": 0}, "web-01 has no screen; add a graphics card to it."),
    ],
)
async def test_a_refusal_and_its_error_tell_what_is_needed(
    fleet: Fleet,
    monkeypatch: pytest.MonkeyPatch,
    action: str,
    changed: dict[str, object],
    line: str,
) -> None:
    ref = fleet.find("web-01")
    vm = replace(fleet.vm(ref), **changed)  # type: ignore[arg-type]
    monkeypatch.setattr(fleet, "vm", lambda _: vm)
    assert BY_ID[action].refusal(vm, fleet.view().connections[0]) == line
    if line:
        with pytest.raises(VmtuiError) as caught:
            BY_ID[action].check(fleet, ref)
        why, _, needed = line.partition("; ")
        assert caught.value.why == why.replace("web-01", "it")
        assert caught.value.hint.lower() == needed


async def test_refusals_for_the_interface(fleet: Fleet) -> None:
    view = fleet.view()
    vm, demo = view.vms[0].vm, view.connections[0]
    without = replace(demo, features=demo.features & ~Feature.CONSOLE)
    assert BY_ID["console"].refusal(vm, without) == "demo can't do that."
    assert "No VM" in BY_ID["start"].refusal(None, None)
    assert all(a.refusal(None, None) == "" for a in ACTIONS if a.scope is Scope.VIEW)


@pytest.mark.parametrize("backend", [DemoBackend(), DemoBackend(read_only=True)])
async def test_read_only_refuses_every_change_in_every_layer(backend: DemoBackend) -> None:
    fleet = Fleet([Endpoint(backend, "demo")], read_only=True)
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
        ref = fleet.find("web-01")
        plan = await DemoBackend().delete_plan(ref.id)
        with pytest.raises(RefusedError, match="deleting web-01"):
            await fleet.delete(ref, plan)
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


# -- a connection that comes and goes ----------------------------------------------------------


class Flaky(DemoBackend):
    """Reached while `there`; what it tells is told by the test, and None ends it."""

    there = True
    listed = True

    def __init__(self, uri: str) -> None:
        super().__init__(uri)
        self.told: asyncio.Queue[Event | None] = asyncio.Queue()

    async def open(self) -> None:
        if not self.there:
            raise UnreachableError("it is not there")

    async def vms(self) -> Sequence[VM]:
        return await super().vms() if self.listed else []

    async def events(self) -> AsyncIterator[Event]:
        while (event := await self.told.get()) is not None:
            yield event


Reached = Callable[[Callable[[ConnectionView], bool]], Awaitable[ConnectionView]]


@asynccontextmanager
async def supervised(backend: DemoBackend) -> AsyncIterator[tuple[Fleet, Reached]]:
    """A fleet of it, and what waits until the connection is as a test wants it."""
    fleet, news = Fleet([Endpoint(backend, "demo")]), asyncio.Event()
    fleet.watch(lambda _: news.set())

    async def reached(condition: Callable[[ConnectionView], bool]) -> ConnectionView:
        async with asyncio.timeout(10):  # what is lost is listed anew after 15 s in any case
            while not condition(view := fleet.view().connections[0]):
                news.clear()
                await news.wait()
        return view

    fleet.supervise()
    try:
        yield fleet, reached
    finally:
        await fleet.close()


def up(view: ConnectionView) -> bool:
    return view.status is ConnectionStatus.UP and view.host is not None


async def test_nothing_is_shown_of_a_connection_that_is_lost_and_all_once_it_is_back() -> None:
    backend = Flaky("demo:")
    async with supervised(backend) as (fleet, reached):
        assert len((await reached(up)).vms) == 12
        backend.there = False
        backend.told.put_nowait(None)
        down = await reached(lambda view: view.retry_at_s is not None)
        assert "closed the connection" in str(down.problem)
        assert (down.vms, down.host, down.host_counters) == ((), None, None)
        backend.there = True
        fleet.connections[0].retry()
        assert len((await reached(up)).vms) == 12


class Silent(DemoBackend):
    async def open(self) -> None:
        await asyncio.Event().wait()


class Defective(DemoBackend):
    async def open(self) -> None:
        raise LookupError


@pytest.mark.parametrize(
    ("backend", "told"),
    [
        (Silent("demo:"), "demo did not answer: no reply within 0 s"),
        (Defective("demo:"), "vmtui itself failed: LookupError"),
    ],
)
async def test_whatever_keeps_it_from_being_reached_is_told_and_tried_again(
    backend: DemoBackend, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vmtui.connection.OPEN_TIMEOUT_S", 0.01)
    async with supervised(backend) as (_, reached):
        down = await reached(lambda view: view.retry_at_s is not None)
        assert str(down.problem).startswith(told)


async def test_a_connection_is_tried_ever_more_seldom_until_it_was_there() -> None:
    backend = Flaky("demo:")
    backend.there = False

    async with supervised(backend) as (fleet, reached):
        last: list[float | None] = [None]

        async def pause_s() -> float:
            """How long it is left alone now."""
            new = await reached(lambda v: v.retry_at_s not in (None, last[-1]))
            assert new.retry_at_s is not None
            last.append(new.retry_at_s)
            return new.retry_at_s - fleet.view().at_s

        pauses_s = []
        for _ in range(9):
            pauses_s.append(await pause_s())
            fleet.connections[0].retry()
        assert pauses_s[0] <= 1.2
        assert 12 < pauses_s[-1] <= max(pauses_s) <= 36, pauses_s
        await pause_s()
        backend.there = True
        fleet.connections[0].retry()
        await reached(up)
        backend.there = False
        backend.told.put_nowait(None)
        assert await pause_s() <= 1.2


async def test_all_is_listed_anew_where_the_backend_says_so() -> None:
    backend = Flaky("demo:")
    async with supervised(backend) as (_, reached):
        await reached(up)
        backend.listed = False
        backend.told.put_nowait(Event(EventKind.RESYNC))
        await reached(lambda view: not view.vms)
