"""`set`, `edit`, `attach`, `balloon`, `tpm` and their like as a script sees them."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from vmtui.backends.base import Endpoint
from vmtui.backends.demo import DemoBackend
from vmtui.cli import main
from vmtui.commands import confirming, editing
from vmtui.hardware.settings import SETTINGS
from vmtui.model import Power, VMId
from vmtui.parser import build_parser

Run = Callable[..., tuple[int, str, str]]

PARSER = build_parser()
"""Making it takes longer than most of these commands."""


class Lab:
    """One demo fleet for several commands, as a hypervisor would be."""

    def __init__(self) -> None:
        self.backend = DemoBackend("lab:")

    def endpoints(self, _: object, *, read_only: bool = False, **__: object) -> list[Endpoint]:
        self.backend._read_only = read_only
        return [Endpoint(self.backend, "lab")]

    def stored(self) -> list[str]:
        """All definitions."""

        async def read() -> list[str]:
            return [(await self.backend.definition(vm)).text for vm in self.backend._vms]

        return asyncio.run(read())

    def id(self, name: str) -> VMId:
        return next(vm.id for vm in self.backend._vms.values() if vm.name == name)


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Lab:
    lab = Lab()
    monkeypatch.setattr("vmtui.opening.endpoints", lab.endpoints)
    monkeypatch.setattr("vmtui.cli.build_parser", lambda: PARSER)
    return lab


@pytest.fixture
def vmtui(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    monkeypatch.setenv("HOME", str(tmp_path))
    for kind in ("CONFIG", "DATA", "STATE"):
        monkeypatch.setenv(f"XDG_{kind}_HOME", str(tmp_path / kind.lower()))

    def run(*arguments: str) -> tuple[int, str, str]:
        status = main(["-c", "lab:", *arguments])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Somebody sits at the terminal and says this."""
    said: list[str] = []

    async def asked(question: str) -> str:
        print(question, file=sys.stderr)
        return said.pop(0)

    for module in (confirming, editing):
        monkeypatch.setattr(module, "asked", asked)
        monkeypatch.setattr(module, "on_terminal", lambda: True)
    return said


def pending(vmtui: Run, name: str) -> list[str]:
    found: list[str] = json.loads(vmtui("show", name, "--diff", "--json")[1])["pending"]
    return found


# -- set, attach, detach, undo ---------------------------------------------------------------------


def test_a_plan_changes_nothing_and_a_change_is_seen_and_undone(vmtui: Run) -> None:
    arguments = ("set", "web-01", "memory=2G", "cpus=2")
    before = vmtui("show", "web-01", "--hardware")
    status, planned, _ = vmtui(*arguments, "--plan")
    assert status == 0
    assert "memory: 4 GiB → 2 GiB  [at next boot]" in planned
    assert '-"memory" = "4G"\n+"memory" = "2G"' in planned
    assert vmtui("show", "web-01", "--hardware") == before
    status, out, err = vmtui(*arguments)
    assert (status, err) == (0, "")
    assert "vCPUs: 4 → 2  [live, and at next boot]" in out
    assert pending(vmtui, "web-01") == ["memory"]
    status, out, _ = vmtui("show", "web-01", "--diff")
    assert out.split() == ["KEY", "NOW", "NEXT", "BOOT", "memory", "4", "GiB", "2", "GiB"]
    assert vmtui("undo", "web-01")[0] == 0
    assert vmtui("show", "web-01", "--hardware") == before
    assert vmtui("undo", "web-01")[0] == 0  # an undo is a change like any other
    assert pending(vmtui, "web-01") == ["memory"]


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (("set", "web-01", "memory"), 2, "'memory' says no value"),
        (("set", "web-01", "cpus=0"), 1, "0 is less than 1"),
        (("set", "web-01", "memory=1T"), 1, "more than the host has"),
        (("set", "web-01", "memory.floor=8G"), 1, "its ceiling is 4 GiB"),
        (("set", "web-01", "colour=red"), 1, "there is no setting 'colour'"),
        (("set", "nobody", "cpus=1"), 3, "there is no VM named 'nobody'"),
        (("set", "web-01", "cpus.max=8", "--live"), 1, "can't be live"),
        (("set", "web-01", "memory.target=100M"), 4, "its floor is"),
        (("attach", "web-01", "floppy:x"), 1, "is not a device"),
        (("detach", "web-01", "disk.vdz"), 1, "disk.vdz"),
        (("undo", "web-01"), 1, "there is nothing to undo for web-01"),
        (("--read-only", "set", "web-01", "cpus=1"), 4, "read-only"),
        (("--read-only", "undo", "web-01"), 4, "read-only"),
        (("--read-only", "balloon", "web-01", "2G"), 4, "read-only"),
        (("--read-only", "tpm", "win11", "clear"), 4, "read-only"),
        (("set", "win11", "tpm=off"), 4, "disk keys sealed in it are lost"),
        (("set", "win11", "tpm=off", "--confirm", "win"), 4, "'win' is not its name"),
        (("balloon", "web-01", "1"), 1, "has no unit"),
        (("balloon", "web-01", "5G"), 1, "its ceiling is 4 GiB"),
        (("balloon", "web-01", "100M"), 4, "--below-floor"),
        (("balloon", "old-db", "1G"), 1, "it is off"),
        (("tpm", "win11", "backup"), 2, "backup needs a FILE"),
        (("tpm", "win11", "clear", "x"), 2, "clear takes no FILE"),
        (("tpm", "win11", "clear", "--confirm", "win11"), 1, "vmtui shutdown win11"),
        (("tpm", "win11", "clear", "--plan"), 2, "--plan is for add and remove"),
        (("tpm", "win11", "remove"), 4, "disk keys sealed in it are lost"),
        (("tpm", "web-01", "clear"), 1, "TPM"),
        (("firmware", "web-01", "backup"), 2, "backup needs a FILE"),
        (("settings", "colour"), 1, "there is no setting 'colour'"),
        (("delete", "web-01"), 4, "delete of web-01 was not confirmed"),
        (("delete", "web-01", "--keep", "nothing", "--yes"), 1, "is not among what goes"),
        (("delete", "web-01", "--json", "--yes"), 2, "--json is for --plan"),
        (("tpm", "win11", "clear", "--json"), 2, "--json is for show, not for clear"),
        (("firmware", "web-01", "reset", "--json"), 2, "--json is for show, not for reset"),
        (("trash", "restore"), 2, "trash restore needs a NAME"),
        (("trash", "restore", "x", "--json"), 2, "--json is for trash list"),
        (("trash", "restore", "web-01"), 3, "there is no 'web-01' in the trash"),
    ],
)
def test_what_can_not_be_done_is_told_and_changes_nothing(
    vmtui: Run, lab: Lab, arguments: tuple[str, ...], status: int, told: str
) -> None:
    before = lab.stored()
    found, out, err = vmtui(*arguments)
    assert (found, out) == (status, "")
    assert told in err
    assert lab.stored() == before


def test_devices_come_and_go(vmtui: Run) -> None:
    status, out, _ = vmtui("attach", "web-01", "disk:10G", "nic:user,model=e1000", "--json")
    assert status == 0
    facts = json.loads(out)
    assert [step["takes"] for step in facts["steps"]] == ["live and next boot"] * 2
    assert [one["problem"] for one in facts["done"]] == ["", ""]
    shown = vmtui("show", "web-01", "--hardware")[1]
    assert "disk.vdb.size" in shown
    assert "nic.net1.model" in shown
    assert vmtui("detach", "web-01", "disk.vdb", "nic.net1")[0] == 0
    assert "disk.vdb" not in vmtui("show", "web-01", "--hardware")[1]
    assert vmtui("undo", "web-01")[0] == 0
    assert "disk.vdb.size" in vmtui("show", "web-01", "--hardware")[1]


def test_a_guest_that_does_not_comply_is_a_failure(vmtui: Run) -> None:
    assert vmtui("attach", "router", "disk:1G")[0] == 0
    status, out, err = vmtui("detach", "router", "disk.vdb")
    assert status == 1
    assert "did not let go of it" in err
    assert "[at next boot]" in out


def test_the_table_of_settings(vmtui: Run) -> None:
    assert vmtui("settings")[1].count("\n") == len(SETTINGS) + 1
    listed = json.loads(vmtui("settings", "disk", "--json")[1])
    assert {one["key"].split(".")[0] for one in listed} == {"disk"}
    [profile] = json.loads(vmtui("settings", "cpu.profile", "--json")[1])
    assert profile["choices"] == ["low", "normal", "high", "dedicated"]
    assert (profile["kind"], profile["optional"]) == ("choice", True)


# -- edit ------------------------------------------------------------------------------------------


@pytest.fixture
def editor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """An editor that replaces one text by another; each time it is opened the next pair."""

    def write(*edits: tuple[str, str], status: int = 0) -> None:
        script = tmp_path / "editor"
        script.write_text(
            f"#!{sys.executable}\n"
            "import pathlib, sys\n"
            f"edits = {list(edits)!r}\n"
            "times = pathlib.Path(__file__ + '.times')\n"
            "place = len(times.read_text()) if times.exists() else 0\n"
            "times.write_text('x' * (place + 1))\n"
            "file = pathlib.Path(sys.argv[1])\n"
            "assert file.stat().st_mode & 0o77 == 0, 'others can read it'\n"
            "text = file.read_text()\n"
            "pathlib.Path(__file__ + '.seen').write_text(text)\n"
            "old, new = edits[place]\n"
            "file.write_text(text.replace(old, new) if old else new)\n"
            f"sys.exit({status})\n"
        )
        script.chmod(0o700)
        monkeypatch.setenv("VISUAL", str(script))

    return write


def test_an_edit_is_applied_after_a_yes_and_undone_whole(
    vmtui: Run, editor: Callable[..., None], answers: list[str], tmp_path: Path
) -> None:
    editor(('"memory" = "4G"', '"memory" = "2G"'))
    answers += ["y"]
    before = vmtui("show", "web-01", "--hardware")
    status, out, err = vmtui("edit", "web-01")
    assert status == 0
    assert '+"memory" = "2G"' in out
    assert "Change web-01 like that?" in err
    assert pending(vmtui, "web-01") == ["memory"]
    assert vmtui("undo", "web-01")[0] == 0
    assert vmtui("show", "web-01", "--hardware") == before
    assert not (tmp_path / "state" / "vmtui" / "edits").exists()


@pytest.mark.parametrize("edit", [("", ""), ("", " \n"), ("xyz", "")])
def test_an_emptied_or_unchanged_edit_changes_nothing(
    vmtui: Run, editor: Callable[..., None], edit: tuple[str, str]
) -> None:
    editor(edit)
    assert vmtui("edit", "web-01")[:2] == (0, "web-01 is left as it is.\n")


def test_an_invalid_edit_comes_back_with_the_reason_at_the_line(
    vmtui: Run, editor: Callable[..., None], answers: list[str], tmp_path: Path
) -> None:
    editor(('"cpus" = "4"', '"cpus" = "none"'), ('"none"', '"3"'))
    answers += ["", "yes"]
    status, out, err = vmtui("edit", "web-01")
    assert status == 0
    assert "'none' is not a whole number" in err
    seen = (tmp_path / "editor.seen").read_text().splitlines()
    at = next(i for i, line in enumerate(seen) if line.startswith("# vmtui: "))
    assert "is not a whole number" in seen[at]
    assert seen[at + 1] == '"cpus" = "none"'
    assert "vmtui:" not in out


def test_an_edit_that_is_not_applied_is_kept(
    vmtui: Run, editor: Callable[..., None], answers: list[str]
) -> None:
    editor(('"memory" = "4G"', '"memory" = "2G"'))
    answers += ["n"]
    status, _, err = vmtui("edit", "web-01")
    assert status == 4
    kept = err.partition("--from ")[2].splitlines()[0]
    assert '"memory" = "2G"' in Path(kept).read_text()
    assert stat.S_IMODE(Path(kept).stat().st_mode) == 0o600
    assert pending(vmtui, "web-01") == []
    editor(("xyz", ""), ("xyz", ""))
    assert vmtui("edit", "web-01", "--from", kept, "--yes")[0] == 0
    assert pending(vmtui, "web-01") == ["memory"]


def test_without_a_terminal_an_edit_needs_yes_and_mistakes_are_errors(
    vmtui: Run, editor: Callable[..., None]
) -> None:
    editor(*[('"memory" = "4G"', '"memory" = "2G"')] * 2, ('"memory" =', "memory ="))
    status, _, err = vmtui("edit", "web-01")
    assert status == 4
    assert "add --yes" in err
    assert "The edit is kept: vmtui edit web-01 --from " in err
    assert vmtui("edit", "web-01", "--yes", "--next-boot")[0] == 0
    assert pending(vmtui, "web-01") == ["memory"]


def test_an_edit_of_what_was_changed_meanwhile_is_refused_and_kept(
    vmtui: Run, editor: Callable[..., None], lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    editor(('"memory" = "4G"', '"memory" = "2G"'))
    stored = lab.backend.definition

    async def then_changed(vm: VMId):  # type: ignore[no-untyped-def]
        found = await stored(vm)
        monkeypatch.setattr(lab.backend, "definition", stored)
        from vmtui.hardware.changes import Assign

        plan = await lab.backend.plan(vm, [Assign("notes", "by somebody else")])
        await lab.backend.change(plan)
        return found

    monkeypatch.setattr(lab.backend, "definition", then_changed)
    status, _, err = vmtui("edit", "web-01", "--yes")
    assert status == 1
    assert "The edit is kept" in err
    assert pending(vmtui, "web-01") == []


def test_a_text_that_is_edited_is_in_the_users_own_folder_of_the_session(
    vmtui: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = tmp_path / "session"
    session.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(session))
    monkeypatch.setenv("VISUAL", f"sh -c 'echo $1 > {tmp_path}/where' sh")
    assert vmtui("edit", "web-01")[0] == 0
    assert Path((tmp_path / "where").read_text()).is_relative_to(session)
    assert list(session.iterdir()) == []


def test_an_editor_that_fails_changes_nothing(vmtui: Run, editor: Callable[..., None]) -> None:
    editor(('"memory" = "4G"', '"memory" = "2G"'), status=1)
    status, _, err = vmtui("edit", "web-01", "--yes")
    assert status == 1
    assert "the editor ended with status 1" in err
    assert "The edit is kept" in err


def test_without_any_editor_it_says_how_to_choose_one(
    vmtui: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.delenv("EDITOR", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "Set EDITOR" in vmtui("edit", "web-01")[2]


# -- memory, TPM, firmware -------------------------------------------------------------------------


def test_a_balloon_is_asked_followed_and_told(vmtui: Run) -> None:
    assert vmtui("balloon", "web-01")[:2] == (0, "web-01 has 3 GiB of 4 GiB\n")
    status, out, _ = vmtui("balloon", "web-01", "3400M", "--wait", "--json")
    facts = json.loads(out)
    assert (status, facts["compliance"]) == (0, "reached")
    assert abs(facts["actual_bytes"] - 3400 * 1024**2) <= 1024**2
    assert vmtui("balloon", "web-01", "900M", "--below-floor")[0] == 0
    status, out, err = vmtui("balloon", "router", "800M", "--wait")
    assert (status, out) == (1, "")
    assert "its guest has no driver" in err


def test_a_tpm_is_added_kept_and_removed_by_name_only(
    vmtui: Run, answers: list[str], tmp_path: Path
) -> None:
    assert json.loads(vmtui("tpm", "win11", "--json")[1])["version"] == "2.0"
    assert vmtui("tpm", "old-db", "add")[0] == 0
    assert vmtui("tpm", "old-db")[0] == 0
    answers += ["yes", "old-db"]
    status, _, err = vmtui("tpm", "old-db", "remove")
    assert status == 4
    assert "Warning: disk keys sealed in it are lost" in err
    assert vmtui("tpm", "old-db", "remove")[0] == 0
    assert "off" in vmtui("show", "old-db", "--hardware")[1].partition("\ntpm ")[2]


def test_a_firmware_s_variables(vmtui: Run, lab: Lab, tmp_path: Path) -> None:
    assert json.loads(vmtui("firmware", "win11", "--json")[1])["secure_boot"] is True
    asyncio.run(lab.backend.power(lab.id("win11"), Power.STOP))
    assert vmtui("firmware", "win11", "reset")[0] == 4
    assert vmtui("firmware", "win11", "reset", "--yes")[0] == 0


# -- isolation, devices ----------------------------------------------------------------------------


def test_isolation_is_told_and_tightened_at_once(vmtui: Run) -> None:
    barriers = {one["topic"]: one for one in json.loads(vmtui("isolation", "web-01", "--json")[1])}
    assert barriers["network"]["restrict_changes_it"]
    assert "page sharing" in vmtui("isolation", "web-01")[1]
    assert vmtui("restrict", "web-01", "--plan")[0] == 0
    assert vmtui("restrict", "web-01")[0] == 0
    status, _, err = vmtui("restrict", "web-01")
    assert "can't be restricted further" in err or status == 0


def test_devices_of_the_host(vmtui: Run) -> None:
    able = json.loads(vmtui("devices", "--json")[1])
    every = json.loads(vmtui("devices", "--all", "--json")[1])
    assert {one["device"] for one in able} < {one["device"] for one in every}
    assert all(not one["unavailable"] for one in able)
    assert able[0]["device"] in vmtui("devices")[1]
    assert vmtui("attach", "old-db", able[0]["device"])[0] == 0


def test_the_cores_of_the_host_with_what_is_kept_to_them(vmtui: Run) -> None:
    assert vmtui("set", "web-01", "cpu.pin=all=2-3")[0] == 0
    cores = {one["cpu"]: one for one in json.loads(vmtui("cores", "--json")[1])}
    assert len(cores) == 16
    assert any("web-01" in kept for kept in cores[2]["kept_to_it"])
    assert not any("web-01" in kept for kept in cores[5]["kept_to_it"])
    assert vmtui("cores")[1].count("\n") == 17


def test_page_sharing_of_the_host(
    vmtui: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("run", 0), ("pages_shared", 256), ("pages_sharing", 1024)):
        (tmp_path / name).write_text(f"{value}\n")
    monkeypatch.setattr("vmtui.ksm.ROOT", tmp_path)
    assert vmtui("ksm")[1] == "KSM is off: 4 MiB saved, 1 MiB shared\n"
    status, _, err = vmtui("ksm", "on")
    assert (status, "A guest can tell" in err) == (4, True)
    assert vmtui("--read-only", "ksm", "on", "--yes")[0] == 4
    assert (tmp_path / "run").read_text() == "0\n"
    assert json.loads(vmtui("ksm", "on", "--yes", "--json")[1])["running"] is True
    assert vmtui("ksm", "unmerge")[0] == 0
    assert (tmp_path / "run").read_text() == "2\n"


# -- deleting --------------------------------------------------------------------------------------


def test_a_deletion_is_planned_and_what_is_named_stays(vmtui: Run) -> None:
    status, out, _ = vmtui("delete", "win11", "old-db", "--plan")
    assert status == 0
    assert "win11 is on: it is forced off first." in out
    assert "Deleted for good: disk /vms/old-db/disk.qcow2" in out
    [plan] = json.loads(vmtui("delete", "old-db", "--keep", "disk", "--plan", "--json")[1])
    assert [one["spared"] for one in plan["doomed"] if one["what"] == "disk"] == [True]
    assert vmtui("delete", "old-db", "--keep", "disk", "--yes")[:2] == (0, "old-db is deleted\n")
    assert vmtui("show", "old-db")[0] == 3


def test_what_is_in_the_trash_can_be_had_again(vmtui: Run) -> None:
    status, out, _ = vmtui("delete", "old-db", "scratch", "--trash", "--yes")
    assert status == 0
    assert "old-db is in the trash: vmtui trash restore old-db" in out
    assert {one["name"] for one in json.loads(vmtui("trash", "--json")[1])} == {"old-db", "scratch"}
    assert vmtui("trash", "restore", "old-db")[:2] == (0, "old-db is back\n")
    assert vmtui("show", "old-db")[0] == 0
    assert vmtui("trash", "empty")[0] == 4
    assert vmtui("trash", "empty", "--yes")[:2] == (0, "scratch is gone for good\n")
    assert vmtui("trash")[1] == "The trash is empty.\n"


async def test_a_question_is_answered_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ours, theirs = os.openpty()
    with os.fdopen(theirs, "r") as terminal:
        monkeypatch.setattr(sys, "stdin", terminal)
        question = asyncio.create_task(confirming.asked("Well?"))
        os.write(ours, b" yes \n")
        assert await question == "yes"
        again = asyncio.create_task(confirming.asked("And now?"))
        await asyncio.sleep(0)
        again.cancel()  # as Ctrl+C does: nobody has to press Enter for it
        with pytest.raises(asyncio.CancelledError):
            await again
    os.close(ours)
    assert capsys.readouterr().err == "Well? And now? "
