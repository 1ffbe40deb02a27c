"""The form for a new VM with images, presets and folded groups; images, clones, sandboxes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from tests.listening import listening
from tests.tui.support import (
    Stubborn,
    point,
    press,
    running,
    said,
    shown,
    state_of,
    until,
    whole,
)
from vmtui.app import VmtuiApp
from vmtui.backends.demo import DemoBackend
from vmtui.backends.demo_shelf import DemoShelf
from vmtui.errors import OperationError
from vmtui.model import VM, Firmware, SshAccess, VMId
from vmtui.parts import CloudInit
from vmtui.progress import Progress, ProgressSink
from vmtui.screens.confirm import ConfirmScreen
from vmtui.screens.console import ConsoleScreen
from vmtui.screens.create import CreateScreen
from vmtui.screens.form_groups import FieldGroup, Fold
from vmtui.screens.images import ImagesScreen
from vmtui.screens.preview import PreviewScreen
from vmtui.shelf import Offer
from vmtui.views import TaskStatus
from vmtui.widgets.forms import Choice
from vmtui.widgets.image_list import ImageList

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJW0JFZ3fQxH29iOxaDtieL93ROm9qAcHteIYb4iFMzS me@desk"
KEY_PRESSES = 8
CLOUD_VM = (("n",), ("d", "e", "b", "enter"), ("enter",))
"""Keys from the dashboard to a cloud VM that boots: to the form, its image, the suggested name."""


@pytest.fixture(autouse=True)
def _key(tmp_path: Path) -> None:
    """The user's own."""
    folder = tmp_path / ".ssh"
    folder.mkdir()
    (folder / "id_ed25519.pub").write_text(f"{KEY}\n")


class SlowShelf(DemoShelf):
    """What is pulled comes when it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()

    async def pull(self, name: str, progress: ProgressSink) -> None:
        progress(Progress(f"pulling {name}", 0.5, "image"))
        await self.gate.wait()
        await super().pull(name, progress)


class LongShelf(DemoShelf):
    """What is there is told when it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()

    async def offers(self) -> tuple[Offer, ...]:
        await self.gate.wait()
        return await super().offers()


async def opened(app: VmtuiApp, pilot: Pilot[None], key: str = "n") -> CreateScreen:
    await press(pilot, key)
    await until(pilot, lambda: isinstance(app.screen, CreateScreen))
    form = app.screen
    assert isinstance(form, CreateScreen)
    await until(pilot, lambda: "debian-12" in shown(form.query_one(ImageList)))
    return form


def vm(app: VmtuiApp, name: str) -> VM | None:
    return next((row.vm for row in app.fleet.view().vms if row.vm.name == name), None)


def field(form: CreateScreen, name: str) -> str:
    widget = form.query_one(f"#{name}")
    assert isinstance(widget, Input | Choice)
    return widget.value


async def typed(pilot: Pilot[None], text: str) -> None:
    await press(pilot, *text)


async def test_while_images_are_looked_for_it_is_said_and_nothing_moves_when_they_come() -> None:
    async with running() as (app, pilot):
        app.context.shelf = shelf = LongShelf()
        await press(pilot, "n")
        await until(pilot, lambda: isinstance(app.screen, CreateScreen))
        images, name = app.screen.query_one(ImageList), app.screen.query_one("#name")
        await until(pilot, lambda: "Looking" in shown(images))
        before = name.region
        shelf.gate.set()
        await until(pilot, lambda: "debian-12" in shown(images))
        assert "Looking" not in shown(images)
        assert name.region == before


async def test_a_cloud_vm_boots_after_eight_keys_and_two_answers() -> None:
    assert sum(map(len, CLOUD_VM)) <= KEY_PRESSES
    form_keys, image_keys, name_keys = CLOUD_VM
    async with running() as (app, pilot):
        await press(pilot, *form_keys)
        await until(pilot, lambda: isinstance(app.screen, CreateScreen))
        form = app.screen
        await until(pilot, lambda: "debian-12" in shown(form.query_one(ImageList)))
        await press(pilot, *image_keys)
        await until(pilot, lambda: getattr(app.focused, "id", "") == "name")
        await press(pilot, *name_keys)
        await until(pilot, lambda: vm(app, "debian-12-1") is not None)
        await until(pilot, lambda: state_of(app, "debian-12-1") == "running")
        made = vm(app, "debian-12-1")
        assert made is not None
        assert made.image == "debian-12"
        assert made.ssh.user == "debian"
        await until(pilot, lambda: isinstance(app.screen, ConsoleScreen))
        stages = [stage.name for stage in app.fleet.tasks.views[-1].stages]
        assert stages == ["image", "disk", "seed", "firmware", "start"]


class Answering(DemoBackend):
    """ssh of every VM is forwarded to a port of this machine."""

    port = 0

    async def vm(self, vm: VMId) -> VM:
        return replace(await super().vm(vm), ssh=SshAccess("debian", self.port, "127.0.0.1"))


async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """As an ssh server does."""
    with closing(writer):
        writer.write(b"SSH-2.0-test\r\n")
        await writer.drain()


def thens(form: CreateScreen) -> list[str]:
    return [words for _, words in form.query_one("#then", Choice).options]


async def test_ssh_is_waited_for_where_cloud_init_and_a_key_are() -> None:
    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    backend = Answering()
    backend.port = server.sockets[0].getsockname()[1]
    async with listening(server), running(backend) as (app, pilot):
        form = await opened(app, pilot)
        assert thens(form) == ["start, open console", "start", "leave it off"]
        form.query_one("#image", Input).value = "debian-12"
        await until(pilot, lambda: "start, wait for ssh" in thens(form))
        keys = form.query_one("#ssh_keys", Input)
        keys.value = ""
        await until(pilot, lambda: "start, wait for ssh" not in thens(form))
        keys.value = "own"
        await until(pilot, lambda: "start, wait for ssh" in thens(form))
        form.query_one("#then").focus()
        await press(pilot, "right")
        form.query_one("#name", Input).value = "web"  # what was chosen stays
        await press(pilot, "enter")
        await until(pilot, lambda: "web is made and answers ssh (image 0.0 s" in said(app))
        assert [stage.name for stage in app.fleet.tasks.views[-1].stages][-2:] == ["start", "ssh"]
        assert app.screen is app.dashboard


async def test_images_are_listed_while_typing_and_taken_by_arrow_or_click() -> None:
    async with running() as (app, pilot):
        form = await opened(app, pilot)
        images = form.query_one(ImageList)
        assert images.chosen is None  # Enter is for the image that is filled in
        await typed(pilot, "linux")
        await until(pilot, lambda: shown(images).count("\n") == 0)
        assert "alpine-3.22" in shown(images)
        assert "○ pull" in shown(images)
        await until(pilot, lambda: form.notes["image"][0] == "Enter takes alpine-3.22")
        form.query_one("#image", Input).value = "micro"
        await until(pilot, lambda: shown(images).count("\n") > 3)
        await press(pilot, "down", "down", "enter")
        assert field(form, "image") == "debian-13"
        await until(pilot, lambda: field(form, "name") == "debian-13-1")
        assert field(form, "disk") == "10G"
        assert not images.display
        form.query_one("#image", Input).focus()
        form.query_one("#image", Input).value = "deb"
        await until(pilot, lambda: images.display and images.size.height == 2)
        await pilot.click(ImageList, offset=(4, 0))
        await until(pilot, lambda: field(form, "image") == "debian-12")


async def test_an_image_that_is_not_here_is_pulled_first_and_can_be_cancelled() -> None:
    async with running() as (app, pilot):
        app.context.shelf = SlowShelf()
        form = await opened(app, pilot)
        form.query_one("#image", Input).value = "alpine-3.22"
        await until(pilot, lambda: "pulled first" in form.notes["image"][0])
        form.query_one("#name", Input).focus()
        await press(pilot, "enter")
        await until(pilot, lambda: bool(app.fleet.tasks.views[-1:]))
        task = app.fleet.tasks.views[-1]
        await until(pilot, lambda: bool(app.fleet.tasks.views[-1].stages))
        assert app.fleet.tasks.cancel(task.id)
        await until(pilot, lambda: app.fleet.tasks.views[-1].status is TaskStatus.CANCELLED)
        assert [stage.name for stage in app.fleet.tasks.views[-1].stages] == ["image"]
        assert vm(app, "alpine-3.22-1") is None
        await press(pilot, "T")
        await until(pilot, lambda: "image 0." in whole(app))


async def test_a_preset_fills_in_and_what_was_typed_stays() -> None:
    async with running() as (app, pilot):
        form = await opened(app, pilot)
        form.query_one("#memory", Input).value = "3G"
        preset = form.query_one("#preset", Choice)
        preset.focus()
        await press(pilot, "right")
        assert preset.value == "dev"
        await until(pilot, lambda: field(form, "image") == "debian-13")
        await until(pilot, lambda: field(form, "disk") == "20G")
        assert field(form, "vcpus") == "2"
        assert field(form, "memory") == "3G"
        await press(pilot, "right", "right")
        assert preset.value == "windows-11"
        await until(pilot, lambda: field(form, "firmware") == Firmware.SECURE_BOOT.value)
        assert field(form, "tpm") == "yes"
        assert field(form, "image") == "micro"
        await press(pilot, "left", "left", "left")
        assert preset.value == ""
        await until(pilot, lambda: field(form, "tpm") == "no")
        assert field(form, "memory") == "3G"


async def test_own_presets_are_offered(tmp_path: Path) -> None:
    folder = tmp_path / "config" / "vmtui" / "presets"
    folder.mkdir(parents=True)
    (folder / "mine.toml").write_text('vcpus = 3\ntags = ["mine"]\n')
    (folder / "broken.toml").write_text('vcpus = "3"\n')
    async with running() as (app, pilot):
        form = await opened(app, pilot)
        values = [value for value, _ in form.query_one("#preset", Choice).options]
        assert values == ["", "dev", "server", "windows-11", "sandbox", "micro", "mine"]
        assert "broken.toml: vcpus" in said(app)


async def test_groups_fold_out_and_a_problem_opens_its_group() -> None:
    async with running(size=(80, 24)) as (app, pilot):
        form = await opened(app, pilot)
        folds = {fold.group.value: fold for fold in form.query(Fold)}
        groups = {group.group.value: group for group in form.query(FieldGroup)}
        assert not groups["Disks"].display
        folds["Disks"].focus()
        await press(pilot, "space")
        assert groups["Disks"].display
        assert form.query_one("#create").region.bottom <= 24  # the buttons stay
        await press(pilot, "space")
        assert not groups["Disks"].display
        form.query_one("#tags", Input).value = "a a"
        await until(pilot, lambda: "there twice" in shown(folds["More"]))
        form.query_one("#name", Input).focus()
        await press(pilot, "enter")
        await until(pilot, lambda: getattr(app.focused, "id", "") == "tags")
        assert groups["More"].display


JUDGED = (
    ("topology", "1x2x2", "is 4, not 1 vCPUs"),
    ("balloon", "1G", "above the memory"),
    ("disks", "10G,bus=floppy", "is not a disk's"),
    ("network", "wifi", "is not a network"),
    ("network", "bridge:", "needs the name"),
    ("forward", "2222:22 2222:80", "given away twice"),
    ("forward", "99999", "no port 99999"),
    ("share", "'/nowhere:a b'", "can't be a folder's tag"),
    ("user", "Röbert", "not a user's name"),
    ("password_hash", "secret", "not a hash"),
    ("boot_order", "disk floppy", "Nothing boots from"),
    ("commands", "'half", "quotation mark"),
)


async def test_folded_fields_are_judged_while_typing() -> None:
    async with running() as (app, pilot):
        form = await opened(app, pilot)
        for name, value, reason in JUDGED:
            own = form.query_one(f"#{name}", Input)
            own.value = value
            await until(pilot, lambda n=name, r=reason: r in form.notes[n][0])  # type: ignore[misc]
            own.value = ""


async def test_files_that_are_named_are_read_when_it_is_made(tmp_path: Path) -> None:
    async with running() as (app, pilot):
        form = await opened(app, pilot)
        form.query_one("#image", Input).value = "debian-12"
        form.query_one("#ssh_keys", Input).value = f"{tmp_path}/none.pub"
        form.query_one("#name", Input).focus()
        await press(pilot, "enter")
        await until(pilot, lambda: getattr(app.focused, "id", "") == "ssh_keys")
        assert "none.pub can't be read" in whole(app)
        (tmp_path / "none.pub").write_text(KEY)
        form.query_one("#share", Input).value = f"{tmp_path}/nowhere:src"
        await press(pilot, "enter")
        await until(pilot, lambda: getattr(app.focused, "id", "") == "share")
        assert "is not a folder" in whole(app)
        form.query_one("#share", Input).value = f"{tmp_path}:src"
        await press(pilot, "enter")
        await until(pilot, lambda: vm(app, "debian-12-1") is not None)


async def test_what_will_run_is_shown_and_can_be_copied() -> None:
    async with running() as (app, pilot):
        form = await opened(app, pilot)
        form.query_one("#forward", Input).value = "2222:22"
        await press(pilot, "f2")
        await until(pilot, lambda: isinstance(app.screen, PreviewScreen))
        await until(pilot, lambda: "hostfwd=tcp::2222-:22" in whole(app))
        await press(pilot, "y")
        assert "hostfwd=tcp::2222-:22" in app.clipboard
        await press(pilot, "escape")
        await until(pilot, lambda: app.screen is form)
        await press(pilot, "f2")
        await until(pilot, lambda: isinstance(app.screen, PreviewScreen))
        await press(pilot, "enter")
        await until(pilot, lambda: vm(app, "micro-1") is not None)


async def test_a_sandbox_is_gone_once_it_is_off() -> None:
    async with running() as (app, pilot):
        form = await opened(app, pilot, "N")
        assert field(form, "preset") == "sandbox"
        assert field(form, "network") == "none"
        await press(pilot, "enter")
        await until(pilot, lambda: vm(app, "sandbox-1") is not None)
        await until(pilot, lambda: state_of(app, "sandbox-1") == "running")
        made = vm(app, "sandbox-1")
        assert made is not None
        assert made.throwaway
        await until(pilot, lambda: isinstance(app.screen, ConsoleScreen))
        await press(pilot, "ctrl+backslash", "d")
        await until(pilot, lambda: app.screen is app.dashboard)
        await press(pilot, "d")
        await until(pilot, lambda: vm(app, "sandbox-1") is None)


async def test_a_sandbox_that_does_not_start_is_gone_at_once() -> None:
    backend = Stubborn()
    backend.stubborn = frozenset({"sandbox-1"})
    async with running(backend) as (app, pilot):
        await opened(app, pilot, "N")
        await press(pilot, "enter")
        await until(pilot, lambda: "sandbox-1 does not start" in said(app))
        assert vm(app, "sandbox-1") is None


async def test_a_vm_is_cloned_and_it_is_said_what_stays_the_same() -> None:
    async with running() as (app, pilot):
        await point(pilot, app, "old-db")
        await press(pilot, "y")
        await until(pilot, lambda: "what is it called" in whole(app))
        await press(pilot, "enter")
        await until(pilot, lambda: "linked" in whole(app))
        await press(pilot, "2")
        await until(pilot, lambda: "old-db-1 is made" in said(app))
        assert vm(app, "old-db-1") is not None
        assert "machine-id" not in said(app)  # cloud-init sees to it
        await point(pilot, app, "web-01")
        await press(pilot, "y")
        await until(pilot, lambda: "web-01 is running" in said(app))


class SlowToClone(DemoBackend):
    """Its clones are made when it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.gate = asyncio.Event(), asyncio.Event()

    async def clone(
        self,
        vm: VMId,
        name: str,
        *,
        linked: bool,
        cloud_init: CloudInit | None,
        progress: ProgressSink,
    ) -> VMId:
        self.asked.set()
        await self.gate.wait()
        return await super().clone(
            vm, name, linked=linked, cloud_init=cloud_init, progress=progress
        )


async def test_a_clone_goes_on_whatever_is_opened_meanwhile() -> None:
    slow = SlowToClone()
    async with running(slow) as (app, pilot):
        await point(pilot, app, "old-db")
        await press(pilot, "y")
        await until(pilot, lambda: "what is it called" in whole(app))
        await press(pilot, "enter")
        await until(pilot, lambda: "linked" in whole(app))
        await press(pilot, "1")
        await until(pilot, slow.asked.is_set)
        await point(pilot, app, "web-01")
        await press(pilot, "c")
        await until(pilot, lambda: isinstance(app.screen, ConsoleScreen))
        slow.gate.set()
        await until(pilot, lambda: "old-db-1 is made" in said(app))


class Forgetful(DemoBackend):
    """It can't tell who leans on which image."""

    async def images_in_use(self) -> Mapping[str, tuple[str, ...]]:
        raise OperationError("no answer within 20 s")


async def test_images_are_there_though_a_connection_does_not_say_who_leans_on_them() -> None:
    async with running(DemoBackend(), Forgetful("demo:?host=b")) as (app, pilot):
        await press(pilot, "I")
        await until(pilot, lambda: "12 VMs" in whole(app))
        assert "no answer within 20 s" in said(app)
        await press(pilot, "down", "x")  # what nobody knows of is not removed
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        await press(pilot, "y")
        await until(pilot, lambda: said(app).count("no answer within 20 s") > 1)
        assert "is removed" not in said(app)


async def test_what_is_done_to_an_image_is_seen_by_whoever_looks_again() -> None:
    async with running() as (app, pilot):
        app.context.shelf = shelf = SlowShelf()
        await press(pilot, "I")
        await until(pilot, lambda: "alpine-3.22" in whole(app))
        await press(pilot, *["down"] * 6, "p")
        await until(pilot, lambda: "pulling " in whole(app))
        await press(pilot, "escape")
        await until(pilot, lambda: app.screen is app.dashboard)
        await press(pilot, "I")
        await until(pilot, lambda: "pulling " in whole(app))
        shelf.gate.set()
        await until(pilot, lambda: " is here" in said(app))


async def test_images_are_pulled_verified_and_removed() -> None:
    async with running() as (app, pilot):
        app.context.shelf = shelf = SlowShelf()
        await press(pilot, "I")
        await until(pilot, lambda: isinstance(app.screen, ImagesScreen))
        screen = app.screen
        assert isinstance(screen, ImagesScreen)
        await until(pilot, lambda: "debian-12" in shown(screen.table))
        await until(pilot, lambda: "12 VMs" in shown(screen.table))
        await press(pilot, "x")  # what VMs lean on stays
        await until(pilot, lambda: "debian-12 is in use" in said(app))
        await press(pilot, "down", "x")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        await press(pilot, "y")
        await until(pilot, lambda: "debian-13 is removed" in said(app))
        await until(pilot, lambda: "2 here · 5 to pull" in shown(screen.table))
        await press(pilot, "v")
        assert "debian-13 is not here yet" in said(app)
        await press(pilot, "p")
        await until(pilot, lambda: "pulling debian-13" in shown(screen.table))
        await press(pilot, "p")
        assert "Something is being done to debian-13" in said(app)
        shelf.gate.set()
        await until(pilot, lambda: "3 here · 4 to pull" in shown(screen.table))
        await press(pilot, "v")
        await until(pilot, lambda: "debian-13 is what it was" in said(app))
        await press(pilot, "n")
        await until(pilot, lambda: isinstance(app.screen, CreateScreen))
        form = app.screen
        assert isinstance(form, CreateScreen)
        await until(pilot, lambda: field(form, "image") == "debian-13")
