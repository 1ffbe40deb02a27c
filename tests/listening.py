"""Servers of tests, which end with all that their connections have begun."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


@asynccontextmanager
async def listening(server: asyncio.Server) -> AsyncIterator[None]:
    """Until the end of this; whoever was still to be let in is waited for, too.

    What else is begun within has to end by itself.
    """
    before = asyncio.all_tasks()
    try:
        yield
    finally:
        server.close()
        await server.wait_closed()  # of those who have come it waits for nobody
        while begun := asyncio.all_tasks() - before:
            await asyncio.wait(begun)
