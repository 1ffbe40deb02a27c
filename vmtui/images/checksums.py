"""Checksums: of a file, and as the projects that publish images write them down."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Generator
from pathlib import Path

from vmtui.errors import OperationError
from vmtui.images.pieces import PIECE_BYTES, in_thread
from vmtui.progress import Progress, ProgressSink, no_progress
from vmtui.units import size

ALGORITHMS = ("sha256", "sha512")

# `SHA256 (file) = sum`, as BSD writes it, and `sum  file` or `sum *file`, as coreutils do.
_BSD = re.compile(r"(?P<algorithm>[A-Za-z0-9]+) ?\((?P<file>.+)\) ?= ?(?P<sum>[0-9a-fA-F]+)")
_COREUTILS = re.compile(r"(?P<sum>[0-9a-fA-F]+)(?:\s+\*?(?P<file>\S.*))?")


async def digest(
    path: Path, algorithm: str = "sha256", progress: ProgressSink = no_progress
) -> str:
    """The sum of a file, in hexadecimal. Raises OperationError."""
    try:
        return await in_thread(_digest(path, algorithm), progress)
    except OSError as error:
        raise OperationError(f"{path} can't be read", why=error.strerror or str(error)) from error


def _digest(path: Path, algorithm: str) -> Generator[Progress, None, str]:
    state = hashlib.new(algorithm)
    with path.open("rb") as file:
        total_bytes = os.fstat(file.fileno()).st_size
        while piece := file.read(PIECE_BYTES):
            state.update(piece)
            done_bytes = file.tell()
            text = f"checking {size(done_bytes, digits=0)} of {size(total_bytes, digits=0)}"
            yield Progress(text, done_bytes / max(total_bytes, done_bytes))
    return state.hexdigest()


def published(listing: str, file_name: str, algorithm: str) -> str | None:
    """The sum of `file_name` in a list of either form, or the only sum that there is in it.

    Some lists beside an image have the name of the build that it is a link to.
    """
    length = hashlib.new(algorithm).digest_size * 2
    sums = {}
    for line in map(str.strip, listing.splitlines()):
        match = _BSD.fullmatch(line)
        if match and match["algorithm"].lower() != algorithm:
            continue
        match = match or _COREUTILS.fullmatch(line)
        if match and len(match["sum"]) == length:
            # A list may say `./file`.
            sums[(match["file"] or "").rpartition("/")[2]] = match["sum"].lower()
    return next(iter(sums.values())) if len(sums) == 1 else sums.get(file_name)
