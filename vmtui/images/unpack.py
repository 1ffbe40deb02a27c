"""Packed files (.gz, .xz, .zst) made whole, with limits on what they may grow to."""

from __future__ import annotations

import gzip
import lzma
import os
import sys
import zlib
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Protocol

from vmtui.errors import InputError
from vmtui.files import not_writable
from vmtui.images.formats import PACKINGS, open_plain
from vmtui.images.pieces import PIECE_BYTES, in_thread
from vmtui.progress import Progress, ProgressSink
from vmtui.units import MIB, size

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

WINDOW_LIMIT_BYTES = 256 * MIB
"""Of memory for the window of a stream. What is packed with the highest level takes 128 MiB."""

_BLOCK = bytes(65536)  # what is as empty as this becomes a hole

DAMAGED = (EOFError, gzip.BadGzipFile, zlib.error, lzma.LZMAError, zstd.ZstdError)
"""What unpacking raises when the content is not what it should be."""


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


class _Piece:
    """A part of a file, read as if it were all of it."""

    def __init__(self, file: IO[bytes], offset_bytes: int, size_bytes: int) -> None:
        self._file, self._offset_bytes, self.size_bytes = file, offset_bytes, size_bytes
        self.seek(0)

    def read(self, count: int = -1) -> bytes:
        left_bytes = self.size_bytes - self.tell()
        return self._file.read(left_bytes if count < 0 else min(count, left_bytes))

    def seek(self, to: int) -> int:
        return self._file.seek(self._offset_bytes + to)

    def tell(self) -> int:
        return self._file.tell() - self._offset_bytes


async def unpack(
    source: Path,
    target: Path,
    *,
    limit_bytes: int,
    progress: ProgressSink,
    offset_bytes: int = 0,
    size_bytes: int | None = None,
) -> None:
    """Write what is packed in `source` to `target`, which must not be there yet; sparse, synced.

    With `size_bytes` it is a piece of `source` that is packed. Raises InputError when it is
    damaged, not packed, or comes to more than `limit_bytes`, and OperationError when it can't be
    written. Nothing is left of `target` unless it is whole.
    """
    steps = unpacking(source, target, limit_bytes, offset_bytes, size_bytes)
    await in_thread(steps, progress)


def unpacking(
    source: Path,
    target: Path,
    limit_bytes: int,
    offset_bytes: int = 0,
    size_bytes: int | None = None,
) -> Generator[Progress, None, None]:
    """The steps of `unpack`, for what works in a thread already."""
    with os.fdopen(open_plain(source), "rb") as file:
        whole_bytes = os.fstat(file.fileno()).st_size if size_bytes is None else size_bytes
        packed = _Piece(file, offset_bytes, whole_bytes)
        try:
            output = target.open("xb")
        except OSError as error:
            raise not_writable(target.parent, error) from error
        with written(output, target):
            yield from _copy(packed, source, output, limit_bytes)


def _copy(
    packed: _Piece, source: Path, output: IO[bytes], limit_bytes: int
) -> Generator[Progress, None, None]:
    try:
        for piece in _content(packed, source):
            if output.tell() + len(piece) > limit_bytes:
                raise InputError(
                    f"{source} is refused", why=f"it unpacks to more than {size(limit_bytes)}"
                )
            write_sparse(output, piece)
            fraction = packed.tell() / packed.size_bytes
            yield Progress(f"unpacking {source.name} {100 * fraction:.0f} %", fraction)
    except DAMAGED as error:
        hint = "Was the download cut off?"
        raise InputError(f"{source} is damaged", why=str(error), hint=hint) from error


@contextmanager
def written(output: IO[bytes], target: Path) -> Iterator[None]:
    """Bring what the block writes sparse to `output` to the disk, or remove `target` again."""
    try:
        with output:
            yield
            output.truncate()
            output.flush()
            os.fsync(output.fileno())
    except OSError as error:
        target.unlink(missing_ok=True)
        raise not_writable(target.parent, error) from error
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def write_sparse(output: IO[bytes], piece: bytes) -> None:
    """Write `piece`, with a hole for each block of it that is empty."""
    for start in range(0, len(piece), len(_BLOCK)):
        block = piece[start : start + len(_BLOCK)]
        if len(block) == len(_BLOCK) and block == _BLOCK:
            output.seek(len(block), os.SEEK_CUR)
        else:
            output.write(block)


def first_stream(data: bytes) -> bytes:
    """What the stream at the beginning of `data` holds. Raises one of DAMAGED, or ValueError."""
    if kind := _kind(data):
        gz = zlib.decompressobj(zlib.MAX_WBITS | 16)
        return (gz if kind == "gz" else _decompressor(kind)).decompress(data)
    raise ValueError("it is neither gzip, xz nor zstd")


def _kind(head: bytes) -> str:
    return next((name for magic, name in PACKINGS.items() if head.startswith(magic)), "")


def _content(file: _Piece, source: Path) -> Iterator[bytes]:
    kind = _kind(file.read(8))
    file.seek(0)
    if kind == "gz":
        with gzip.GzipFile(fileobj=file) as stream:
            while piece := stream.read(PIECE_BYTES):
                yield piece
    elif kind:
        yield from _streams(file, kind)
    else:
        raise InputError(f"{source} is not packed", why="it is neither gzip, xz nor zstd")


def _streams(file: _Piece, kind: str) -> Iterator[bytes]:
    """The content of one or several streams behind each other, as `xz` and `zstd` write them."""
    data = file.read(PIECE_BYTES)
    while data:
        decompressor = _decompressor(kind)
        while not decompressor.eof:
            if decompressor.needs_input and not data:
                data = file.read(PIECE_BYTES)
                if not data:
                    raise EOFError("it ends in the middle")
            yield decompressor.decompress(data, PIECE_BYTES)
            data = b""
        data = decompressor.unused_data or file.read(PIECE_BYTES)
        if kind == "xz":
            while data and not data.strip(b"\0"):  # padding between streams
                data = file.read(PIECE_BYTES)
            data = data.lstrip(b"\0")


def _decompressor(kind: str) -> _Decompressor:
    if kind == "xz":
        return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=WINDOW_LIMIT_BYTES)
    log_max = WINDOW_LIMIT_BYTES.bit_length() - 1
    return zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: log_max})
