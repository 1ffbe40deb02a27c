"""The Hardware tab, plans, panels, the trash and the palette, over the demo fleet."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from textual.containers import Vertical
from textual.geometry import Region, Spacing
from textual.pilot import Pilot
from textual.widgets import Input

from tests.tui.support import names, point, press, running, said, shown, state_of, until, whole
from vmtui.app import VmtuiApp
from vmtui.backends.base import DeletePlan
from vmtui.backends.demo import DemoBackend
from vmtui.hardware.around import TpmFacts, TpmHealth
from vmtui.hardware.changes import Assign, Change, ChangePlan, When
from vmtui.hardware.settings import SETTINGS, setting
from vmtui.hardware.tree import Entry
from vmtui.hardware.values import Value
from vmtui.model import VM, VMId
from vmtui.screens.ask import AskScreen
from vmtui.screens.attaching import AskDevice
from vmtui.screens.cpus import CpuPanel
from vmtui.screens.deleting import DeleteScreen
from vmtui.screens.editing import EntryEditor, Seat
from vmtui.screens.firmware import FirmwarePanel
from vmtui.screens.isolation import IsolationPanel
from vmtui.screens.planning import PlanScreen
from vmtui.screens.preview import PreviewScreen
from vmtui.screens.tpm import TpmPanel
from vmtui.screens.trash import TrashScreen
from vmtui.screens.typed import TypeNameScreen
from vmtui.screens.vm import VMScreen

SIZE = (90, 30)
"""Smaller screens are drawn in less time."""


def vm_of(app: VmtuiApp, name: str) -> VM:
    return app.fleet.vm(app.fleet.find(name))


async def hardware(pilot: Pilot[None], app: VmtuiApp, name: str) -> VMScreen:
    """The Hardware tab of a VM, once it is read."""
    await point(pilot, app, name)
    await press(pilot, "m")
    await until(pilot, lambda: "takes effect" in whole(app))
    assert isinstance(app.screen, VMScreen)
    return app.screen


async def plan(pilot: Pilot[None], app: VmtuiApp) -> None:
    """Wait until one is asked about, and drawn."""
    await until(pilot, lambda: isinstance(app.screen, PlanScreen) and "Change " in whole(app))


async def at(pilot: Pilot[None], app: VmtuiApp, key: str) -> None:
    """Put the cursor on a setting or a part."""
    assert isinstance(app.screen, VMScreen)
    app.screen.show_hardware(key)
    await pilot.pause()


async def test_a_setting_is_judged_while_it_is_typed_and_planned_before_it_is_done() -> None:
    async with running(size=SIZE) as (app, pilot):
        screen = await hardware(pilot, app, "web-01")
        await press(pilot, "2", "enter")
        await until(pilot, lambda: isinstance(app.screen, EntryEditor))
        await press(pilot, "x")
        await until(pilot, lambda: "'x' is not a whole number" in whole(app))
        await press(pilot, "backspace", "9", "enter")  # more than the maximum: told by the backend
        await until(pilot, lambda: "it can't have 9 vCPUs: its maximum is 8" in whole(app))
        await press(pilot, "backspace", "6", "enter")
        await plan(pilot, app)
        assert "vCPUs: 4 → 6" in whole(app)
        assert '+"cpus" = "6"' in whole(app)
        assert "live, and at next boot" in whole(app)
        assert vm_of(app, "web-01").vcpus == 4
        await press(pilot, "y")
        await until(pilot, lambda: vm_of(app, "web-01").vcpus == 6)
        await until(pilot, lambda: "the guest has 6" in said(app))
        await until(pilot, lambda: app.screen is screen)
        await press(pilot, "U")
        await plan(pilot, app)
        assert "vCPUs: 6 → 4" in whole(app)
        await press(pilot, "y")
        await until(pilot, lambda: vm_of(app, "web-01").vcpus == 4)


async def test_what_waits_for_the_next_boot_is_marked_until_the_power_cycle() -> None:
    async with running(size=SIZE) as (app, pilot):
        screen = await hardware(pilot, app, "web-01")
        await press(pilot, "2", "enter", "8", "enter")
        await plan(pilot, app)
        await press(pilot, "w", "w")
        await until(pilot, lambda: "‹ at next boot ›" in whole(app))
        await press(pilot, "y")
        await until(pilot, lambda: "◆ 1 at next boot" in shown(screen.detail))
        assert "◆ 1 pending" in whole(app)
        assert any("vCPUs" in line and "8" in line for line in shown(screen.detail).splitlines())
        await press(pilot, "escape")
        await until(pilot, lambda: "web-01 ◆" in shown(app.dashboard.table))
        await press(pilot, "D")
        await until(pilot, lambda: app.screen is not app.dashboard)
        await press(pilot, "y")
        await until(pilot, lambda: state_of(app, "web-01") == "off")
        await until(pilot, lambda: "◆" not in whole(app))


async def test_switches_turn_and_choices_are_chosen() -> None:
    async with running(size=SIZE) as (app, pilot):
        await hardware(pilot, app, "win11")
        await at(pilot, app, "protected")
        await press(pilot, "enter")
        await plan(pilot, app)
        assert "protected: off → on" in whole(app)
        await press(pilot, "enter")
        await until(pilot, lambda: vm_of(app, "win11").protected)
        await until(pilot, lambda: isinstance(app.screen, VMScreen))
        await press(pilot, "D")  # forced off it is not
        await until(pilot, lambda: not isinstance(app.screen, VMScreen))
        await press(pilot, "y")
        await until(pilot, lambda: "it is protected" in said(app))
        await at(pilot, app, "cpu.profile")
        await press(pilot, "enter")
        await until(pilot, lambda: isinstance(app.screen, EntryEditor))
        await press(pilot, "right", "enter")
        await plan(pilot, app)
        assert "profile: normal → high" in whole(app)
        await press(pilot, "escape")
        await until(pilot, lambda: isinstance(app.screen, VMScreen))
        await at(pilot, app, "name")
        await press(pilot, "enter")
        await until(pilot, lambda: "it runs: shut it down first" in said(app))


@pytest.mark.parametrize("key", ["cpu.quota", "memory.plugged", "disk.vda.cache"])
async def test_all_that_is_said_of_a_setting_is_on_a_small_screen(key: str) -> None:
    pane = Region(38, 2, 42, 22)
    last_row = Region(40, 21, 38, 1)
    entry = Entry(key, None, None, choices=("none", "writeback"))

    async def never(value: Value) -> ChangePlan:
        raise AssertionError(value)

    async with running(size=(80, 24)) as (app, pilot):
        editor = EntryEditor(entry, Seat(last_row, 12, pane.shrink(Spacing.all(1))), never)
        await app.push_screen(editor)
        words = " ".join(setting(key).help.split())
        await until(pilot, lambda: words in told(app, last_row))
        assert told(app, last_row).endswith("Esc cancels")
        typed = isinstance(editor.field, Input)  # what is chosen from names the default itself
        await until(pilot, lambda: editor.query_one(Vertical).region.bottom <= pane.bottom - 1)
        assert ("empty: the default." in told(app, last_row).lower()) is typed


def told(app: VmtuiApp, place: Region) -> str:
    """The words on the columns of a pane."""
    return " ".join(" ".join(line[place.x :] for line in whole(app).splitlines()).split())


async def test_devices_are_attached_and_detached() -> None:
    async with running(size=SIZE) as (app, pilot):
        screen = await hardware(pilot, app, "web-01")
        await press(pilot, "plus")
        await until(pilot, lambda: "shared folder" in whole(app))
        await press(pilot, "1")
        await until(pilot, lambda: isinstance(app.screen, AskDevice))
        await press(pilot, "ctrl+u", *"5")
        await until(pilot, lambda: "has no unit" in whole(app))
        await press(pilot, "G", "enter")
        await plan(pilot, app)
        await press(pilot, "y")
        await until(pilot, lambda: len(vm_of(app, "web-01").disks) == 3)
        await until(pilot, lambda: app.screen is screen)
        await until(pilot, lambda: screen.detail.hardware.hardware is not None)
        await press(pilot, "plus")
        await until(pilot, lambda: "shared folder" in whole(app))
        await press(pilot, "6")
        await until(pilot, lambda: "it is the keyboard of this host" in whole(app))
        await press(pilot, "3")
        await until(pilot, lambda: "can't be passed through" in said(app))
        await at(pilot, app, "disk.vdb")
        await until(pilot, lambda: "disk vdb" in whole(app))
        await at(pilot, app, "disk.vdb")
        await press(pilot, "delete")
        await plan(pilot, app)
        assert "its file stays" in whole(app)
        await press(pilot, "y")
        await until(pilot, lambda: len(vm_of(app, "web-01").disks) == 2)


async def test_what_a_guest_does_not_let_go_of_is_told() -> None:
    async with running(size=SIZE) as (app, pilot):
        await hardware(pilot, app, "router")
        await at(pilot, app, "nic.net0")
        await press(pilot, "minus")
        await plan(pilot, app)
        await press(pilot, "y")
        await until(pilot, lambda: "did not let go of it" in said(app))
        await until(pilot, lambda: vm_of(app, "router").pending)


async def test_removing_a_tpm_needs_the_name() -> None:
    async with running(size=SIZE) as (app, pilot):
        await point(pilot, app, "win11")
        await press(pilot, "t")
        await until(pilot, lambda: "sha256" in whole(app))
        assert isinstance(app.screen, TpmPanel)
        for text in ("/vms/win11/tpm", "7.2 KiB", "running", "took ownership"):
            assert text in whole(app)
        await press(pilot, "c")
        await until(pilot, lambda: "Shut it down first" in said(app))
        await press(pilot, "x")
        await plan(pilot, app)
        assert "disk keys sealed in it are lost" in whole(app).lower()
        await press(pilot, *"wi", "enter")
        assert isinstance(app.screen, PlanScreen)
        await press(pilot, *"n11", "enter")
        await until(pilot, lambda: vm_of(app, "win11").pending)
        await until(pilot, lambda: "at next boot" in whole(app))


async def test_a_tpm_is_added_cleared_and_its_state_restored(tmp_path: Path) -> None:
    backup = tmp_path / "state"
    async with running(size=SIZE) as (app, pilot):
        await point(pilot, app, "old-db")
        await press(pilot, "t")
        await until(pilot, lambda: "It has none" in whole(app))
        await press(pilot, "a")
        await plan(pilot, app)
        await press(pilot, "y")
        await until(pilot, lambda: vm_of(app, "old-db").tpm)
        await until(pilot, lambda: "sha256" in whole(app))
        await press(pilot, "b")
        await until(pilot, lambda: "Back up the TPM state" in whole(app))
        app.screen.query_one(Input).value = str(backup)
        await press(pilot, "enter")
        await until(pilot, lambda: "is in" in said(app))
        assert backup.stat().st_mode & 0o077 == 0
        for key, told in (("c", "is empty"), ("r", "is that of")):
            await until(pilot, lambda: isinstance(app.screen, TpmPanel))
            await press(pilot, key)
            if key == "r":
                await until(pilot, lambda: "Restore the TPM state" in whole(app))
                app.screen.query_one(Input).value = str(backup)
                await press(pilot, "enter")
            await until(pilot, lambda: isinstance(app.screen, TypeNameScreen))
            assert "Disk keys sealed in it are lost." in whole(app)
            await press(pilot, *"old", "enter")
            assert isinstance(app.screen, TypeNameScreen)
            await press(pilot, *"-db", "enter")
            await until(pilot, lambda told=told: told in said(app))  # type: ignore[misc]


async def test_a_name_that_has_to_be_typed_is_no_markup() -> None:
    async with running(size=SIZE) as (app, pilot):
        asked = TypeNameScreen("Lose [b]it[/b]", ["in [red]\x1b[31mred[/red]"], "[b]x[/b]")
        await app.push_screen(asked)
        text = whole(app)
        for part in ("Lose [b]it[/b]", "in [red]red[/red]", "Type [b]x[/b] to do it"):
            assert part in text
        await press(pilot, *"[b]x[/b]")
        await until(pilot, lambda: "Enter does it" in whole(app))


async def test_deletion_spares_what_is_chosen_and_the_trash_gives_back() -> None:
    async with running(size=SIZE) as (app, pilot):
        await point(pilot, app, "win11")
        await press(pilot, "X")
        await until(pilot, lambda: "disk keys sealed in it are lost" in whole(app))
        await pilot.press("t", *"ywin11")  # for good: the name has to be typed, and no more
        await press(pilot, "enter")
        assert isinstance(app.screen, DeleteScreen)
        assert "Type win11 to do it" in whole(app)
        typed = app.screen.query_one(Input)
        assert typed.has_focus
        assert typed.value == "ywin11"
        assert "Enter deletes" not in whole(app)
        await press(pilot, "home", "delete")
        await until(pilot, lambda: "Enter deletes" in whole(app))
        await press(pilot, "up", "space")  # to the trash after all
        await until(pilot, lambda: "y deletes" in whole(app))
        await press(pilot, "escape")
        await until(pilot, lambda: app.screen is app.dashboard)
        await press(pilot, "X")
        await until(pilot, lambda: "TPM state" in whole(app))
        await press(pilot, "down", "j", "space")  # its TPM state stays
        await until(pilot, lambda: "disk keys" not in whole(app))
        await press(pilot, "y")
        await until(pilot, lambda: "win11" not in names(app))
        await until(pilot, lambda: "win11 is in the trash" in said(app))
        await press(pilot, "Z")
        await until(pilot, lambda: "1 VM" in whole(app) and "GONE IN" in whole(app))
        assert isinstance(app.screen, TrashScreen)
        await press(pilot, "r")
        await until(pilot, lambda: "win11" in names(app))
        await until(pilot, lambda: "The trash is empty." in whole(app))


async def test_what_is_lost_and_the_answer_are_seen_however_long_the_rest_is() -> None:
    async with running(size=(80, 24)) as (app, pilot):
        ref = app.fleet.find("win11")
        changes = [Assign("cpus", 2), Assign("autostart", True), Assign("notes", "x")]
        planned = await app.fleet.backend(ref).plan(ref.id, changes)  # type: ignore[attr-defined]
        first = replace(planned.steps[0], loses="what was sealed in it is lost")
        losing = replace(planned, steps=(first, *planned.steps[1:], *planned.steps[1:] * 3))
        app.push_screen(PlanScreen(losing))
        await plan(pilot, app)
        await until(pilot, lambda: "y do it" in whole(app))
        assert "What was sealed in it is lost." in whole(app)
        assert app.screen.query_one(Input).region.bottom < 24
        await press(pilot, "escape")
        for name in ("web-01", "pihole", "old-db", "router", "win11"):
            await point(pilot, app, name)
            await press(pilot, "space")
        await press(pilot, "X")
        await until(pilot, lambda: isinstance(app.screen, DeleteScreen))
        await until(pilot, lambda: "y delete" in whole(app))
        app.push_screen(PreviewScreen("web-01", "<domain>\n" + "<a/>\n" * 50))
        await until(pilot, lambda: "Enter creates · y copies" in whole(app))


async def test_without_a_trash_the_name_is_typed_at_once() -> None:
    async with running(size=SIZE) as (app, pilot):
        backend, ref = DemoBackend(), app.fleet.find("win11")
        plan = await backend.delete_plan(ref.id)
        answers: list[object] = []
        await app.push_screen(DeleteScreen("Delete win11?", [plan], trash=False), answers.append)
        assert app.screen.query_one(Input).has_focus
        await press(pilot, *"win11", "enter")
        await until(pilot, lambda: answers == [[plan]])


class Slow(DemoBackend):
    """Its deletions take their time to be planned."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.ready = asyncio.Event(), asyncio.Event()

    async def delete_plan(self, vm: VMId) -> DeletePlan:
        self.asked.set()
        await self.ready.wait()
        return await super().delete_plan(vm)


async def test_a_question_that_is_late_is_called_off() -> None:
    slow = Slow()
    async with running(slow, size=SIZE) as (app, pilot):
        await point(pilot, app, "old-db")
        await press(pilot, "X")
        await until(pilot, slow.asked.is_set)
        await press(pilot, "y")  # meant for the question
        assert app.screen is app.dashboard
        await press(pilot, "escape")
        slow.ready.set()
        await press(pilot, "y")  # meant for the dashboard again: another VM like it
        await until(pilot, lambda: isinstance(app.screen, AskScreen))
        await press(pilot, "escape", "X")
        await until(pilot, lambda: isinstance(app.screen, DeleteScreen))


class SlowToPlan(DemoBackend):
    """Its changes take their time to be planned."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.ready = asyncio.Event(), asyncio.Event()

    async def plan(self, vm: VMId, changes: Sequence[Change], when: When = When.AUTO) -> ChangePlan:
        self.asked.set()
        await self.ready.wait()
        return await super().plan(vm, changes, when)


async def test_a_typed_value_that_is_late_to_be_judged_is_called_off() -> None:
    slow = SlowToPlan()
    async with running(slow, size=SIZE) as (app, pilot):
        screen = await hardware(pilot, app, "pihole")
        await press(pilot, "2", "enter")
        await until(pilot, lambda: isinstance(app.screen, EntryEditor))
        await press(pilot, "backspace", "2", "enter")
        await until(pilot, slow.asked.is_set)
        await press(pilot, "escape")
        await until(pilot, lambda: app.screen is screen)
        slow.ready.set()
        await press(pilot, "escape")
        await until(pilot, lambda: app.screen is app.dashboard)


async def test_a_question_of_a_panel_that_is_late_is_called_off() -> None:
    slow = SlowToPlan()
    async with running(slow, size=SIZE) as (app, pilot):
        await point(pilot, app, "pihole")
        await press(pilot, "B")
        await until(pilot, lambda: "restrict" in whole(app))
        await press(pilot, "r")
        await until(pilot, slow.asked.is_set)
        await press(pilot, "r", "escape")
        assert isinstance(app.screen, IsolationPanel)  # it was for the question
        slow.ready.set()
        await press(pilot, "r")
        await plan(pilot, app)
        await press(pilot, "escape", "escape")
        await until(pilot, lambda: app.screen is app.dashboard)
        assert not app.dashboard.is_held


class Unwell(DemoBackend):
    """Its TPMs are as they are told to be."""

    health: str = TpmHealth.AWAITED

    async def tpm(self, vm: VMId) -> TpmFacts:
        return replace(await super().tpm(vm), health=self.health)


async def test_only_what_is_wrong_with_a_tpm_is_marked_so() -> None:
    backend = Unwell()
    async with running(backend, size=SIZE) as (app, pilot):
        await point(pilot, app, "win11")
        await press(pilot, "t")
        await until(pilot, lambda: TpmHealth.AWAITED in whole(app))
        assert f"✗ {TpmHealth.AWAITED}" not in whole(app)
        backend.health = "swtpm has ended"
        await until(pilot, lambda: "✗ swtpm has ended" in whole(app))


async def test_restrict_is_one_plan() -> None:
    async with running(size=SIZE) as (app, pilot):
        await point(pilot, app, "pihole")
        await press(pilot, "B")
        await until(pilot, lambda: "▲ weak" in whole(app))
        assert isinstance(app.screen, IsolationPanel)
        assert "page sharing" in whole(app)
        await press(pilot, "r")
        await plan(pilot, app)
        assert "link: on → off" in whole(app)
        assert "page sharing: on → off" in whole(app)
        await press(pilot, "y")
        await until(pilot, lambda: "▲ weak" not in whole(app))


async def test_panels_of_firmware_and_cpus() -> None:
    async with running(size=SIZE) as (app, pilot):
        await point(pilot, app, "win11")
        await press(pilot, "f")
        await until(pilot, lambda: "on, with enrolled keys" in whole(app))
        assert isinstance(app.screen, FirmwarePanel)
        assert "OVMF_CODE_4M.ms.fd" in whole(app)
        await press(pilot, "1")
        await until(pilot, lambda: "win11: boot once from" in whole(app))
        await press(pilot, "2")
        await plan(pilot, app)
        await press(pilot, "y")
        await until(pilot, lambda: "◆ cdrom at next boot" in whole(app))
        await press(pilot, "escape")
        await until(pilot, lambda: app.screen is app.dashboard)
        await press(pilot, "K")
        await until(pilot, lambda: "node 1" in whole(app))
        assert isinstance(app.screen, CpuPanel)
        assert "k3s-a (vCPU 0, vCPU 1, vCPU 2, vCPU 3)" in whole(app)
        await press(pilot, "i")
        await until(pilot, lambda: "win11: pinning" in whole(app))
        await press(pilot, *"all=12-13", "enter")
        await plan(pilot, app)
        await press(pilot, "y")
        await until(pilot, lambda: "12-13" in whole(app) and "win11 (vCPU 0" in whole(app))
        await press(pilot, "i")
        await until(pilot, lambda: "win11: pinning" in whole(app))
        assert app.screen.query_one(Input).value == "all=12-13"
        await press(pilot, "ctrl+u", "enter")
        await plan(pilot, app)
        await press(pilot, "y")
        await until(pilot, lambda: "12-13" not in whole(app))


async def test_a_bios_has_a_boot_order_too() -> None:
    async with running(size=(80, 24)) as (app, pilot):
        await point(pilot, app, "web-01")
        await press(pilot, "f")
        await until(pilot, lambda: "boot order" in whole(app))
        assert "bios" in whole(app)
        await press(pilot, "r")
        await until(pilot, lambda: "it starts with BIOS" in whole(app))
        await press(pilot, "m")
        await plan(pilot, app)
        assert "boot menu: off → on" in whole(app)


async def test_what_a_panel_says_is_not_cut_off() -> None:
    async with running(size=(80, 24)) as (app, pilot):
        await point(pilot, app, "web-01")
        await press(pilot, "t")
        await until(pilot, lambda: "runs what" in whole(app))
        assert "Its state is kept in a folder of the" in whole(app)


async def test_the_palette_knows_every_setting() -> None:
    async with running(size=SIZE) as (app, pilot):
        await point(pilot, app, "web-01")
        titles = [command.title.lower() for command in app.get_system_commands(app.dashboard)]
        for known in SETTINGS:
            assert any(title.startswith(known.label.lower()) for title in titles), known.key
        for name in ("secure boot", "boot order", "page sharing", "attach shared folder"):
            assert any(title.startswith(name) for title in titles), name
        command = next(
            each
            for each in app.get_system_commands(app.dashboard)
            if each.title.startswith("Page sharing · ")
        )
        command.callback()
        await until(pilot, lambda: "▸   page sharing" in whole(app))


async def test_the_definition_goes_through_the_users_editor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\nsed -i "$EDIT" "$1"\n')
    editor.chmod(0o755)
    monkeypatch.setenv("EDITOR", str(editor))
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDIT", 's/^"cpus" = .*/"cpus" = "many"/')
    monkeypatch.setattr(VmtuiApp, "suspend", _suspended)
    async with running(size=SIZE) as (app, pilot):
        await point(pilot, app, "web-01")
        await press(pilot, "e")
        await until(pilot, lambda: "'many' is not a whole number" in whole(app))
        monkeypatch.setenv("EDIT", 's/^"cpus" = .*/"cpus" = "2"/')
        await press(pilot, "y")
        await plan(pilot, app)
        assert '-"cpus" = "4"' in whole(app)
        assert '+"cpus" = "2"' in whole(app)
        await press(pilot, "y")
        await until(pilot, lambda: vm_of(app, "web-01").vcpus == 2)


@contextmanager
def _suspended(_: VmtuiApp) -> Iterator[None]:
    yield


ITEMS = (
    ("m 1", "description"),
    ("m 2", "I/O threads"),
    ("m 3", "huge pages"),
    ("m 6", "IOPS burst"),
    ("m 8", "network:default"),
    ("m plus", "PCI device"),
    ("m plus 7", "IOMMU group"),
    ("m 5 enter", "← → choose"),
    ("b", "guest uses"),
    ("t", "PCR banks"),
    ("f", "begun from"),
    ("f 1", "boot once from"),
    ("K", "node 1"),
    ("K p", "dedicated"),
    ("B", "system calls"),
    ("B r", "page sharing: on → off"),
    ("A", "automatic balance: off → on"),
    ("L", "protected: off → on"),
    ("Q", "page sharing: on → off"),
    ("X", "stays"),
    ("Z", "The trash is empty."),
)
"""Keys from the list of VMs, at most three, and what they lead to."""


async def test_all_is_three_keys_away() -> None:
    async with running(DemoBackend("demo:?vms=2"), size=SIZE) as (app, pilot):
        await point(pilot, app, "win11")
        for keys, text in ITEMS:
            assert len(keys.split()) <= 3
            for key in keys.split():
                await press(pilot, key)
                # What is read first is waited for, as a person would.
                await until(pilot, lambda: "Reading …" not in whole(app))
            await until(pilot, lambda text=text: text in whole(app))  # type: ignore[misc]
            while app.screen is not app.dashboard:
                await press(pilot, "escape")
            await until(pilot, lambda text=text: text not in whole(app))  # type: ignore[misc]


async def test_one_dialog_is_for_one_vm() -> None:
    async with running(size=SIZE) as (app, pilot):
        await press(pilot, "space", "space", "b")
        await until(pilot, lambda: "2 are marked" in said(app))
        assert app.screen is app.dashboard


async def test_a_backend_that_can_not_configure_says_so() -> None:
    class Plain(DemoBackend):
        features = DemoBackend.features & ~DemoBackend.features.CONFIGURE

    async with running(Plain(), size=SIZE) as (app, pilot):
        await press(pilot, "tab", "tab", "tab")
        await until(pilot, lambda: "can't configure VMs" in shown(app.dashboard.detail))
