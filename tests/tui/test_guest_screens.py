"""Guests' screens in the interface: seen, typed into, and what leads to them from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest
from textual import events

from tests.tui.support import point, press, running, said, until, whole
from vmtui import ssh
from vmtui.app import VmtuiApp
from vmtui.backends.demo import DemoBackend
from vmtui.backends.ways_in import Viewer
from vmtui.errors import UnreachableError
from vmtui.model import VM, EventKind, VMId
from vmtui.screens.confirm import ConfirmScreen
from vmtui.screens.guest_screen import GuestScreen, ScreenHelp
from vmtui.screens.opening import Steps
from vmtui.screens.vm import VMScreen

PREFIX = "ctrl+backslash"


async def test_keys_go_to_the_guest_and_the_prefix_leads_back() -> None:
    backend = DemoBackend()
    async with running(backend, size=(100, 30)) as (app, pilot):
        await point(pilot, app, "web-01")
        await press(pilot, "V")
        await until(pilot, lambda: "640x400" in whole(app))
        display = await backend.display(app.fleet.find("web-01").id)
        await press(pilot, "q", "ctrl+q", "escape", PREFIX, "delete")
        await until(pilot, lambda: len(display.pressed) == 4)
        assert display.pressed == [("q",), ("ctrl", "q"), ("esc",), ("ctrl", "alt", "delete")]
        await press(pilot, PREFIX, "question_mark")
        await until(pilot, lambda: isinstance(app.screen, ScreenHelp))
        await press(pilot, "escape", PREFIX, "d")
        await until(pilot, lambda: app.screen is app.dashboard)


class Dropping(DemoBackend):
    """Its connection is lost on demand."""

    dropped = False

    async def vms(self) -> Sequence[VM]:
        if self.dropped:
            raise UnreachableError("the lab does not answer")
        return await super().vms()

    def drop(self) -> None:
        self.dropped = True
        self._tell(EventKind.RESYNC, VMId(""))


@pytest.mark.parametrize("how", ["lost", "deleted"])
async def test_what_is_typed_at_a_vm_that_goes_reaches_no_other(how: str) -> None:
    backend = Dropping()
    async with running(backend, size=(100, 30)) as (app, pilot):
        await point(pilot, app, "web-01")
        await press(pilot, "V")
        await until(pilot, lambda: "640x400" in whole(app))
        if how == "lost":
            backend.drop()
            await until(pilot, lambda: "web-01  demo is not connected" in whole(app))
        else:
            ref = app.fleet.find("web-01")
            await app.fleet.delete(ref, await backend.delete_plan(ref.id))
            await until(pilot, lambda: "web-01  is not there any more" in whole(app))
        await press(pilot, *"rootd")
        assert isinstance(app.screen, GuestScreen)
        await press(pilot, PREFIX, "d")
        await until(pilot, lambda: app.screen is app.dashboard)


async def test_a_vms_own_screen_stays_while_its_connection_is_lost() -> None:
    backend = Dropping()
    async with running(backend, size=(100, 30)) as (app, pilot):
        await point(pilot, app, "web-01")
        await press(pilot, "enter")
        await until(pilot, lambda: isinstance(app.screen, VMScreen))
        backend.drop()
        await until(pilot, lambda: not app.fleet.view().vms)
        await until(pilot, lambda: "the lab does not answer" in whole(app))
        assert isinstance(app.screen, VMScreen)
        backend.dropped = False
        app.fleet.connections[0].retry()
        await until(pilot, lambda: "● running" in whole(app))
        await press(pilot, "escape")
        await until(pilot, lambda: app.screen is app.dashboard)


async def test_a_paste_of_several_lines_is_asked_about_and_typed() -> None:
    backend = DemoBackend()
    async with running(backend, size=(100, 30)) as (app, pilot):
        await point(pilot, app, "web-01")
        await press(pilot, "V")
        await until(pilot, lambda: "640x400" in whole(app))
        app.post_message(events.Paste("a\nb"))
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        await press(pilot, "y")
        display = await backend.display(app.fleet.find("web-01").id)
        await until(pilot, lambda: display.pressed == [("a",), ("ret",), ("b",)])


async def test_the_tab_shows_it_and_enter_opens_it() -> None:
    async with running(size=(120, 40)) as (app, pilot):
        await point(pilot, app, "web-01")
        await press(pilot, "tab", "tab")
        await until(pilot, lambda: "640x400" in whole(app))
        await press(pilot, "enter")
        await until(pilot, lambda: isinstance(app.screen, GuestScreen))
        await press(pilot, PREFIX, "d")
        await until(pilot, lambda: app.screen is app.dashboard)
        await press(pilot, "tab")
        await until(pilot, lambda: "640x400" not in whole(app))


async def test_a_vm_that_is_off_has_no_screen() -> None:
    async with running() as (app, pilot):
        await point(pilot, app, "old-db")
        await press(pilot, "V")
        assert "old-db is off; it has to be running." in said(app)


class Far(DemoBackend):
    """A connection to another machine."""

    async def viewer(self, vm: VMId) -> Viewer:
        return Viewer("vnc", host="127.0.0.1", port=5901, ssh="lab")


async def test_without_a_desktop_the_commands_for_one_are_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    async with running(Far()) as (app, pilot):
        await point(pilot, app, "web-01")
        await press(pilot, "v")
        await until(pilot, lambda: isinstance(app.screen, Steps))
        await until(pilot, lambda: "ssh -N -L 5999:127.0.0.1:5901 lab" in whole(app))
        await until(pilot, lambda: "remote-viewer vnc://localhost:5999" in whole(app))


@pytest.fixture
def lent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What happened to the terminal."""
    calls: list[str] = []

    @contextmanager
    def suspended(self: VmtuiApp) -> Iterator[None]:
        calls.append("lent")
        yield
        calls.append("back")

    monkeypatch.setattr(VmtuiApp, "suspend", suspended)
    return calls


@pytest.mark.parametrize(
    ("does", "told"),
    [
        ("exit 3", "ended with status 3."),
        ("kill -INT $$", "was interrupted."),
        ("kill -TERM $$", "was ended by a signal: Terminated."),
    ],
)
async def test_ssh_has_the_terminal_until_it_ends(
    does: str, told: str, lent: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def command(vm: VM, uri: str) -> list[str]:
        lent.append(vm.name)
        return ["sh", "-c", does]

    monkeypatch.setattr(ssh, "argv", command)
    async with running() as (app, pilot):
        await point(pilot, app, "web-01")
        await press(pilot, "S")
        await until(pilot, lambda: f"sh {told}" in said(app))
        assert lent == ["web-01", "lent", "back"]
        assert not app.context.suspended


async def test_ssh_says_what_is_missing(lent: list[str]) -> None:
    async with running() as (app, pilot):
        await point(pilot, app, "build")
        await press(pilot, "S")
        assert "build is paused; it has to be running." in said(app)
        assert not lent
