"""A program on a pseudo terminal of its own: what it writes is read as fast as it comes."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from typing import Self

CHUNK_BYTES = 1 << 16
ENDING_LIMIT_S = 20.0


class OnPty:
    """Runs inside its `with` block; `output` is what it has written since it was last cleared."""

    def __init__(
        self,
        argv: Sequence[str],
        environment: Mapping[str, str],
        *,
        columns: int = 160,
        rows: int = 50,
    ) -> None:
        self._argv = list(argv)
        self._environment = {
            **environment,
            "TERM": "xterm-256color",
            "COLORTERM": "truecolor",
            "LANG": "C.UTF-8",
            "LC_ALL": "C.UTF-8",
        }
        for name in ("COLUMNS", "LINES"):
            self._environment.pop(name, None)
        self._size = struct.pack("HHHH", rows, columns, 0, 0)
        self.output = b""

    def __enter__(self) -> Self:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, self._size)
        self.started_s = time.perf_counter()
        self._process = subprocess.Popen(
            self._argv,
            env=self._environment,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self.drain_until_it_ends(ENDING_LIMIT_S)
        finally:
            self._process.kill()
            self._process.wait()
            os.close(self._ours)

    @property
    def pid(self) -> int:
        """Of the program."""
        return self._process.pid

    def write(self, data: bytes) -> None:
        """Type."""
        os.write(self._ours, data)

    def read(self, limit_s: float) -> bool:
        """Take in one piece of output; False if none came in time. Raises EOFError at the end."""
        readable, _, _ = select.select([self._ours], [], [], max(0.0, limit_s))
        if not readable:
            return False
        try:
            chunk = os.read(self._ours, CHUNK_BYTES)
        except OSError as error:  # EIO: nobody has the other side open any more
            raise EOFError(repr(self.output[-3000:])) from error
        if not chunk:
            raise EOFError
        self.output += chunk
        return True

    def drain(self, span_s: float) -> None:
        """Take in and forget all output for a while."""
        end_s = time.perf_counter() + span_s
        while (rest_s := end_s - time.perf_counter()) > 0:
            self.read(rest_s)
            self.output = b""

    def drain_until_it_ends(self, limit_s: float) -> None:
        """Take in what it still writes."""
        end_s = time.perf_counter() + limit_s
        try:
            while (rest_s := end_s - time.perf_counter()) > 0:
                self.read(rest_s)
        except EOFError:
            self._process.wait(ENDING_LIMIT_S)
