"""Archives (tar and zip) from outside: nothing is believed, what is dangerous is refused."""

from __future__ import annotations

import os
import re
import stat
import struct
import tarfile
import zipfile
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, cast

from vmtui.errors import InputError
from vmtui.files import not_writable
from vmtui.images.formats import open_plain
from vmtui.images.pieces import PIECE_BYTES
from vmtui.images.unpack import DAMAGED, write_sparse, written
from vmtui.progress import Progress
from vmtui.units import MIB, size

MEMBERS_LIMIT = 1000
HEADERS_LIMIT_BYTES = 16 * MIB
"""A list of members, or one member's own header, that is larger is an attack on memory."""
TAR_LIMIT_BYTES = 2 * MIB
"""Of all headers of a tar: what lists a member's holes is read a block at a time."""

_ENCRYPTED = 0x1
_NO_ZIP = (zipfile.BadZipFile, NotImplementedError, ValueError, OSError, struct.error)
"""What zipfile raises for a damaged one, or one that it can't read."""
_SPECIAL = re.compile(r"[\x00-\x1f\x7f:\\]")


@dataclass(frozen=True, slots=True)
class Member:
    """A file in an archive. In a tar it lies there as it is, from `offset_bytes` on."""

    name: str
    size_bytes: int
    offset_bytes: int = 0


def plain_name(name: str, whose: str) -> str:
    """`name` if it stays in its folder on every system. Raises InputError naming it."""
    parts = name.split("/")
    if not name or name.startswith("/") or ".." in parts or _SPECIAL.search(name):
        raise InputError(
            f"{whose} is refused", why=f"its file {name!r} would lie outside of its folder"
        )
    return str(PurePosixPath(name))


def tar_members(path: Path) -> tuple[Member, ...]:
    """The files in a tar that is not packed, none of them dangerous. Blocks; raises InputError."""
    with os.fdopen(open_plain(path), "rb") as file:
        end_bytes = os.fstat(file.fileno()).st_size
        careful = cast("IO[bytes]", _Careful(file, TAR_LIMIT_BYTES))
        try:
            with tarfile.open(fileobj=careful, mode="r:") as archive:
                return _checked(path, _of_tar(path, archive, end_bytes))
        # IndexError: of a list of holes that ends within a block.
        except (tarfile.TarError, EOFError, ValueError, IndexError, OSError) as error:
            raise InputError(f"{path} is damaged", why=str(error)) from error


def zip_members(path: Path) -> tuple[Member, ...]:
    """The files in a zip, none of them dangerous. Blocks; raises InputError."""
    with _zip(path) as archive:
        return _checked(path, _of_zip(path, archive))


def extract_zip(
    path: Path, members: Iterable[Member], folder: Path, limit_bytes: int
) -> Generator[Progress, None, None]:
    """Unpack `members` of a zip into `folder`. Blocks; raises InputError, OperationError.

    What one of them says of its size is not believed: all together have to stay in `limit_bytes`.
    """
    members = tuple(members)
    whole_bytes = sum(member.size_bytes for member in members)
    if whole_bytes > limit_bytes:
        raise _too_large(path, limit_bytes)
    done_bytes = 0
    with _zip(path) as archive:
        for member in members:
            target = folder / member.name
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                output = target.open("xb")
            except OSError as error:
                raise not_writable(folder, error) from error
            with written(output, target):
                for piece in _pieces(path, archive, member.name):
                    done_bytes += len(piece)
                    if done_bytes > limit_bytes:
                        raise _too_large(path, limit_bytes)
                    write_sparse(output, piece)
                    fraction = done_bytes / max(whole_bytes, done_bytes)
                    yield Progress(f"unpacking {path.name} {100 * fraction:.0f} %", fraction)


class _Careful:
    """A file of which nobody reads much at once, as the readers of archives would if told to.

    With `total_bytes`, nor more than that altogether.
    """

    def __init__(self, file: IO[bytes], total_bytes: int | None = None) -> None:
        self._file, self._total_bytes = file, total_bytes
        self.seek, self.tell = file.seek, file.tell
        self.seekable, self.close = file.seekable, file.close

    def read(self, count: int = -1) -> bytes:
        most = HEADERS_LIMIT_BYTES + 1
        content = self._file.read(most if count < 0 else min(count, most))
        if len(content) > HEADERS_LIMIT_BYTES:
            raise ValueError(f"it has a header of over {size(HEADERS_LIMIT_BYTES)}")
        if self._total_bytes is not None:
            self._total_bytes -= len(content)
            if self._total_bytes < 0:
                raise ValueError("its headers are too large")
        return content


def _of_tar(path: Path, archive: tarfile.TarFile, end_bytes: int) -> Iterator[Member]:
    for entry in archive:
        if entry.isdir():
            plain_name(entry.name, str(path))
            continue
        if entry.issparse():
            raise InputError(
                f"{path} is refused",
                why=f"its file {entry.name!r} is stored with holes",
                hint="Unpack it first: tar -xSf FILE.",
            )
        if not entry.isreg():
            raise _not_a_file(path, entry.name, "a link" if entry.issym() or entry.islnk() else "")
        if entry.offset_data + entry.size > end_bytes:
            raise InputError(f"{path} is damaged", why=f"it ends within {entry.name!r}")
        yield Member(entry.name, entry.size, entry.offset_data)


def _of_zip(path: Path, archive: zipfile.ZipFile) -> Iterator[Member]:
    for entry in archive.infolist():
        mode = entry.external_attr >> 16
        plain_name(entry.filename, str(path))
        if entry.is_dir():
            continue
        if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
            raise _not_a_file(path, entry.filename, "a link" if stat.S_ISLNK(mode) else "")
        if entry.flag_bits & _ENCRYPTED:
            raise InputError(
                f"{path} is refused",
                why=f"its file {entry.filename!r} is encrypted",
                hint="Unpack it first: unzip FILE.",
            )
        yield Member(entry.filename, entry.file_size)


def _checked(path: Path, members: Iterator[Member]) -> tuple[Member, ...]:
    found: dict[str, Member] = {}
    for member in members:
        # Some systems do not tell upper from lower case: one of two would win there.
        name = plain_name(member.name, str(path))
        if name.casefold() in found:
            raise InputError(f"{path} is refused", why=f"it has two files {name!r}")
        found[name.casefold()] = Member(member.name, member.size_bytes, member.offset_bytes)
        if len(found) > MEMBERS_LIMIT:
            raise InputError(f"{path} is refused", why=f"it has over {MEMBERS_LIMIT} files")
    return tuple(found.values())


@contextmanager
def _zip(path: Path) -> Iterator[zipfile.ZipFile]:
    with os.fdopen(open_plain(path), "rb") as file:
        try:
            archive = zipfile.ZipFile(cast("IO[bytes]", _Careful(file)))
        except _NO_ZIP as error:
            raise InputError(f"{path} is damaged", why=str(error)) from error
        with archive:
            yield archive


def _pieces(path: Path, archive: zipfile.ZipFile, name: str) -> Iterator[bytes]:
    try:
        with archive.open(name) as content:
            while piece := content.read(PIECE_BYTES):
                yield piece
    except (*_NO_ZIP, *DAMAGED) as error:
        raise InputError(f"{path} is damaged", why=str(error)) from error


def _not_a_file(path: Path, name: str, kind: str) -> InputError:
    return InputError(f"{path} is refused", why=f"{name!r} in it is {kind or 'a device'}, no file")


def _too_large(path: Path, limit_bytes: int) -> InputError:
    return InputError(f"{path} is refused", why=f"it unpacks to more than {size(limit_bytes)}")
