"""`screen`, `key`, `type`, `view` and `ssh` as a script uses them, on both backends."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.guest import screen
from tests.xkb import typed
from vmtui.picture import decoded

pytestmark = pytest.mark.slow

NAME = "pictured"
LIMIT_S = 120.0


class Commands:
    """vmtui with a connection and an environment."""

    def __init__(self, uri: str, environment: dict[str, str]) -> None:
        self._uri = uri
        self._environment = {**os.environ, **environment}
        for unset in ("DISPLAY", "WAYLAND_DISPLAY", "SSH_CONNECTION"):
            self._environment.pop(unset, None)

    def run(self, *words: str, stdin: bytes = b"", status: int = 0) -> bytes:
        """Standard output; with another status, standard error."""
        done = subprocess.run(
            [sys.executable, "-m", "vmtui", "-c", self._uri, *words],
            env=self._environment,
            input=stdin,
            capture_output=True,
            timeout=LIMIT_S,
            check=False,
        )
        assert done.returncode == status, done.stderr.decode()
        return done.stderr if status else done.stdout

    def printed(self) -> bytes:
        """All that the guest has printed."""
        return self.run("log", "--console", NAME)

    def wait_for(self, words: bytes) -> None:
        """Until the guest has printed them."""
        deadline_s = time.monotonic() + LIMIT_S
        while words not in self.printed():
            assert time.monotonic() < deadline_s, self.printed()

    def codes(self) -> list[int]:
        """What its keyboard sent since its start."""
        return [int(code, 16) for code in re.findall(rb"\b[0-9a-f]{2} ", self.printed())]


@pytest.fixture(params=["kvm", "session"])
def commands(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Commands]:
    """A guest with known screens, running."""
    # Not tmp_path: the path of a socket may have 107 bytes.
    with tempfile.TemporaryDirectory(prefix="vmtui-") as folder:
        home = Path(folder)
        environment = {"XDG_CONFIG_HOME": str(home / "config"), "VMTUI_ACCEL": "tcg"}
        if request.param == "kvm":
            environment |= {"XDG_DATA_HOME": str(home / "data"), "XDG_RUNTIME_DIR": folder}
            made = Commands("kvm:", environment)
        else:
            daemon = request.getfixturevalue("libvirtd")
            made = Commands(daemon.uri, environment | daemon.environment)
        disk = screen.built(tmp_path)
        made.run("create", NAME, "--image", str(disk), "--memory", "96M", "--start")
        try:
            made.wait_for(b"ready")
            yield made
        finally:
            made.run("delete", NAME, "--yes")


def test_a_screen_is_saved_and_keys_are_typed(commands: Commands, tmp_path: Path) -> None:
    picture = commands.run("screen", NAME, "-o", "-")
    assert decoded(picture) == screen.text_screen()
    saved = tmp_path / "screen.png"
    commands.run("screen", NAME, "-o", str(saved))
    assert decoded(saved.read_bytes()) == screen.text_screen()

    commands.run("key", NAME, "ctrl-alt-f2", "esc")
    combination = [0x1D, 0x38, 0x3C, 0xBC, 0xB8, 0x9D, 0x01, 0x81]
    assert commands.codes() == combination
    commands.run("type", NAME, "Tür, 7|8 = ^\n", "--layout", "de")
    commands.run("type", NAME, "-", "--layout", "fr", stdin=b"Est-ce l'\xc3\xa9t\xc3\xa9 ?")
    codes = commands.codes()[len(combination) :]
    enter = codes.index(0x9C) + 1
    assert typed("de", codes[:enter]) == "Tür, 7|8 = ^\n"
    assert typed("fr", codes[enter:]) == "Est-ce l'été ?"

    assert b"has no '\xc3\xbc'" in commands.run("type", NAME, "Tür", status=1)
    assert b"no key" in commands.run("key", NAME, "ctrl-nothing", status=1)

    steps = commands.run("view", NAME).decode().splitlines()
    assert steps[0].startswith("ssh -N -L 5999:/")
    assert steps[1] == "remote-viewer vnc://localhost:5999"
    assert b"by ssh" in commands.run("ssh", NAME, status=1)
