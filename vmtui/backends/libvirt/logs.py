"""Files that libvirt writes next to a VM: QEMU's log, and what the console printed."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Protocol

from vmtui.backends.libvirt.places import Places, tail
from vmtui.errors import NoSuchVMError, UnsupportedError
from vmtui.model import VM, VMId

FOLLOW_INTERVAL_S = 0.05
STATE_INTERVAL_S = 0.5
READ_BYTES = 65536


def readable(path: str | None) -> bool:
    """Whether the file is there and this user may read it."""
    return path is not None and os.access(path, os.R_OK)


def end_of(path: str, limit_bytes: int) -> bytes:
    """The end of a file, b"" if it has just gone."""
    try:
        return tail(Path(path), limit_bytes)
    except OSError:
        return b""


def hypervisor_log(places: Places, name: str, limit_bytes: int) -> str:
    """The end of QEMU's log. Raises UnsupportedError with the reason where it can't be read."""
    what = f"the log of {name} can't be read"
    if not places.local:
        raise UnsupportedError(
            what,
            why="it is on another machine, and libvirt does not pass logs on",
            hint=f"There: /var/log/libvirt/qemu/{name}.log",
        )
    if places.logs is None:
        raise UnsupportedError(what, why="this driver keeps none")
    path = places.logs / f"{name}.log"
    try:
        return tail(path, limit_bytes).decode(errors="replace")
    except FileNotFoundError:
        return ""  # never started
    except OSError as error:
        raise UnsupportedError(
            what,
            why=f"{path}: {error.strerror}",
            hint=f"Only root may read it: sudo less {path}",
        ) from error


class _Looker(Protocol):
    async def vm(self, vm: VMId) -> VM: ...


async def follow(backend: _Looker, vm: VMId, path: str) -> AsyncGenerator[bytes, None]:
    """What is in the file and what is added, until the VM has stopped."""
    with Path(path).open("rb") as file:  # noqa: ASYNC230 (a local file of text)
        loop = asyncio.get_running_loop()
        look_at_s = 0.0
        running = True
        while True:
            if loop.time() >= look_at_s:
                look_at_s = loop.time() + STATE_INTERVAL_S
                try:
                    running = (await backend.vm(vm)).state.active
                except NoSuchVMError:
                    running = False
            # The state was asked before this read, so the last words are not missed.
            if chunk := file.read(READ_BYTES):
                yield chunk
            elif not running:
                return
            else:
                await asyncio.sleep(FOLLOW_INTERVAL_S)
