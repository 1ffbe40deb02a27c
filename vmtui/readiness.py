"""When a guest is ready for its user: the login prompt on its serial console."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator
from contextlib import aclosing

from vmtui.errors import OperationError

TAIL_BYTES = 4096

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
