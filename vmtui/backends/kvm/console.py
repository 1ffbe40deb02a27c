"""The serial console of a direct VM: one holder at a time, take-over by consent of the asker."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

from vmtui.backends.kvm.argv import Place
from vmtui.backends.kvm.locks import try_lock, wait_lock
from vmtui.backends.kvm.process import Process
from vmtui.errors import BusyError, OperationError, UnreachableError

READ_BYTES = 65536
TAKE_OVER_TIMEOUT_S = 3.0
FOLLOW_INTERVAL_S = 0.02
"""How often the console's log is looked at while someone waits for a word in it."""


class SocketConsole:
    """An attached console. QEMU serves one client, so a lock file says who that is.

    The holder also listens on a socket of its own: who connects to it asks the holder to leave.
    """

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        lock: int,
        hold: Path,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._lock = lock
        self._hold = hold
        self._server: asyncio.Server | None = None
        self._taken = asyncio.Event()
        self._ended_because = ""

    @classmethod
    async def attach(cls, name: str, place: Place, *, force: bool) -> SocketConsole:
        """Raises BusyError when another process is attached and `force` is not given."""
        hold = place.runtime / "console.hold"
        lock = try_lock(place.runtime / "console.lock")
        if lock is None and force:
            lock = await _take_over(name, hold, place.runtime / "console.lock")
        if lock is None:
            raise BusyError(
                f"someone is attached to the console of {name} already",
                why=_holder(place.runtime / "console.lock"),
                hint=f"Take it over with: vmtui console --force {name}",
            )
        try:
            reader, writer = await asyncio.open_unix_connection(str(place.console))
        except OSError as error:
            os.close(lock)
            raise UnreachableError(
                f"the console of {name} can't be reached", why=error.strerror or ""
            ) from error
        console = cls(reader, writer, lock, hold)
        try:
            await console._listen()
        except BaseException:
            await console.close()
            raise
        return console

    async def _listen(self) -> None:
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, str(os.getpid()).encode(), 0)
        self._hold.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._on_take_over, str(self._hold))

    async def _on_take_over(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Let go at once, also when nobody is reading: the asker waits for the lock.
        self._ended_because = "the console was taken over by another process"
        self._taken.set()
        await self.close()
        writer.close()

    @property
    def ended_because(self) -> str:
        """Why `read` gave b""."""
        return self._ended_because

    async def read(self) -> bytes:
        """The next bytes; b"" at the end."""
        data = asyncio.ensure_future(self._reader.read(READ_BYTES))
        taken = asyncio.ensure_future(self._taken.wait())
        try:
            await asyncio.wait({data, taken}, return_when=asyncio.FIRST_COMPLETED)
            if data.done() and not self._taken.is_set():
                with suppress(OSError):
                    if chunk := data.result():
                        return chunk
                self._ended_because = self._ended_because or "the VM is off"
            return b""
        finally:
            for waiter in (data, taken):
                waiter.cancel()
            await asyncio.gather(data, taken, return_exceptions=True)

    async def write(self, data: bytes) -> None:
        """Send all of `data`."""
        self._writer.write(data)
        with suppress(OSError):  # the end is told by read
            await self._writer.drain()

    async def close(self) -> None:
        """Detach. Idempotent."""
        if self._lock < 0:
            return
        lock, self._lock = self._lock, -1
        if self._server is not None:
            self._server.close()
            self._hold.unlink(missing_ok=True)
        self._writer.close()
        with suppress(OSError):
            await self._writer.wait_closed()
        os.close(lock)


async def _take_over(name: str, hold: Path, lock_path: Path) -> int:
    with suppress(OSError):  # a holder that has just gone needs no asking
        _, writer = await asyncio.open_unix_connection(str(hold))
        writer.close()
    try:
        return await wait_lock(lock_path, TAKE_OVER_TIMEOUT_S)
    except TimeoutError as error:
        raise OperationError(
            f"the console of {name} could not be taken over",
            why=f"{_holder(lock_path)} does not let go",
            hint="End that process.",
        ) from error


def _holder(lock_path: Path) -> str:
    try:
        return f"process {int(lock_path.read_text('ascii'))}"
    except (OSError, ValueError):
        return "another process"


async def follow(log: Path, process: Process) -> AsyncIterator[bytes]:
    """What is in the console's log, and what is added to it, until the process has ended."""
    with log.open("rb") as file:
        while True:
            running = process.alive  # asked before the read: the last words must not be missed
            if chunk := file.read(READ_BYTES):
                yield chunk
            elif not running:
                return
            else:
                await asyncio.sleep(FOLLOW_INTERVAL_S)
