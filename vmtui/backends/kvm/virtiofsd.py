"""The daemon that serves a shared folder by virtiofs: which there is, and its processes."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import closing
from functools import lru_cache
from pathlib import Path

from vmtui.backends.kvm.argv import Place
from vmtui.backends.kvm.definition import Definition
from vmtui.backends.kvm.hardware import ShareDefinition
from vmtui.backends.kvm.process import Process
from vmtui.command import run
from vmtui.errors import MissingError, VmtuiError

DESCRIPTORS = Path("/usr/share/qemu/vhost-user")
VERSION_TIMEOUT_S = 10.0
_LISTENING = 3
"""The number under which the daemon gets its socket, bound already: QEMU need not wait for it."""


@lru_cache
def program(folder: Path = DESCRIPTORS) -> str:
    """The daemon by QEMU's own catalogue of them (docs/interop/vhost-user.json), or ""."""
    for path in sorted(folder.glob("*.json")):
        try:
            content = json.loads(path.read_text("utf-8"))
            if content["type"] == "fs" and os.access(content["binary"], os.X_OK):
                return str(content["binary"])
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return ""


async def served(definition: Definition) -> tuple[str, ...]:
    """The tags of the folders that it will serve; the others are shared by 9p.

    Raises MissingError where a folder has to be by virtiofs and can't.
    """
    tags = []
    for share in definition.share:
        if share.protocol == "9p":
            continue
        why = await _obstacle(share)
        if not why:
            tags.append(share.tag)
        elif share.protocol == "virtiofs":
            raise MissingError(
                f"{share.path} can't be shared by virtiofs", why=why, hint="Use 9p instead."
            )
    return tuple(tags)


async def _obstacle(share: ShareDefinition) -> str:
    found = program()
    if not found:
        return "there is no virtiofsd"
    if share.read_only:
        return "virtiofsd shares no folder read-only"
    if "," in share.path or "\\" in share.path:
        return "virtiofsd would take its path for several options"
    if os.getuid() == 0:
        return ""
    try:
        said = await run(found, "--version", timeout_s=VERSION_TIMEOUT_S)
    except VmtuiError as error:
        return error.what
    # The one that came with QEMU up to 7.2 bears its version, and runs as root only.
    return "" if said.startswith("virtiofsd 1.") else "this virtiofsd runs as root only"


def start(definition: Definition, place: Place) -> Iterator[Process]:
    """Run one for each folder of `place.virtiofs`; each ends by itself when QEMU does."""
    for index, share in enumerate(definition.share):
        if share.tag not in place.virtiofs:
            continue
        with closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as listening:
            listening.bind(str(place.share(index)))
            listening.listen(1)
            yield Process.start(
                [program(), f"--fd={_LISTENING}", "-o", f"source={share.path}"],
                log=place.runtime / f"share{index}.log",
                descriptors={_LISTENING: listening.fileno()},
            )
