"""What is typed on its way to the guest: never waited for, and never more than a guest may owe."""

from __future__ import annotations

import asyncio

from vmtui.backends.ways_in import Console
from vmtui.errors import VmtuiError

LIMIT_BYTES = 4 * 1024 * 1024
PIECE_BYTES = 4096


class Outgoing:
    """A queue that one console at a time is served from."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._arrived = asyncio.Event()

    def put(self, data: bytes) -> bool:
        """Take it to be sent; False, and nothing taken, if too much is waiting already."""
        if len(self._data) + len(data) > LIMIT_BYTES:
            return False
        self._data += data
        self._arrived.set()
        return True

    def clear(self) -> None:
        """Forget what was not sent."""
        self._data.clear()

    async def send_to(self, console: Console) -> str:
        """Send what comes until this is cancelled; what goes wrong is returned, not raised."""
        while True:
            await self._arrived.wait()
            while self._data:
                piece = bytes(self._data[:PIECE_BYTES])
                del self._data[:PIECE_BYTES]
                try:
                    await console.write(piece)
                except VmtuiError as error:
                    self.clear()
                    return str(error)
            self._arrived.clear()
