"""Units of systemd, checked by systemd itself, and when what crashed is started again."""

from __future__ import annotations

import shlex
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmtui.backends.base import no_progress
from vmtui.backends.kvm import autostart, restarting
from vmtui.backends.kvm.backend import KvmBackend
from vmtui.backends.kvm.store import Store
from vmtui.errors import OperationError, UnsupportedError
from vmtui.hardware.changes import Assign, Change
from vmtui.spec import BLANK, VMSpec
from vmtui.units import MIB


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where systemd's units of a user are, on a machine that it runs."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setattr(autostart, "obstacle", lambda: "")
    return tmp_path / "config" / "systemd" / "user"


def verified(unit: Path) -> str:
    """What systemd finds wrong with it."""
    done = subprocess.run(
        ["systemd-analyze", "verify", "--user", "--man=no", str(unit)],
        check=False,
        capture_output=True,
        text=True,
    )
    return done.stdout + done.stderr + (f"status {done.returncode}" if done.returncode else "")


@pytest.mark.parametrize("restart", [False, True])
def test_systemd_finds_nothing_wrong_with_a_unit(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, restart: bool
) -> None:
    program = tmp_path / "100% $HOME é" / "vmtui"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o700)
    monkeypatch.setattr(autostart, "own_command", lambda: [str(program)])
    monkeypatch.setenv("XDG_DATA_HOME", str(program.parent))
    autostart.follow("web-1.a_b", autostart=True, restart=restart)
    unit = home / "vmtui-web-1.a_b.service"
    assert verified(unit) == ""
    assert ("Restart=on-failure" in unit.read_text()) is restart
    # It did look: a program that is not there is told.
    program.unlink()
    assert "vmtui" in verified(unit)


def test_it_runs_this_very_vmtui(home: Path) -> None:
    autostart.follow("web", autostart=True)
    text = (home / "vmtui-web.service").read_text()
    [line] = [line for line in text.splitlines() if line.startswith("ExecStart=")]
    assert line == f"ExecStart={shlex.join(autostart.own_command())} start web"


def test_it_is_enabled_by_its_link_and_gone_when_switched_off(home: Path) -> None:
    link = home / "default.target.wants" / "vmtui-web.service"
    for _ in range(2):  # again changes nothing
        autostart.follow("web", autostart=True)
        assert link.is_symlink()
        assert link.resolve() == home / "vmtui-web.service"
    autostart.follow("db", autostart=True)
    for _ in range(2):
        autostart.follow("web", autostart=False)
        assert [path.name for path in link.parent.iterdir()] == ["vmtui-db.service"]
        assert not (home / "vmtui-web.service").exists()


def test_without_systemd_it_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    assert "systemd" in autostart.obstacle(tmp_path / "nothing")
    assert autostart.obstacle(tmp_path) == ""
    monkeypatch.setattr(autostart, "obstacle", lambda: "there is none")
    with pytest.raises(UnsupportedError, match="by itself"):
        autostart.follow("web", autostart=True)
    autostart.follow("web", autostart=False)
    assert list(tmp_path.iterdir()) == []


def test_lingering_starts_with_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("getpass.getuser", lambda: "me")
    assert "enable-linger" in autostart.hint(tmp_path)
    (tmp_path / "me").touch()
    assert autostart.hint(tmp_path) == ""


async def test_the_unit_follows_its_vm(home: Path, tmp_path: Path) -> None:
    backend = KvmBackend(store=Store(tmp_path / "vms", tmp_path / "run"))
    await backend.open()

    async def change(*changes: Change) -> None:
        await backend.change(await backend.plan(vm, changes))

    def units() -> list[str]:
        return sorted(path.name for path in home.glob("**/*.service") if path.exists())

    spec = VMSpec("web", BLANK, disk_bytes=MIB, autostart=True)
    vm = await backend.create(spec, no_progress)
    assert (await backend.vm(vm)).autostart
    assert units() == ["vmtui-web.service"] * 2
    await change(Assign("name", "shop"), Assign("restart", "on-crash"))
    assert units() == ["vmtui-shop.service"] * 2
    assert "Restart=" in (home / "vmtui-shop.service").read_text()
    await backend.delete(vm, replace(await backend.delete_plan(vm), to_trash=True))
    assert units() == []
    await backend.restore(vm)
    assert units() == ["vmtui-shop.service"] * 2
    await change(Assign("autostart", value=False))
    assert units() == []
    await backend.close()


async def test_a_vm_whose_unit_can_not_be_written_is_not_made(home: Path, tmp_path: Path) -> None:
    home.parent.mkdir(parents=True)
    home.touch()
    backend = KvmBackend(store=Store(tmp_path / "vms", tmp_path / "run"))
    await backend.open()
    with pytest.raises(OperationError, match="can't be written"):
        await backend.create(VMSpec("web", BLANK, autostart=True), no_progress)
    assert list(await backend.vms()) == []
    await backend.close()


# -- when ------------------------------------------------------------------------------------


def test_each_crash_waits_longer_until_it_is_given_up() -> None:
    crashes: list[float] = []
    waits = []
    now_s = 1000.0
    for _ in range(restarting.TRIES + 1):
        crashes.append(now_s)
        wait = restarting.wait_s(crashes, now_s)
        waits.append(wait)
        now_s += (wait or 0) + 1
    assert waits == [5, 10, 20, 40, 80, None]


def test_after_calm_days_it_counts_anew() -> None:
    assert restarting.wait_s([10.0, 20.0, 30.0, 5000.0], 5000.0) == 5
    assert restarting.wait_s([10.0, 20.0, 30.0, 100.0], 100.0) == 40


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=30))
def test_a_wait_is_never_longer_than_the_longest(times: list[float]) -> None:
    crashes = sorted(times)
    wait = restarting.wait_s(crashes, crashes[-1])
    assert wait is None or restarting.FIRST_WAIT_S <= wait <= restarting.LONGEST_WAIT_S
