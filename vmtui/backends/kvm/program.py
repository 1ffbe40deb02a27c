"""Which QEMU this machine has: found on PATH, its version asked once for each build of it."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import msgspec
import platformdirs

from vmtui.command import run
from vmtui.errors import VmtuiError
from vmtui.files import write_whole

QEMU = "qemu-system-x86_64"
VERSION_TIMEOUT_S = 10.0
NOT_INSTALLED = "QEMU is not installed"


class _Remembered(msgspec.Struct, frozen=True):
    build: str
    version: str


def installed() -> bool:
    """Whether there is a QEMU at all."""
    return shutil.which(QEMU) is not None


def build() -> str:
    """Changes with every new build of QEMU; empty without one."""
    path = shutil.which(QEMU)
    if path is None:
        return ""
    status = Path(path).stat()
    return f"{path}:{status.st_mtime_ns}:{status.st_size}"


async def version() -> str:
    """Such as `QEMU 7.2.22`, or why there is none; remembered, for asking costs a process."""
    current = build()
    if not current:
        return NOT_INSTALLED
    cache = platformdirs.user_cache_path("vmtui") / "qemu.json"
    try:
        remembered = msgspec.json.decode(cache.read_bytes(), type=_Remembered)
    except (OSError, msgspec.DecodeError):
        remembered = _Remembered("", "")
    if remembered.build == current:
        return remembered.version
    try:
        said = (await run(QEMU, "--version", timeout_s=VERSION_TIMEOUT_S)).partition("\n")[0]
    except VmtuiError as error:
        return error.what
    found = "QEMU " + said.partition("version ")[2].partition(" ")[0]
    try:
        cache.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        await asyncio.to_thread(
            write_whole, cache, msgspec.json.encode(_Remembered(current, found))
        )
    except (VmtuiError, OSError):
        pass  # asked again next time, that is all
    return found
