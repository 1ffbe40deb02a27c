"""`vmtui top` on a real terminal and on a real guest."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.terminal import Terminal
from vmtui.recording import Recording

pytestmark = pytest.mark.slow

VMTUI = [sys.executable, "-m", "vmtui"]


@pytest.fixture
def home() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="vmtui-") as folder:
        yield Path(folder)


@pytest.fixture
def environment(home: Path) -> dict[str, str]:
    return {
        "XDG_CONFIG_HOME": str(home / "config"),
        "XDG_DATA_HOME": str(home / "data"),
        "XDG_RUNTIME_DIR": str(home),
        "VMTUI_ACCEL": "tcg",
    }


def vmtui(environment: dict[str, str], *arguments: str) -> str:
    """What a command prints."""
    done = subprocess.run(
        [*VMTUI, *arguments],
        env={**os.environ, **environment},
        check=True,
        capture_output=True,
        text=True,
        timeout=180,
    )
    return done.stdout


def test_it_draws_in_place_and_gives_the_terminal_back(
    home: Path, environment: dict[str, str]
) -> None:
    script = ["sh", "-c", '"$@"; echo "ended: $?"', "sh"]
    command = [*script, *VMTUI, "-c", "demo:?vms=40", "top", "--interval", "0.2"]
    terminal = Terminal(home, command, environment, columns=80, rows=20)
    try:
        terminal.wait_for("and 24 more")
        for _ in range(5):
            screen = terminal.screen()
            assert screen.count("NAME") == 1
            assert screen.count("ci-runner ") <= 1
            assert screen.splitlines()[0].startswith("demo:?vms=40")
            assert max(map(len, screen.splitlines())) <= 80
        [program] = terminal.program().children()
        program.send_signal(signal.SIGINT)
        screen = terminal.wait_for("ended: 130")
        assert "web-01" in screen  # the last table stays
    finally:
        terminal.close()


def test_the_interface_is_recorded_and_replayed(home: Path, environment: dict[str, str]) -> None:
    path = home / "recording"
    terminal = Terminal(home, [*VMTUI, "--demo", "--record", str(path)], environment)
    try:
        terminal.wait_for("web-01")
        terminal.wait_for(r"CPU .*\d %")
        terminal.type("q")
        assert terminal.exit_status() == 0
    finally:
        terminal.close()
    terminal = Terminal(home / "2", [*VMTUI, "--replay", str(path)], environment)
    try:
        terminal.wait_for("web-01")
        terminal.wait_for(r"replay .* ■")
        terminal.type("q")
        assert terminal.exit_status() == 0
    finally:
        terminal.close()


def test_what_is_no_recording_is_told_before_the_screen_is_taken(
    home: Path, environment: dict[str, str]
) -> None:
    (home / "text").write_text("not a recording\n")
    for option in ("--replay", "--record"):
        command = [*VMTUI, "--demo", option, str(home / "text")]
        terminal = Terminal(home / option, command, environment)
        try:
            terminal.wait_for("vmtui: .*text can't be")
            assert terminal.exit_status() == 1
        finally:
            terminal.close()
    assert (home / "text").read_text() == "not a recording\n"


def test_a_real_guest_has_real_figures(home: Path, environment: dict[str, str]) -> None:
    vmtui(environment, "-c", "kvm:", "create", "guest", "--disk", "64M", "--start", "--wait")
    recording = home / "recording"
    try:
        out = vmtui(
            environment,
            *("-c", "kvm:", "top", "--json", "--count", "3", "--interval", "2"),
            *("--vm", "guest", "--record", str(recording)),
        )
    finally:
        vmtui(environment, "-c", "kvm:", "delete", "guest", "--yes")
    samples = [json.loads(line) for line in out.splitlines()]
    assert len(samples) == 3
    for sample in samples:
        [vm] = sample["vms"]
        assert (vm["name"], vm["state"], vm["connection"]) == ("guest", "running", "kvm")
        assert vm["rss"] > 50e6
        assert 0 <= vm["cpu"] < 300
        assert 0 <= vm["ready"] <= 100
        [host] = sample["hosts"]
        assert 0 <= host["cpu"] <= 100
        assert host["memory_total"] > host["memory_available"] > 0
        assert vm["rx_bytes"] is None  # a user-mode network has no counters
    made = Recording(recording)
    taken = [m for place in range(len(made.parts)) for m in made.moments(place) if m.sampled]
    assert len(taken) >= 3
