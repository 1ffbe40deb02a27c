"""What consoles printed and a file keeps: its end first, then what is added."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from vmtui.backends.ways_in import Ending

READ_BYTES = 65536
LOOK_FIRST_S = 0.002
WATCH_LIMIT_S = 0.02
ALL = sys.maxsize
"""As `history_bytes`: everything that is there."""

_BACKUPS = 10


class KeptOutput:
    """The file, read from `history_bytes` before its end on. Raises OSError.

    virtlogd starts a new file when one is full: then `path` is the newest, `path.0` the one before.
    """

    def __init__(self, path: Path, history_bytes: int) -> None:
        self._path = path
        files = self._files()
        wanted, sizes = history_bytes, [file.stat().st_size for file in files]
        place = 0
        while wanted > sizes[place] and place + 1 < len(files):
            wanted -= sizes[place]
            place += 1
        self._file: BinaryIO = files[place].open("rb")
        self._file.seek(max(0, sizes[place] - wanted))
        self.history_bytes = sum(sizes[: place + 1]) - self._file.tell()
        """What of that there was."""

    def _files(self) -> list[Path]:
        """The newest first."""
        older = (self._path.with_name(f"{self._path.name}.{n}") for n in range(_BACKUPS))
        return [self._path, *(path for path in older if path.exists())]

    def read(self) -> bytes:
        """The next bytes; b"" if there are none yet."""
        data = self._file.read(READ_BYTES)
        if not data and (newer := self._newer()) is not None:
            data = self._file.read(READ_BYTES)  # what came just before the new file was begun
            if not data:
                self._file.close()
                self._file = newer.open("rb")
                data = self._file.read(READ_BYTES)
        return data

    def _newer(self) -> Path | None:
        ours = os.fstat(self._file.fileno()).st_ino
        with suppress(OSError):
            if self._path.stat().st_ino == ours:
                return None
            files = self._files()
            inodes = [path.stat().st_ino for path in files]
            return files[(inodes.index(ours) if ours in inodes else len(files)) - 1]
        return None

    def close(self) -> None:
        """Idempotent."""
        self._file.close()


class WatchedConsole:
    """The file alone, until `alive` says that nothing more will come."""

    def __init__(self, kept: KeptOutput, alive: Callable[[], Awaitable[bool]]) -> None:
        self._kept = kept
        self._alive = alive
        self._closed = False
        self.history_bytes = kept.history_bytes

    @property
    def ending(self) -> Ending:
        """Why `read` gave b""."""
        return Ending.DETACHED if self._closed else Ending.OFF

    @property
    def ended_because(self) -> str:
        """The same for people."""
        return "it was detached" if self._closed else "the VM is off"

    async def read(self) -> bytes:
        """The next bytes; b"" at the end. Raises what `alive` raises."""
        pause_s = LOOK_FIRST_S
        while not self._closed:
            alive = await self._alive()  # asked before the read: the last words must not be missed
            if self._closed:
                break
            if data := self._kept.read():
                return data
            if not alive:
                break
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, WATCH_LIMIT_S)
        return b""

    async def write(self, data: bytes) -> None:
        """Nothing: it is someone else's."""

    async def close(self) -> None:
        """Let go of the file. Idempotent."""
        self._closed = True
        self._kept.close()
