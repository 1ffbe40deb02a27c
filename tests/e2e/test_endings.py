"""However the interface ends, the terminal is as it was and nothing goes on by itself."""

from __future__ import annotations

import signal
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


def opened(home: Path, command: list[str]) -> Terminal:
    terminal = Terminal(home, command, {"XDG_CONFIG_HOME": str(home)}, columns=80, rows=24)
    terminal.wait_for("web-01")
    return terminal


def test_a_polite_kill_gives_the_terminal_back(home: Path) -> None:
    terminal = opened(home, ["sh", "-c", '"$@"; echo "ended: $?"; stty -a', "sh", *VMTUI])
    try:
        [program] = terminal.program().children()
        program.send_signal(signal.SIGTERM)
        screen = terminal.wait_for(r"ended: 143")
        assert "web-01" not in screen
        screen = terminal.wait_for(r"\bicanon\b")
        assert " echo " in screen
        assert " -icanon" not in screen
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
