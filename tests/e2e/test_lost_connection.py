"""`vmtui console` while libvirt's daemon is killed: it says so, and the terminal is given back."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs
import psutil
import pytest

from tests.e2e.guest import log_in
from tests.e2e.terminal import Terminal
from tests.e2e.test_console import run, until

if TYPE_CHECKING:
    from tests.contract.daemon import PrivateLibvirtd

pytestmark = pytest.mark.slow

LIMIT_S = 120.0
NAME = "guest"
SAYS = "detached from guest: the connection to libvirt is lost"


class Commands:
    """vmtui's commands on that daemon."""

    def __init__(self, daemon: PrivateLibvirtd, home: Path) -> None:
        self.environment = {
            **daemon.environment,
            "XDG_CONFIG_HOME": str(home / "config"),
            "VMTUI_ACCEL": "tcg",
        }
        self._start = [sys.executable, "-m", "vmtui", "-c", daemon.uri]

    def words(self, *arguments: str) -> list[str]:
        """One with its arguments."""
        return [*self._start, *arguments]

    def begun(self, *arguments: str) -> subprocess.Popen[str]:
        """One that runs, without a terminal."""
        return subprocess.Popen(
            self.words(*arguments),
            env={**os.environ, **self.environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


@pytest.fixture
def commands(mortal_libvirtd: PrivateLibvirtd, tmp_path: Path) -> Iterator[Commands]:
    """A guest at its login prompt; the daemon's fixture ends it."""
    commands = Commands(mortal_libvirtd, tmp_path)
    # The micro image need not be built anew for a cache of its own.
    cache = platformdirs.user_cache_path("vmtui", ensure_exists=True)
    (Path(commands.environment["XDG_CACHE_HOME"]) / "vmtui").symlink_to(cache)
    with commands.begun("create", NAME, "--start", "--wait") as process:
        _, errors = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 0, errors
    yield commands


# The settings before and after, as `stty -a` tells them, in a folder that is its $0.
NOTES_THE_SETTINGS = 'stty -a >"$0/before"; "$@"; echo "ended: $?"; stty -a >"$0/after"'


def test_the_terminal_is_given_back_when_the_daemon_is_killed(
    commands: Commands, mortal_libvirtd: PrivateLibvirtd, tmp_path: Path
) -> None:
    noted = ["sh", "-c", NOTES_THE_SETTINGS, str(tmp_path)]
    attach = commands.words("console", NAME)
    terminal = Terminal(
        tmp_path / "terminal", [*noted, *attach], commands.environment, columns=100, rows=30
    )
    try:
        log_in(terminal, NAME)
        run(terminal, "echo $((6 * 7))-before", "42-before")
        usual = terminal.modes()
        # As a full-screen program does: alternate screen, mouse, keys, no wrapping, no cursor.
        terminal.type(r"printf '\033[?1049h\033[?1003h\033[?1h\033[?7l\033[?25l\033[HFU''LL\n'")
        terminal.press("Enter")
        terminal.wait_for("FULL")
        assert not usual.items() & terminal.modes().items()
        with commands.begun("console", NAME, "--watch", "--until", "never") as watching:
            log = mortal_libvirtd.places.console_log(NAME)
            until(lambda: log in [file.path for file in psutil.Process(watching.pid).open_files()])

            mortal_libvirtd.kill()
            screen = terminal.wait_for("ended: 1")
            _, errors = watching.communicate(timeout=LIMIT_S)
        assert f"vmtui: {SAYS}" in screen
        assert "42-before" in screen, "the screen from before is there again"
        assert terminal.modes() == usual
        assert terminal.exit_status() == 0
        before, after = ((tmp_path / name).read_text() for name in ("before", "after"))
        assert " icanon" in before
        assert after == before
        assert watching.returncode == 1
        assert re.match("vmtui: the connection to .* is lost: ", errors)
    finally:
        terminal.close()
