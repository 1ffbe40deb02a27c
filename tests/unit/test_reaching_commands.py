"""`ssh`, `cp` and `wait` as a script sees them, on the demo fleet."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from vmtui.cli import main

WEB = "192.168.122.10"


@pytest.fixture
def became(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that vmtui would have become."""
    commands: list[list[str]] = []

    def execvp(_: str, argv: list[str]) -> None:
        commands.append(argv)
        raise SystemExit(0)

    monkeypatch.setattr(os, "execvp", execvp)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    return commands


def become(*arguments: str) -> None:
    with pytest.raises(SystemExit):
        main(["--demo", *arguments])


def test_ssh_finds_the_folder_for_what_it_notes(became: list[list[str]], tmp_path: Path) -> None:
    become("ssh", "web-01", "uname", "-a")
    assert became[0][-4:] == ["--", WEB, "uname", "-a"]
    folder = tmp_path / "vmtui/known_hosts"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert any(str(folder) in word for word in became[0])


@pytest.mark.parametrize(
    ("source", "target", "wanted"),
    [
        ("a b", "web-01:/tmp/", ["./a b", f"{WEB}:/tmp/"]),
        (".a:b", "web-01:", ["./.a:b", f"{WEB}:"]),
        ("demo:/web-01:x:y", "/tmp/z", [f"{WEB}:x:y", "/tmp/z"]),
        ("./web-01:x", "demo/web-01:x", ["./web-01:x", f"{WEB}:x"]),
    ],
)
def test_cp_tells_files_here_from_those_in_vms(
    became: list[list[str]], source: str, target: str, wanted: list[str]
) -> None:
    become("cp", source, target)
    assert became[0][-3:] == ["--", *wanted]


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("cp", "a", "b"), 2, "neither is in a VM"),
        (("cp", "web-01:a", "pihole:b"), 2, "both are in VMs"),
        (("cp", "a", "nobody:b"), 3, "there is no VM named 'nobody'"),
        (("wait", "old-db"), 1, "old-db is off"),
        (("wait", "old-db", "--for", "login"), 1, "old-db is off"),
        (("wait", "web-01", "--for", "agent"), 1, "does not reach guest agents"),
        (("wait", "web-01", "--for", "off", "--timeout", "0"), 1, "was not off within 0 s"),
    ],
)
def test_what_can_not_be_done_is_said(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], status: int, words: str
) -> None:
    assert main(["--demo", *arguments]) == status
    assert words in capsys.readouterr().err


def test_wait_says_how_long_it_took(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--demo", "wait", "old-db", "--for", "off", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["name"], told["for"]) == ("old-db", "off")
    assert told["after_s"] >= 0
    assert main(["--demo", "wait", "old-db", "--for", "off"]) == 0
    assert capsys.readouterr().out.startswith("old-db is off after ")
