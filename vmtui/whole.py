"""Work that is seen to its end although whoever asked for it was cancelled meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


async def whole(work: Awaitable[T], then: Callable[[], None] = lambda: None) -> T:
    """Await something that must not be left half-way: cancelled, it is first seen to its end.

    `then` is called if it ended well after that.
    """
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            try:
                await asyncio.wait({task})
            except asyncio.CancelledError:
                continue
        if not task.cancelled() and task.exception() is None:
            then()
        raise


async def whole_in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Do what changes files, in a thread: a thread goes on when who waits for it is cancelled.

    So what is cleaned up after a cancellation stays clean.
    """
    return await whole(asyncio.to_thread(function, *args, **kwargs))
