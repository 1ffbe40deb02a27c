"""The file of a recording: parts that can be read alone, each flushed every few seconds.

A part is a gzip member that holds length-prefixed frames of MessagePack: Began, then Moments. A
process that is killed leaves a part that ends early; what was flushed of it can be read, and the
next part is written behind it. Nothing that is in the file is ever written again.
"""

from __future__ import annotations

import fcntl
import os
import stat
import struct
import zlib
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

import msgspec

from vmtui.errors import BusyError, InputError, OperationError, VmtuiError
from vmtui.frames import Began, Moment

_NAME = "vmtui-recording-1"
_MARK = b"\x1f\x8b\x08\x08"  # gzip, deflate, with a file name
_TIME_AND_SYSTEM = 6  # bytes of the header between the mark and the name
_HEADER = _TIME_AND_SYSTEM + len(_MARK)
_NAME_FIELD = _NAME.encode() + b"\0"
_CHUNK = 1 << 20
_PIECE = 1 << 13
_LEVEL = 6
_LENGTH_BYTES = 4


def frame(content: Began | Moment) -> bytes:
    """A frame as it is written."""
    data = msgspec.msgpack.encode(content)
    return len(data).to_bytes(_LENGTH_BYTES, "big") + data


class _Part:
    """A gzip member in the making (RFC 1952): what could not be written is not tried again.

    GzipFile does, as late as when it is forgotten, and says on stderr that it fails.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._deflate = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
        self._sum = self._bytes = 0
        file.write(_MARK + bytes(_TIME_AND_SYSTEM) + _NAME_FIELD)  # of no time

    def write(self, data: bytes) -> None:
        self._sum = zlib.crc32(data, self._sum)
        self._bytes += len(data)
        self._file.write(self._deflate.compress(data))

    def flush(self) -> None:
        self._file.write(self._deflate.flush(zlib.Z_SYNC_FLUSH))
        self._file.flush()

    def close(self) -> None:
        self._file.write(self._deflate.flush())
        self._file.write(struct.pack("<II", self._sum, self._bytes & 0xFFFF_FFFF))
        self._file.flush()


class Sink:
    """A recording that is written to; one at a time has it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = _opened(path)
        self._part: _Part | None = None

    def write(self, frames: Sequence[bytes]) -> None:
        """Compress and write, so that it outlives the process. Raises OperationError."""
        with self._failures_told():
            if self._part is None:
                self._part = _Part(self._file)
            for data in frames:
                self._part.write(data)
            self._part.flush()

    def end_part(self) -> None:
        """What is written next can be read without what is before it."""
        part, self._part = self._part, None
        if part is not None:
            with self._failures_told():
                part.close()

    @contextmanager
    def _failures_told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self._part = None
            raise OperationError(
                f"{self.path} can't be written",
                why=error.strerror or str(error),
                hint="What was recorded until now can be replayed.",
            ) from error

    def close(self) -> None:
        """End the file well."""
        try:
            self.end_part()
        finally:
            with suppress(OSError):
                self._file.close()


def _opened(path: Path) -> BinaryIO:
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
    try:
        descriptor = os.open(path, flags, 0o600)
    except OSError as error:
        raise InputError(
            f"{path} can't be recorded to",
            why=error.strerror or "",
            hint="Choose a file in a folder of yours.",
        ) from error
    try:
        _claim(descriptor, path)
    except VmtuiError:
        os.close(descriptor)
        raise
    return os.fdopen(descriptor, "ab")


def _claim(descriptor: int, path: Path) -> None:
    """Make sure that it is a recording, or empty, and nobody else's."""
    status = os.fstat(descriptor)
    start = b""
    if stat.S_ISREG(status.st_mode):
        start = os.pread(descriptor, _HEADER + len(_NAME_FIELD), 0)
    if not stat.S_ISREG(status.st_mode) or (status.st_size and not _is_header(start)):
        raise InputError(
            f"{path} can't be recorded to",
            why="it is something else",
            hint="Choose a new file, or a recording to go on with.",
        )
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise BusyError(
            f"{path} can't be recorded to",
            why="another vmtui records to it",
            hint="Choose another file.",
        ) from error


def _is_header(data: bytes) -> bool:
    return data.startswith(_MARK) and data[_HEADER:].startswith(_NAME_FIELD)


@dataclass(frozen=True, slots=True)
class Part:
    """Where a part is, and how its times lie: `shift_s` makes those of all parts ascend."""

    offset: int
    end: int
    began: Began
    shift_s: float = 0.0

    @property
    def at_s(self) -> float:
        """When it begins, on the time line of the whole recording."""
        return self.began.at_s + self.shift_s


class Recording:
    """A recording that is read: its parts in order, and the moments of each."""

    def __init__(self, path: Path) -> None:
        """Raises InputError for a file that is none."""
        self.path = path
        try:
            with path.open("rb") as file:
                self.parts = _parts(file)
        except OSError as error:
            raise InputError(f"{path} can't be read", why=error.strerror or str(error)) from error
        if not self.parts:
            raise InputError(
                f"{path} can't be replayed",
                why="it is no recording of vmtui",
                hint="Make one with: vmtui --record FILE.",
            )
        last = self.parts[-1]
        moments = self.moments(len(self.parts) - 1)
        self.end_s = moments[-1].at_s + last.shift_s if moments else last.at_s
        """The time of the last moment."""

    def moments(self, part: int) -> list[Moment]:
        """What is readable of a part, in order; times are as they were recorded."""
        found: list[Moment] = []
        with suppress(OSError, msgspec.MsgspecError), self.path.open("rb") as file:
            frames = _frames(file, self.parts[part].offset, self.parts[part].end)
            next(frames)
            for data in frames:
                found.append(msgspec.msgpack.decode(data, type=Moment))  # noqa: PERF401 (up to what can't be read)
        return found

    def index_at(self, at_s: float) -> int:
        """The part in which a time is."""
        return max(0, bisect_right(self.parts, at_s, key=lambda part: part.at_s) - 1)

    def unix_s(self, at_s: float) -> float:
        """The wall clock at a time of the time line."""
        part = self.parts[self.index_at(at_s)]
        return part.began.unix_s + at_s - part.at_s


def _parts(file: BinaryIO) -> tuple[Part, ...]:
    bounds = [*_headers(file), file.seek(0, os.SEEK_END)]
    parts: list[Part] = []
    for offset, end in pairwise(bounds):
        began = _began(file, offset, end)
        if began is not None:
            parts.append(Part(offset, end, began, _shift_s(parts, began)))
    return tuple(parts)


def _shift_s(parts: Sequence[Part], began: Began) -> float:
    """What makes the monotonic time of a part go on where the time line is.

    In whole seconds, so that differences of times stay exactly what they were; 0 within a boot.
    """
    if not parts:
        return 0.0
    last = parts[-1]
    if last.began.session == began.session:
        return last.shift_s
    passed_s = max(0.0, began.unix_s - last.began.unix_s)
    shift_s = round(last.at_s + passed_s - began.at_s)
    return float(max(shift_s, round(last.at_s - began.at_s + 0.5)))


def _headers(file: BinaryIO) -> Iterator[int]:
    """Where parts begin."""
    overlap, base = b"", 0
    while chunk := file.read(_CHUNK):
        data = overlap + chunk
        found = data.find(_NAME_FIELD)
        while found >= 0:
            if found >= _HEADER and _is_header(data[found - _HEADER : found + len(_NAME_FIELD)]):
                yield base + found - _HEADER
            found = data.find(_NAME_FIELD, found + 1)
        overlap = data[-(_HEADER + len(_NAME_FIELD) - 1) :]
        base += len(data) - len(overlap)


def _began(file: BinaryIO, offset: int, end: int) -> Began | None:
    try:
        data = next(_frames(file, offset, end), None)
        return msgspec.msgpack.decode(data, type=Began) if data is not None else None
    except msgspec.MsgspecError:
        return None


def _frames(file: BinaryIO, offset: int, end: int) -> Iterator[bytes]:
    """The whole frames of a part, as far as they can be read."""
    inflate = zlib.decompressobj(wbits=31)
    file.seek(offset)
    data = b""
    while offset < end and not inflate.eof:
        chunk = file.read(min(_PIECE, end - offset))
        offset += len(chunk)
        try:
            data += inflate.decompress(chunk)
        except zlib.error:
            return
        if not chunk:
            return
        start = 0
        while len(data) - start >= _LENGTH_BYTES:
            stop = start + _LENGTH_BYTES
            stop += int.from_bytes(data[start:stop], "big")
            if stop > len(data):
                break
            yield data[start + _LENGTH_BYTES : stop]
            start = stop
        data = data[start:]
