"""Actions: refusals, confirmations, bulk with partial failure, tasks, console, creation."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from textual import events
from textual.command import CommandList
from textual.widgets import Button, Input, Static

from tests.tui.support import (
    Consoleless,
    Held,
    Slow,
    Stubborn,
    names,
    point,
    press,
    running,
    said,
    shown,
    state_of,
    until,
    whole,
)
from vmtui import attach
from vmtui.app import FleetChanged, VmtuiApp
from vmtui.attach.session import Resize
from vmtui.backends.base import DeletePlan, Kept
from vmtui.backends.demo import DemoBackend
from vmtui.backends.ways_in import Console
from vmtui.config import Config
from vmtui.consoles import Attachment
from vmtui.model import VMId
from vmtui.screens.confirm import ConfirmScreen
from vmtui.screens.console import ConsoleScreen
from vmtui.screens.create import CreateScreen
from vmtui.screens.deleting import DeleteScreen
from vmtui.screens.form_box import FormBox
from vmtui.screens.tasks import TasksScreen
from vmtui.ssh import keep_known_hosts, known_host
from vmtui.views import FleetView, TaskStatus
from vmtui.widgets.image_list import ImageList


async def test_a_refused_action_says_why_once() -> None:
    async with running() as (app, pilot):
        await point(pilot, app, "web-01")
        await press(pilot, "s", "s", "s")
        assert said(app).count("web-01 is running; it has to be off.") == 1


async def test_an_allowed_action_is_done_and_told() -> None:
    async with running() as (app, pilot):
        await point(pilot, app, "old-db")
        await press(pilot, "s")
        await until(pilot, lambda: "old-db is running" in said(app))
        assert state_of(app, "old-db") == "running"


async def test_a_dangerous_action_asks_and_cancel_has_the_focus() -> None:
    async with running() as (app, pilot):
        await point(pilot, app, "web-01")
        await press(pilot, "D")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        await pilot.pause()
        assert isinstance(app.focused, Button)
        assert app.focused.id == "no"
        await press(pilot, "enter")
        await until(pilot, lambda: app.screen is app.dashboard)
        assert state_of(app, "web-01") == "running"
        await press(pilot, "D")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        await press(pilot, "y")
        await until(pilot, lambda: state_of(app, "web-01") == "off")


async def test_deletion_names_every_disk_and_the_cursor_goes_on() -> None:
    async with running() as (app, pilot):
        await point(pilot, app, "old-db")
        known, other = (known_host(app.fleet.find(name).id) for name in ("old-db", "web-01"))
        await keep_known_hosts()
        known.write_text("its key")
        other.write_text("its key")
        await press(pilot, "X")
        await until(pilot, lambda: isinstance(app.screen, DeleteScreen))
        await until(pilot, lambda: "the image it was made from" in whole(app))
        assert "/vms/old-db/disk.qcow2" in whole(app)
        await press(pilot, "t", "y")
        await until(pilot, lambda: "old-db" not in names(app))
        assert app.dashboard.table.current is not None
        await until(pilot, lambda: "old-db is deleted" in said(app))
        assert not known.exists()
        assert other.exists()


class Keeping(DemoBackend):
    """Every deletion leaves a file with a long path."""

    async def delete_plan(self, vm: VMId) -> DeletePlan:
        """As the demo's, and with the file."""
        path = f"/srv/{'deep/' * 20}old_VARS.fd"
        plan = await super().delete_plan(vm)
        return replace(plan, kept=(Kept(path, "UEFI variables, also used by pihole"),))


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_why_a_file_stays_is_seen_however_long_its_path(size: tuple[int, int]) -> None:
    async with running(Keeping(), size=size) as (app, pilot):
        await point(pilot, app, "old-db")
        await press(pilot, "X")
        await until(pilot, lambda: "UEFI variables, also used by pihole" in whole(app))
        assert "deep/old_VARS.fd" in whole(app)


async def test_bulk_with_partial_failure_tells_of_each_vm() -> None:
    backend = Stubborn()
    backend.stubborn = frozenset({"pihole"})
    async with running(backend) as (app, pilot):
        for name in ("web-01", "pihole", "old-db"):
            await point(pilot, app, name)
            await press(pilot, "space")
        await press(pilot, "D")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        text = "\n".join(str(widget.render()) for widget in app.screen.query(Static))
        assert "Force off 2 VMs?" in text
        await press(pilot, "y")
        await until(pilot, lambda: "1 of 3 done" in said(app))
        assert "✓ web-01 is off" in said(app)
        assert "✗ pihole does not stop: it is stubborn" in said(app)
        assert "✗ old-db: not done. old-db is off; it has to be running." in said(app)


async def test_the_question_counts_what_the_filter_hides() -> None:
    async with running() as (app, pilot):
        for name in ("web-01", "pihole"):
            await point(pilot, app, name)
            await press(pilot, "space")
        await press(pilot, "slash", *"web", "enter")
        await until(pilot, lambda: names(app) == ["web-01"])
        await press(pilot, "R")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        title = str(app.screen.query_one("#question", Static).render())
        assert title == "Reset 2 VMs (1 hidden by the filter)?"
        await press(pilot, "n")
        await until(pilot, lambda: app.screen is app.dashboard)


async def test_a_task_is_listed_and_can_be_cancelled() -> None:
    backend = Slow()
    async with running(backend) as (app, pilot):
        await point(pilot, app, "old-db")
        await press(pilot, "s")
        await until(pilot, lambda: "1 task" in shown(app.dashboard.top_bar))
        assert "↻ start" in shown(app.dashboard.table)
        await press(pilot, "T")
        await until(pilot, lambda: isinstance(app.screen, TasksScreen))
        screen = app.screen
        assert isinstance(screen, TasksScreen)
        await until(pilot, lambda: "start old-db" in shown(screen.tasks))
        await press(pilot, "x")
        await until(pilot, lambda: "cancelled" in shown(screen.tasks))
        await press(pilot, "escape")
        assert state_of(app, "old-db") == "off"


async def test_leaving_with_running_tasks_asks() -> None:
    async with running(Slow()) as (app, pilot):
        await point(pilot, app, "old-db")
        await press(pilot, "s")
        await until(
            pilot, lambda: any(t.status is TaskStatus.RUNNING for t in app.fleet.tasks.views)
        )
        await press(pilot, "q")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        await press(pilot, "escape")
        await until(pilot, lambda: app.screen is app.dashboard)
        assert app.is_running


async def test_remapped_keys_are_used_and_shown() -> None:
    config = Config(keys={"stop": "f8", "filter": "x"})
    async with running(config=config, size=(200, 40)) as (app, pilot):
        assert "f8 force off" in shown(app.dashboard.actions)
        await point(pilot, app, "web-01")
        await press(pilot, "D")
        assert app.screen is app.dashboard
        await press(pilot, "f8")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        await press(pilot, "n")
        await press(pilot, "x", *"web")
        await until(pilot, lambda: names(app) == ["web-01"])


async def test_wrong_keys_cost_one_notice_and_themselves() -> None:
    config = Config(keys={"nope": "x", "stop": "s", "pause": "j", "resume": "f5"})
    async with running(config=config) as (app, pilot):
        assert len(app._notifications) == 1
        for text in ("no action 'nope'", "stop: s is start", "pause: j moves around"):
            assert text in said(app)
        await point(pilot, app, "build")
        await press(pilot, "f5")
        await until(pilot, lambda: state_of(app, "build") == "running")


async def test_the_palette_has_the_actions_that_can_be_done() -> None:
    async with running() as (app, pilot):
        await point(pilot, app, "web-01")
        titles = [command.title for command in app.get_system_commands(app.dashboard)]
        assert "Pause  (p)" in titles
        assert not any(title.startswith("Start ") for title in titles)
        assert "Theme: vmtui-light" in titles
        await press(pilot, "ctrl+p")
        await pilot.pause()
        await press(pilot, *"pause")
        found = app.screen.query_one(CommandList)
        await until(pilot, lambda: bool(found.options) and "Pause" in str(found.options[0].prompt))
        await press(pilot, "enter", "enter")
        await until(pilot, lambda: state_of(app, "web-01") == "paused")


async def test_help_has_every_action_with_its_key() -> None:
    from vmtui.actions import ACTIONS

    async with running(size=(120, 120)) as (app, pilot):
        await press(pilot, "question_mark")
        await until(pilot, lambda: "Moving around" in whole(app))
        assert all(action.help in whole(app) and action.id in whole(app) for action in ACTIONS)
        await press(pilot, "escape")


async def test_a_click_on_the_footer_does_the_action() -> None:
    async with running() as (app, pilot):
        bar = app.dashboard.actions
        await pilot.click(bar, offset=(shown(bar).index("? help"), 0))
        await until(pilot, lambda: app.screen is not app.dashboard)


async def test_themes_cycle() -> None:
    async with running() as (app, pilot):
        before = app.theme
        await press(pilot, "ctrl+t")
        await until(pilot, lambda: app.theme != before)
        await pilot.pause()


# -- creation ---------------------------------------------------------------------------------


async def opened_form(app: VmtuiApp, pilot: object) -> CreateScreen:
    await press(pilot, "n")  # type: ignore[arg-type]
    await until(pilot, lambda: isinstance(app.screen, CreateScreen))  # type: ignore[arg-type]
    screen = app.screen
    assert isinstance(screen, CreateScreen)
    return screen


def note(screen: CreateScreen, field: str) -> str:
    return screen.notes.get(field, ("", ""))[0]


async def test_a_name_and_enter_make_and_start_a_vm_under_the_cursor() -> None:
    async with running() as (app, pilot):
        form = await opened_form(app, pilot)
        assert form.query_one("#name", Input).value == "micro-1"
        await press(pilot, "enter")
        await until(pilot, lambda: isinstance(app.screen, ConsoleScreen))
        await press(pilot, "ctrl+backslash", "d")
        await until(pilot, lambda: app.screen is app.dashboard)
        assert state_of(app, "micro-1") == "running"
        current = app.dashboard.table.current
        assert current is not None
        assert current.vm.name == "micro-1"
        form = await opened_form(app, pilot)
        assert form.query_one("#name", Input).value == "micro-2"
        await press(pilot, "escape")
        await until(pilot, lambda: app.screen is app.dashboard)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("a/b", "a slash"),
        ("..", "start with a letter"),
        ("a b", "a space"),
        ("-rf", "dash"),
        ("$(x)", "'$'"),
        ("[red]", "'['"),
        ("x" * 300, "300 characters"),
        ("WEB-01", "differs only in case"),
        ("web-01", "already exists"),
        ("", "needs a name"),
    ],
)
async def test_bad_names_are_told_while_typing(name: str, reason: str) -> None:
    async with running() as (app, pilot):
        form = await opened_form(app, pilot)
        form.query_one("#name", Input).value = name
        await until(pilot, lambda: reason in note(form, "name"))
        await press(pilot, "enter")
        await pilot.pause()
        assert app.screen is form
        assert app.focused is form.query_one("#name")


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("memory", "12", "no unit"),
        ("memory", "-1", "is not a size"),
        ("memory", "9999T", "limit"),
        ("memory", "1M", "least"),
        ("vcpus", "0", "at least 1"),
        ("vcpus", "two", "whole number"),
        ("vcpus", "9999", "limit"),
        ("disk", "1.5X", "is not a size"),
        ("image", "/does/not/exist", "there is no image"),
        ("image", "/", "is a folder"),
    ],
)
async def test_bad_fields_are_told_beside_them(field: str, value: str, reason: str) -> None:
    async with running() as (app, pilot):
        form = await opened_form(app, pilot)
        form.query_one(f"#{field}", Input).value = value
        await until(pilot, lambda: reason in note(form, field))
        assert form.notes[field][1] == "bad"
        await until(pilot, lambda: reason[:8] in whole(app))
        await press(pilot, "enter")
        await until(pilot, lambda: getattr(app.focused, "id", "") == field)
        assert app.screen is form


async def test_an_image_fills_in_what_fits_it(tmp_path: Path) -> None:
    image = tmp_path / "debian.img"
    image.write_bytes(b"\0" * 510 + b"\x55\xaa" + b"\0" * 512)
    async with running() as (app, pilot):
        form = await opened_form(app, pilot)
        form.query_one("#vcpus", Input).value = "2"
        form.query_one("#image", Input).value = str(image)
        await until(pilot, lambda: "raw disk" in note(form, "image"))
        assert form.query_one("#memory", Input).value == "2G"
        assert form.query_one("#vcpus", Input).value == "2"
        assert form.query_one("#name", Input).value == "debian-1"
        form.query_one("#image", Input).value = "none"
        await until(pilot, lambda: "empty disk" in note(form, "image"))
        assert form.query_one("#disk", Input).value == "20G"


async def test_enter_waits_for_the_image(tmp_path: Path) -> None:
    async with running() as (app, pilot):
        form = await opened_form(app, pilot)
        form.query_one("#image", Input).value = str(tmp_path / "gone.iso")
        await press(pilot, "enter")
        await until(pilot, lambda: getattr(app.focused, "id", "") == "image")
        assert app.screen is form


async def test_open_create_opens_the_form() -> None:
    from tests.tui.support import fleet_of, nothing_missing

    fleet = fleet_of()
    await fleet.connect()
    app = VmtuiApp(fleet, Config(), open_create=True, examine=nothing_missing)
    async with app.run_test() as pilot:
        await until(pilot, lambda: isinstance(app.screen, CreateScreen))
        screen = app.screen
        assert isinstance(screen, CreateScreen)
        # The terminal's size may be told before what is fitted into it was made.
        FormBox(screen._form, ImageList()).fit(24)
    await fleet.close()


async def test_what_is_typed_ahead_of_a_dialog_does_nothing_here() -> None:
    async with running() as (app, pilot):
        await point(pilot, app, "web-01")
        for key in ("n", "p", "d"):
            app.post_message(events.Key(key, key))
        await until(pilot, lambda: isinstance(app.screen, CreateScreen))
        await press(pilot, "escape")
        await until(pilot, lambda: app.screen is app.dashboard)
        assert state_of(app, "web-01") == "running"
        assert not app.fleet.tasks.views
        await press(pilot, "p")  # and keys are taken again
        await until(pilot, lambda: state_of(app, "web-01") == "paused")


# -- console ----------------------------------------------------------------------------------


@pytest.fixture
def attached(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was attached to, each time until two more views have been told."""
    calls: list[str] = []
    tell, told = VmtuiApp.on_fleet_changed, list[FleetView]()

    def watched(self: VmtuiApp, event: FleetChanged) -> None:
        tell(self, event)
        told.append(event.view)

    @contextmanager
    def suspended(self: VmtuiApp) -> Iterator[None]:
        calls.append("suspended")
        yield
        calls.append("resumed")

    async def attach_for_a_moment(
        console: Console, *, name: str, escape: bytes, history: bytes, clear: bool, resize: Resize
    ) -> str:
        calls.append(name)
        assert escape == b"\x1d"
        enough = len(told) + 2
        while len(told) < enough:
            await asyncio.sleep(0.01)
        return "detached"

    monkeypatch.setattr(VmtuiApp, "on_fleet_changed", watched)
    monkeypatch.setattr(VmtuiApp, "suspend", suspended)
    monkeypatch.setattr(attach, "attach", attach_for_a_moment)
    return calls


async def test_the_embedded_console_stays_open_while_the_terminal_is_attached(
    attached: list[str],
) -> None:
    async with running() as (app, pilot):
        await point(pilot, app, "web-01")
        await press(pilot, "c")
        await until(pilot, lambda: "● attached" in whole(app))
        await press(pilot, "ctrl+backslash", "d")
        await until(pilot, lambda: app.screen is app.dashboard)
        [embedded] = app.consoles.all
        await press(pilot, "C")
        await until(pilot, lambda: "resumed" in attached)
        assert app.consoles.all == (embedded,)
        await until(pilot, lambda: embedded.attachment is Attachment.ATTACHED)


async def test_what_opens_one_vm_is_for_one_at_a_time() -> None:
    async with running() as (app, pilot):
        for name in ("web-01", "pihole"):
            await point(pilot, app, name)
            await press(pilot, "space")
        for times, key in enumerate(("c", "C", "V", "S"), 1):
            await press(pilot, key)
            while said(app).count("one VM at a time, and 2 are marked") < times:
                await pilot.pause(0.01)
            assert app.screen is app.dashboard


async def test_a_second_quit_leaves_only_from_the_question_whether_to_leave() -> None:
    backend = Slow()
    async with running(backend) as (app, pilot):
        await point(pilot, app, "old-db")
        await press(pilot, "s")
        await until(pilot, lambda: state_of(app, "old-db") == "off")
        await point(pilot, app, "web-01")
        await press(pilot, "D")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        await press(pilot, "ctrl+q")
        await until(pilot, lambda: "Leave while tasks are running?" in whole(app))
        await press(pilot, "ctrl+q")
        await until(pilot, lambda: not app.is_running)


async def test_an_attached_console_takes_the_terminal_and_nothing_is_drawn(
    attached: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running() as (app, pilot):
        drawn: list[bool] = []
        show = app.dashboard.show

        def watched(view: FleetView) -> None:
            drawn.append(app.context.suspended)
            show(view)

        monkeypatch.setattr(app.dashboard, "show", watched)
        await point(pilot, app, "web-01")
        await press(pilot, "C")
        await until(pilot, lambda: "resumed" in attached)
        await until(pilot, lambda: "detached" in said(app))
        assert attached == ["suspended", "web-01", "resumed"]
        await until(pilot, lambda: bool(drawn))
        assert not any(drawn)


async def test_a_console_that_breaks_gives_the_terminal_back(
    attached: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from vmtui.errors import OperationError

    async def broken(
        console: Console, *, name: str, escape: bytes, history: bytes, clear: bool, resize: Resize
    ) -> str:
        raise OperationError("the console broke", why="it is a test")

    monkeypatch.setattr(attach, "attach", broken)
    async with running() as (app, pilot):
        await point(pilot, app, "web-01")
        await press(pilot, "C")
        await until(pilot, lambda: "the console broke: it is a test" in said(app))
        assert attached == ["suspended", "resumed"]
        assert not app.context.suspended


async def test_a_busy_console_is_offered_for_take_over(attached: list[str]) -> None:
    backend = Held()
    async with running(backend) as (app, pilot):
        await point(pilot, app, "web-01")
        await press(pilot, "C")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        await press(pilot, "n")
        await until(pilot, lambda: app.screen is app.dashboard)
        assert not backend.opened
        await press(pilot, "C")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        await press(pilot, "y")
        await until(pilot, lambda: "web-01" in attached)
        assert backend.opened
        await until(pilot, lambda: "resumed" in attached)


async def test_a_connection_without_consoles_says_so() -> None:
    async with running(Consoleless()) as (app, pilot):
        await point(pilot, app, "web-01")
        await press(pilot, "c", "C")
        assert "demo can't do that." in said(app)
