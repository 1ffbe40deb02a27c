"""A console's output in a file, byte by byte as it was printed."""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import Callable
from pathlib import Path

import platformdirs

from vmtui.errors import OperationError

WAITING_LIMIT_BYTES = 64 * 1024 * 1024
"""A disk that is further behind than this is as good as full."""

END_LIMIT_S = 5.0


def default_path(name: str) -> Path:
    """Where the log of a console goes that nobody gave a place; `name` may be anything."""
    safe = re.sub(r"[^\w.-]+", "_", name).lstrip(".-")[:80] or "console"
    stamp = time.strftime("%Y%m%d-%H%M%S")
    return platformdirs.user_state_path("vmtui") / "consoles" / f"{safe}-{stamp}.log"


class LogFile:
    """Open; written behind the event loop's back. `on_failure` is told why it had to stop."""

    def __init__(self, path: Path, descriptor: int, on_failure: Callable[[str], None]) -> None:
        self.path = path
        self._descriptor = descriptor
        self._on_failure = on_failure
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._arrived = asyncio.Event()
        self._ending = False
        self._task = asyncio.create_task(self._write_all(), name=f"log {path.name}")

    @classmethod
    async def begin(cls, path: Path, on_failure: Callable[[str], None]) -> LogFile:
        """A new file, for this user's eyes only. Raises OperationError."""
        try:
            descriptor = await asyncio.to_thread(_new_file, path)
        except OSError as error:
            raise OperationError(
                f"{path} can't be written",
                why=error.strerror or str(error),
                hint="Choose another file.",
            ) from error
        return cls(path, descriptor, on_failure)

    def add(self, data: bytes) -> None:
        """Have it written; never waits."""
        if self._ending:
            return
        self._waiting.append(data)
        self._waiting_bytes += len(data)
        self._arrived.set()
        if self._waiting_bytes > WAITING_LIMIT_BYTES:
            self._waiting.clear()
            self._fail("the disk is too slow")

    async def end(self) -> None:
        """Write what is left, and close. Idempotent."""
        self._ending = True
        self._arrived.set()
        await asyncio.wait({self._task}, timeout=END_LIMIT_S)

    async def _write_all(self) -> None:
        try:
            while self._waiting or not self._ending:
                await self._arrived.wait()
                self._arrived.clear()
                data, self._waiting = b"".join(self._waiting), []
                await asyncio.to_thread(_write, self._descriptor, data)
                self._waiting_bytes -= len(data)
        except OSError as error:
            self._fail(error.strerror or str(error))
        finally:
            os.close(self._descriptor)

    def _fail(self, why: str) -> None:
        self._ending = True
        self._on_failure(f"no longer written to {self.path}: {why}")


def _new_file(path: Path) -> int:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # O_EXCL: what a guest prints never goes into a file that is there, nor through a link.
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
