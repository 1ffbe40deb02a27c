"""Makes the recordings: `python -m tests.oracle.record [NAME…]`, as root, on Debian.

Needs vim, htop, less, mc, dialog, whiptail, cdebconf, tmux and vttest, and runs them in namespaces
of their own, so that nothing of this machine is in a recording. The tests need none of them.
"""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
from codecs import getincrementaldecoder
from pathlib import Path

from tests.oracle.asciicast import RECORDINGS, Event, Mark, Output, Recording, Resize
from tests.oracle.sessions import SESSIONS, Session, Size
from vmtui.terminal.emulator import Emulator

SIZES = ((80, 24), (100, 37), (132, 50))
QUIET_S = 0.4
LIMIT_S = 10.0
# A machine and processes of its own, and a home that is on no other path.
ALONE = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "--uts", "--mount")
SETUP = """
hostname guest
mount -t tmpfs none /root
cp -r "$0"/. /root
mount -t tmpfs none /tmp
cd /root
exec "$@"
"""


class Recorder:
    """A program on a pseudo terminal, which answers as vmtui does."""

    def __init__(self, session: Session, size: Size, files: Path) -> None:
        self._ours, theirs = pty.openpty()
        self.events: list[Event] = []
        self._terminal = Emulator(*size)
        self._decoder = getincrementaldecoder("utf-8")("replace")
        self._set_size(theirs, size)
        environment = {"PATH": os.environ["PATH"], "HOME": "/root", "SHELL": "/bin/bash"}
        environment |= {"TERM": session.term, "LANG": "C.UTF-8", "PS1": "guest# "}
        self._process = subprocess.Popen(
            [*ALONE, "sh", "-ec", SETUP, str(files), *session.argv],
            env=environment,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509
        )
        os.close(theirs)

    def _set_size(self, terminal: int, size: Size) -> None:
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))

    def settle(self, label: str) -> None:
        """Read until nothing comes."""
        limit_s = time.monotonic() + LIMIT_S
        while time.monotonic() < limit_s and select.select([self._ours], [], [], QUIET_S)[0]:
            try:
                data = os.read(self._ours, 65536)
            except OSError:
                break
            if not data:
                break
            if answer := self._terminal.feed(data):
                os.write(self._ours, answer)
            if text := self._decoder.decode(data):
                self.events.append(Output(text))
        self.events.append(Mark(label))

    def type(self, keys: str) -> None:
        """Send keys, then read what they made."""
        os.write(self._ours, keys.encode())
        self.settle(keys)

    def resize(self, size: Size) -> None:
        """Give the terminal another size."""
        self.events.append(Resize(*size))
        self._terminal.resize(*size)
        self._set_size(self._ours, size)
        self.settle(f"{size[0]}x{size[1]}")

    def end(self) -> None:
        """Whatever it does."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        os.close(self._ours)


def record(session: Session, size: Size) -> Recording:
    """Play one session."""
    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder)
        for name, content in session.files.items():
            (files / name).write_text(content, "utf-8")
        recorder = Recorder(session, size, files)
        recorder.settle("start")
        for step in session.steps(size):
            if isinstance(step, str):
                recorder.type(step)
            else:
                recorder.resize(step)
        recorder.end()
    return Recording(*size, _joined(recorder.events))


def _joined(events: list[Event]) -> list[Event]:
    joined: list[Event] = []
    for event in events:
        if isinstance(event, Output) and joined and isinstance(joined[-1], Output):
            joined[-1] = Output(joined[-1].text + event.text)
        else:
            joined.append(event)
    return joined


def main(names: list[str]) -> None:
    """Make those, or all."""
    RECORDINGS.mkdir(exist_ok=True)
    for name, session in SESSIONS.items():
        for size in SIZES:
            if not names or name in names:
                path = RECORDINGS / f"{name}-{size[0]}x{size[1]}.cast.gz"
                record(session, size).save(path)
                print(path.name, path.stat().st_size)


if __name__ == "__main__":
    main(sys.argv[1:])
