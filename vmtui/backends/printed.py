"""Everything that a console prints, for who only reads."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable

from vmtui.backends.ways_in import Console


async def printed(opened: Callable[[], Awaitable[Console]]) -> AsyncGenerator[bytes, None]:
    """Open a console and read it to its end; it is closed then, or once no more is wanted."""
    console = await opened()
    try:
        while data := await console.read():
            yield data
    finally:
        await console.close()
