"""Long work on files: done in a thread piece by piece, told of, and stopped between two pieces."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Generator
from typing import TypeVar

from vmtui.progress import Progress, ProgressSink

T = TypeVar("T")

PIECE_BYTES = 1 << 20
TOLD_EVERY_S = 0.1


async def in_thread(steps: Generator[Progress, None, T], progress: ProgressSink) -> T:
    """What `steps` returns; what it yields is told, though not more often than is worth it.

    Cancelled, it stops at its next step, and has let go of its files when this returns.
    """
    loop = asyncio.get_running_loop()
    cancelled = False

    def work() -> T | None:
        told_at_s = 0.0
        try:
            while not cancelled:
                step = next(steps)
                if time.monotonic() - told_at_s >= TOLD_EVERY_S:
                    told_at_s = time.monotonic()
                    loop.call_soon_threadsafe(progress, step)
        except StopIteration as done:
            value: T = done.value
            return value
        finally:
            steps.close()
        return None

    job = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        result = await asyncio.shield(job)
    except asyncio.CancelledError:
        cancelled = True
        await asyncio.wait([job])
        if not job.cancelled():
            job.exception()  # nobody is there any more to be told
        raise
    return result  # type: ignore[return-value]  # None only when cancelled
