"""Advisory locks between vmtui processes: a lock ends with its holder, however that ends."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import Callable
from pathlib import Path

from vmtui.files import not_writable


def try_lock(path: Path, *, shared: bool = False) -> int | None:
    """A file descriptor that holds the lock until it is closed, or None: someone else has it.

    Several may hold it `shared`, while nobody has it for itself. Raises OperationError if the
    lock file can't be made.
    """
    try:
        while True:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                how = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
                fcntl.flock(descriptor, how | fcntl.LOCK_NB)
            except OSError:
                os.close(descriptor)
                raise
            if _is_at(path, descriptor):
                break
            os.close(descriptor)  # the last holder took the file away
    except BlockingIOError:
        return None
    except OSError as error:
        raise not_writable(path.parent, error) from error
    return descriptor


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


async def wait_lock(
    path: Path,
    timeout_s: float | None,
    retry_s: float = 0.01,
    *,
    shared: bool = False,
    waiting: Callable[[], None] = lambda: None,
) -> int:
    """As `try_lock`, but waits for the holder; `waiting` is called at each try that failed.

    Raises TimeoutError, unless `timeout_s` is None.
    """
    async with asyncio.timeout(timeout_s):
        while (descriptor := try_lock(path, shared=shared)) is None:
            waiting()
            await asyncio.sleep(retry_s)
    return descriptor
