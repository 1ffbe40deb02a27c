"""The terminal that vmtui is in: resized without end while a console floods, and taken away."""

from __future__ import annotations

import fcntl
import os
import random
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.on_pty import OnPty
from tests.e2e.test_endings import REPORTS_ITS_END, VMTUI, assert_given_back, opened
from vmtui.backends.demo_console import SEQ_LIMIT

pytestmark = pytest.mark.slow

RESIZES = 1000
LIMIT_S = 60.0
FLOODS = 50
PREFIX = b"\x1c"  # ctrl+backslash

HEARS_NO_SIGNAL = (
    *(sys.executable, "-c"),
    "import os, signal, sys\n"
    "signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGWINCH})\n"
    "os.execv(sys.argv[1], sys.argv[1:])",
)
"""Of a change of size, as where one signal is overtaken by another."""


class Window(OnPty):
    """A terminal window that somebody drags about."""

    def resize(self, columns: int, rows: int) -> None:
        """As a terminal does it."""
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        os.kill(self.pid, signal.SIGWINCH)

    def status(self) -> int:
        """How it has ended."""
        self.drain_until_it_ends(LIMIT_S)
        return self._process.wait(LIMIT_S)

    def until(self, text: bytes) -> None:
        """Read on until it has written that; it never is silent for long."""
        deadline_s = time.monotonic() + LIMIT_S
        while text not in self.output:
            assert self.read(deadline_s - time.monotonic()), self.output[-3000:]


@pytest.fixture
def home() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="vmtui-") as folder:
        yield Path(folder)


def test_resized_again_and_again_while_a_console_floods(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sizes = random.Random("sizes")
    environment = {**os.environ, "XDG_CONFIG_HOME": str(home)}
    with Window(VMTUI, environment, columns=100, rows=30) as window:
        window.until(b"web-01")
        window.write(b"c")
        window.until(b"login: ")
        window.write(f"seq {SEQ_LIMIT}\r".encode() * FLOODS)
        for _ in range(RESIZES):
            window.resize(sizes.randint(1, 300), sizes.randint(1, 90))
            assert window.read(LIMIT_S), "it draws no more"
            assert b"Traceback" not in window.output
            window.output = b""
        window.resize(100, 30)
        window.write(PREFIX + b"d")
        window.until(b"web-01")
        window.write(b"q")
        assert window.status() == 0
    with capsys.disabled():
        print(f"\nresized {RESIZES} times")


def test_a_size_that_no_signal_told_is_taken_over(home: Path) -> None:
    environment = {**os.environ, "XDG_CONFIG_HOME": str(home)}
    with Window([*HEARS_NO_SIGNAL, *VMTUI], environment, columns=100, rows=30) as window:
        window.until(b"web-01")
        window.resize(100, 40)
        window.until(b"\x1b[40;1H")


def test_a_hangup_ends_the_interface_and_gives_the_terminal_back(home: Path) -> None:
    terminal = opened(home, [*REPORTS_ITS_END, *VMTUI])
    try:
        [program] = terminal.program().children()
        program.send_signal(signal.SIGHUP)
        assert_given_back(terminal, 128 + signal.SIGHUP)
    finally:
        terminal.close()


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_a_signal_ends_a_command(home: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-m", "vmtui", "--demo", "top"]
    environment = {**os.environ, "XDG_CONFIG_HOME": str(home)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.read(1), "it is at work"
        process.send_signal(number)
        assert process.wait(LIMIT_S) == 128 + number
