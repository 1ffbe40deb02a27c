"""When a guest is ready for its user: the prompt on its serial console, its ssh server's banner."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator
from contextlib import aclosing, closing
from itertools import cycle

from vmtui.errors import OperationError

TAIL_BYTES = 4096

_BANNER = b"SSH-"
_AGAIN_S = 0.1
"""After an attempt that was turned down: something answers there, and no ssh server yet."""
_MORE_S = 1.0
"""While an attempt hangs: what was sent before the guest's network was up is sent again ever more
slowly."""
_PATIENCE_S = (20.0, 3.0, 3.0, 3.0)
"""Of the attempts in turn. A slow guest takes long to greet, so some are not given up soon; of one
attempt each second five such are pending then, and two or three of the others."""
_AT_ONCE = 8
"""From ten on that have not logged in sshd turns others away (MaxStartups), the user's own too."""

_NOISE = re.compile(rb"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[ -/]*[0-~]|\x00")
_PROMPT = re.compile(rb"(?:^|[\r\n])[^\r\n]*\blogin: ?$", re.IGNORECASE)


class LoginPrompt:
    """Looks for a prompt at the end of a stream that comes in pieces of any size."""

    def __init__(self) -> None:
        self._tail = b""

    def seen_in(self, chunk: bytes) -> bool:
        """Whether the stream, with `chunk` added, now ends in a login prompt."""
        self._tail = (self._tail + chunk)[-TAIL_BYTES:]
        return _PROMPT.search(_NOISE.sub(b"", self._tail)) is not None


async def wait_for_login(output: AsyncGenerator[bytes, None], name: str, timeout_s: float) -> None:
    """Return once the console shows a login prompt.

    Raises OperationError when the VM stops first, or the time is over.
    """
    prompt = LoginPrompt()
    try:
        async with asyncio.timeout(timeout_s), aclosing(output):
            async for chunk in output:
                if prompt.seen_in(chunk):
                    return
    except TimeoutError as error:
        raise OperationError(
            f"{name} showed no login prompt within {timeout_s:.0f} s",
            why="the guest may have no serial console, or it is slow",
            hint=f"It goes on. Look at it: vmtui console {name}",
        ) from error
    raise OperationError(
        f"{name} stopped before it showed a login prompt", hint=f"See: vmtui log {name}"
    )


async def ssh_banner(host: str, port: int) -> None:
    """Return once an ssh server greets there, however long that takes.

    That a connection is taken says nothing: what forwards a port takes it before any guest runs.
    """
    attempts: set[asyncio.Task[bool]] = set()
    patience_s = cycle(_PATIENCE_S)
    try:
        while True:
            if len(attempts) < _AT_ONCE:
                attempts.add(asyncio.create_task(_greets(host, port, next(patience_s))))
            done, attempts = await asyncio.wait(
                attempts, timeout=_MORE_S, return_when=asyncio.FIRST_COMPLETED
            )
            if any(attempt.result() for attempt in done):
                return
            if done:
                await asyncio.sleep(_AGAIN_S)
    finally:
        for attempt in attempts:
            attempt.cancel()
        await asyncio.gather(*attempts, return_exceptions=True)


async def _greets(host: str, port: int, limit_s: float) -> bool:
    try:
        async with asyncio.timeout(limit_s):
            reader, writer = await asyncio.open_connection(host, port)
            with closing(writer):
                return await reader.readexactly(len(_BANNER)) == _BANNER
    except (OSError, EOFError, TimeoutError):
        return False
