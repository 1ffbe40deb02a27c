"""Standard input and output for an event loop that must not be blocked by either."""

from __future__ import annotations

import asyncio
import os
import select
import stat
import time
from collections.abc import AsyncGenerator
from contextlib import suppress

READ_BYTES = 65536
PIPE_WRITE_BYTES = 4096  # PIPE_BUF: what a writable pipe takes without blocking

BRIEFLY_S = 0.004
"""How long the event loop may be kept: a terminal takes little at a time, but again at once, and a
turn of the loop for each piece would cost more than the piece.
"""


class Output:
    """A descriptor that is written to as fast as its reader reads, and never waited for."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.is_terminal = os.isatty(descriptor)
        mode = os.fstat(descriptor).st_mode
        self._own = -1
        self._blocks = self.is_terminal or stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)
        if self._blocks:
            # Opened anew: non-blocking mode belongs to the open file, which others share.
            with suppress(OSError):
                self._own = os.open(
                    f"/proc/self/fd/{descriptor}",
                    os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC,
                )

        self._poll = select.poll()
        self._poll.register(self._writable, select.POLLOUT)

    async def write(self, data: bytes) -> None:
        """Write all of `data`. Raises OSError; BrokenPipeError when its reader has gone."""
        rest = self._rest_after(BRIEFLY_S, data)
        if not rest:
            return
        loop = asyncio.get_running_loop()
        written: asyncio.Future[None] = loop.create_future()

        def go_on() -> None:
            nonlocal rest
            try:
                rest = rest[self._taken(rest) :]
            except OSError as error:
                _settle(written, error)
            if not rest:
                _settle(written)

        loop.add_writer(self._writable, go_on)
        try:
            await written
        finally:
            loop.remove_writer(self._writable)

    def write_within(self, data: bytes, limit_s: float) -> None:
        """Write `data` without the event loop; what its reader does not take in time is dropped."""
        with suppress(OSError):
            self._rest_after(limit_s, data)

    def _rest_after(self, limit_s: float, data: bytes) -> memoryview:
        rest = memoryview(data)
        end_s = time.monotonic() + limit_s
        while rest:
            if not self._poll.poll(max(0.0, end_s - time.monotonic()) * 1000):
                break
            rest = rest[self._taken(rest) :]
        return rest

    @property
    def _writable(self) -> int:
        return self._own if self._own >= 0 else self.descriptor

    def _taken(self, data: memoryview) -> int:
        try:
            if self._own < 0 and self._blocks:
                data = data[:PIPE_WRITE_BYTES]
            return os.write(self._writable, data)
        except BlockingIOError:
            return 0

    def close(self) -> None:
        """Let go of what was opened here."""
        if self._own >= 0:
            os.close(self._own)
            self._own = -1


async def read_all(descriptor: int) -> AsyncGenerator[bytes, None]:
    """What comes on a descriptor, until its end."""
    with suppress(OSError):  # a terminal that is gone, or not ours to read, has ended
        while True:
            await _readable(descriptor)
            data = os.read(descriptor, READ_BYTES)
            if not data:
                return
            yield data


async def _readable(descriptor: int) -> None:
    loop = asyncio.get_running_loop()
    readable: asyncio.Future[None] = loop.create_future()
    try:
        loop.add_reader(descriptor, _settle, readable)
    except PermissionError:
        await asyncio.sleep(0)  # a regular file is always ready
        return
    try:
        await readable
    finally:
        loop.remove_reader(descriptor)


def _settle(future: asyncio.Future[None], error: OSError | None = None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)
