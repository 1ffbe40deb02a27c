"""`create`, `sandbox` and `clone` as a script sees them, on the demo fleet."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from vmtui.cli import main

Run = Callable[..., tuple[int, str, str]]

FILE = """
[[vm]]
name = "web"
preset = "dev"
tags = ["lab"]

[[vm]]
name = "old-db"
memory = "8G"

[[vm]]
name = "scratch"
vcpus = 1
"""


@pytest.fixture
def vmtui(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    """In this process: starting Python would take longer than all else."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)

    def run(*arguments: str) -> tuple[int, str, str]:
        status = main(["--demo", *arguments])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


def test_a_vm_of_a_preset_with_options_over_it(vmtui: Run) -> None:
    arguments = ("create", "web", "--preset", "dev", "--memory", "3G", "--forward", "8080:80")
    status, out, _ = vmtui(*arguments, "--dry-run")
    assert status == 0
    assert "-m 3072M" in out
    assert "-smp 2" in out
    assert "hostfwd=tcp::8080-:80" in out
    status, out, _ = vmtui(*arguments, "--tag", "lab", "--json", "--start")
    assert status == 0
    facts = json.loads(out)
    assert (facts["image"], facts["tags"]) == ("debian-13", ["lab"])
    assert list(facts["stages_s"]) == ["image", "disk", "seed", "firmware", "start"]


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (("web", "--preset", "nope"), 1, "there is no preset 'nope'"),
        (("web", "--dry-run", "--json"), 2, "--json is for what is made"),
        (("web", "--forward", "99999"), 1, "The guest has no port 99999."),
        (("web", "--network", "wifi"), 1, "is not a network"),
        (("web", "--share", "/nowhere"), 1, "/nowhere is not a folder."),
        (("web", "--ssh-key", "/nowhere.pub"), 1, "/nowhere.pub can't be read"),
        (("web-01",), 1, "already exists"),
        ((), 2, "create needs a name, or a file"),
        (("web", "--plan"), 2, "--plan and --yes are for -f FILE"),
        (("web", "-f", "x.toml"), 2, "name and -f FILE can't be used together"),
        (("-f", "x.toml", "--network", "none"), 2, "network and -f FILE can't be used together"),
        (("-f", "x.toml", "--cpus", "0"), 2, "cpus and -f FILE can't be used together"),
        (("-f", "x.toml", "--autostart"), 2, "autostart and -f FILE can't be used together"),
        (("-f", "/nowhere.toml"), 1, "/nowhere.toml can't be read"),
    ],
)
def test_what_can_not_be_made_is_told(
    vmtui: Run, arguments: tuple[str, ...], status: int, told: str
) -> None:
    found, out, err = vmtui("create", *arguments)
    assert (found, out) == (status, "")
    assert told in err


def test_a_file_is_planned_asked_for_and_applied(vmtui: Run, tmp_path: Path) -> None:
    file = tmp_path / "lab.toml"
    file.write_text(FILE)
    steps = "web: make\nold-db: is there, differs: memory 4 GiB, not 8 GiB\nscratch: is there, same"
    status, out, _ = vmtui("create", "-f", str(file), "--plan")
    assert (status, out.strip()) == (0, steps)
    status, out, err = vmtui("create", "-f", str(file))
    assert (status, out.strip()) == (4, steps)
    assert "was not confirmed" in err
    status, out, _ = vmtui("create", "-f", str(file), "--yes", "--start")
    assert status == 0
    assert "web is running (image 0.0 s, disk" in out
    file.write_text(FILE + '[[vm]]\nname = "last"\nmemory = "1M"\n')
    status, out, err = vmtui("create", "-f", str(file), "--yes")
    assert status == 1
    assert "is made" not in out  # a mistake in the last one leaves nothing behind
    assert "last can't be made" in err


def test_sandboxes_and_clones(vmtui: Run) -> None:
    status, out, _ = vmtui("sandbox", "debian-12", "--json")
    assert status == 0
    facts = json.loads(out)
    assert (facts["name"], facts["throwaway"], facts["state"]) == ("sandbox-1", True, "running")
    status, out, _ = vmtui("sandbox", "--net", "--name", "box")
    assert status == 0
    assert "box is running" in out
    assert "goes with all its files" in out
    status, out, _ = vmtui("clone", "old-db", "new-db", "--linked")
    assert (status, out) == (0, "new-db is made; start it with: vmtui start new-db\n")
    status, _, err = vmtui("clone", "web-01", "web-02")
    assert status == 1
    assert "it is running" in err


def test_presets_are_listed_shown_and_made_of_vms(vmtui: Run, tmp_path: Path) -> None:
    status, out, _ = vmtui("preset", "list")
    assert status == 0
    assert "windows-11" in out
    status, out, _ = vmtui("preset", "show", "dev")
    assert (status, 'image = "debian-13"' in out) == (0, True)
    status, out, _ = vmtui("preset", "save", "like-win", "win11")
    assert status == 0
    status, out, _ = vmtui(
        "create", "new", "--image", "debian-12", "--preset", "like-win", "--json"
    )
    facts = json.loads(out)
    assert (facts["firmware"], facts["tpm"], facts["vcpus"]) == ("secure-boot", True, 4)
    assert facts["memory_bytes"] == 8 * 2**30
    status, _, err = vmtui("preset", "save", "like-win", "web-01")
    assert (status, "is there already" in err) == (1, True)
    status, _, err = vmtui("preset", "save", "../x", "web-01")
    assert (status, "can't be a preset's name" in err) == (1, True)
