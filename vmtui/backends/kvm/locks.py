"""Advisory locks between vmtui processes: a lock ends with its holder, however that ends."""

from __future__ import annotations

import asyncio
import fcntl
import os
from pathlib import Path

from vmtui.backends.kvm.files import not_writable


def try_lock(path: Path) -> int | None:
    """A file descriptor that holds the lock until it is closed, or None: someone else has it.

    Raises OperationError if the lock file can't be made.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise not_writable(path.parent, error) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


async def wait_lock(path: Path, timeout_s: float, retry_s: float = 0.01) -> int:
    """As `try_lock`, but waits for the holder. Raises TimeoutError."""
    async with asyncio.timeout(timeout_s):
        while (descriptor := try_lock(path)) is None:
            await asyncio.sleep(retry_s)
    return descriptor
