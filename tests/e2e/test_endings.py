"""However the interface ends, the terminal is as it was and nothing goes on by itself."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.terminal import Terminal

pytestmark = pytest.mark.slow

VMTUI = [sys.executable, "-m", "vmtui", "--demo"]


@pytest.fixture
def home() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="vmtui-") as folder:
        yield Path(folder)


REPORTS_ITS_END = ["sh", "-c", '"$@"; echo "ended: $?"; stty -a', "sh"]


def assert_given_back(terminal: Terminal, status: int) -> None:
    """The program has ended, and the terminal's settings are a shell's again."""
    terminal.wait_for(rf"ended: {status}")
    screen = terminal.wait_for(r"\bicanon\b")
    assert " -icanon" not in screen
    assert " -echo " not in screen


def opened(home: Path, command: list[str]) -> Terminal:
    terminal = Terminal(home, command, {"XDG_CONFIG_HOME": str(home)}, columns=80, rows=24)
    terminal.wait_for("web-01")
    return terminal


def test_a_polite_kill_gives_the_terminal_back(home: Path) -> None:
    terminal = opened(home, [*REPORTS_ITS_END, *VMTUI])
    try:
        [program] = terminal.program().children()
        program.send_signal(signal.SIGTERM)
        assert_given_back(terminal, 143)
        assert "web-01" not in terminal.screen()
    finally:
        terminal.close()


@pytest.fixture
def guest(home: Path) -> Iterator[dict[str, str]]:
    """A running VM called `guest`; gives the environment that it is in."""
    environment = {
        "XDG_CONFIG_HOME": str(home / "config"),
        "XDG_DATA_HOME": str(home / "data"),
        "XDG_RUNTIME_DIR": str(home),
        "VMTUI_ACCEL": "tcg",
    }

    def vmtui(*arguments: str) -> None:
        command = [sys.executable, "-m", "vmtui", "-c", "kvm:", *arguments]
        subprocess.run(command, env={**os.environ, **environment}, check=True, timeout=120)

    vmtui("create", "guest", "--start", "--wait")
    yield environment
    vmtui("delete", "guest", "--yes")


@pytest.mark.parametrize(("end", "status"), [("detach", 0), ("kill", 143), ("off", 0)])
def test_an_attached_console_gives_the_terminal_back(
    home: Path, guest: dict[str, str], end: str, status: int
) -> None:
    command = [sys.executable, "-m", "vmtui", "-c", "kvm:", "console", "guest"]
    terminal = Terminal(home, [*REPORTS_ITS_END, *command], guest, columns=80, rows=24)
    try:
        terminal.wait_for("guest login:")
        if end == "detach":
            terminal.press("C-]")
        elif end == "kill":
            [program] = terminal.program().children()
            program.send_signal(signal.SIGTERM)
        else:
            stop = [sys.executable, "-m", "vmtui", "-c", "kvm:", "stop", "guest", "--yes"]
            subprocess.run(stop, env={**os.environ, **guest}, check=True, timeout=60)
            terminal.wait_for("guest: the VM is off")
        assert_given_back(terminal, status)
    finally:
        terminal.close()


@pytest.mark.parametrize("prefix", [[], ["sh", "-c", 'trap "" HUP; exec "$@"', "sh"]])
def test_it_ends_with_its_terminal(home: Path, prefix: list[str]) -> None:
    terminal = opened(home, [*prefix, *VMTUI])
    program = terminal.program()
    try:
        terminal.close()
        program.wait(timeout=20)
    finally:
        if program.is_running():
            program.kill()
