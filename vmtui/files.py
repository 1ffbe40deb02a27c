"""Files replaced whole or not at all, and what the operating system's refusals mean."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

from vmtui.errors import InputError, OperationError

_HINTS = {
    errno.ENOSPC: "Free some space there.",
    errno.EDQUOT: "Free some of your quota there.",
    errno.EROFS: "It is on a read-only file system; set XDG_DATA_HOME to a folder of yours.",
    errno.EACCES: "Change its permissions, or set XDG_DATA_HOME to a folder of yours.",
    errno.EPERM: "Change its permissions, or set XDG_DATA_HOME to a folder of yours.",
}


def not_writable(folder: Path, error: OSError) -> OperationError:
    """The error to raise when `folder` can't be written."""
    return OperationError(
        f"{folder} can't be written",
        why=error.strerror or str(error),
        hint=_HINTS.get(error.errno or 0, ""),
    )


def scratch() -> Path:
    """Where to put what is of no use after this session: in memory, where this user has that."""
    runtime = Path(os.environ.get("XDG_RUNTIME_DIR") or "/nowhere")
    return runtime if runtime.is_dir() else Path(tempfile.gettempdir())


def write_whole(path: Path, content: bytes, *, keep_owner: bool = False) -> None:
    """Replace `path` by `content`, durably: afterwards it is the old or the new, never a part.

    Nobody else can read it. With `keep_owner` it stays whose it is, with its mode; a new file is
    its folder's owner's. Raises OperationError. Blocks for as long as the disk takes to flush.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(temporary, "wb", opener=_own) as file:
            if keep_owner:
                _hand_over(file.fileno(), path)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(path)
        flush_folder(path.parent)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise not_writable(path.parent, error) from error


def sweep(path: Path) -> None:
    """Remove what processes that were killed had begun to put in place of `path`."""
    for temporary in path.parent.glob(f".{path.name}.*"):
        pid = temporary.suffix[1:]
        # One whose pid another process has by now waits for the next time: nothing is lost by it.
        if pid.isdecimal() and not Path("/proc", pid).exists():
            with suppress(OSError):
                temporary.unlink()


def _hand_over(descriptor: int, path: Path) -> None:
    """Give an open file to whom `path` belongs, or its folder where it is not there."""
    try:
        owner = path.lstat()
        os.fchmod(descriptor, stat.S_IMODE(owner.st_mode))
    except FileNotFoundError:
        owner = path.parent.stat()
    if (owner.st_uid, owner.st_gid) != (os.geteuid(), os.getegid()):
        os.fchown(descriptor, owner.st_uid, owner.st_gid)


def append(path: Path, content: bytes) -> None:
    """Add to the end of a file that nobody else can read. Raises OSError."""
    with open(path, "ab", opener=_private) as file:
        file.write(content)


def write_new(path: Path, content: bytes) -> None:
    """As `write_whole`, but never over a file that exists. Raises InputError, OperationError."""
    if path.exists():
        raise InputError(f"{path} exists already", hint="Name a file that does not.")
    write_whole(path, content)


def flush_folder(folder: Path) -> None:
    """Bring to the disk which files `folder` has. Blocks; raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _own(path: str, flags: int) -> int:
    # Root replaces files in folders of others, too: a link that waits there leads nowhere.
    return _private(path, flags | os.O_NOFOLLOW)


def at_home(text: str | Path) -> Path:
    """A path as it is written by hand: `~` is the user's folder, `~NAME` that of NAME if any."""
    try:
        return Path(text).expanduser()
    except RuntimeError:  # nobody is called that
        return Path(text)


def is_file(path: Path) -> bool:
    """Whether there is a file; what no file can be called, such as a name too long, is none."""
    try:
        return path.is_file()
    except OSError:
        return False


def tail(path: Path, limit_bytes: int) -> bytes:
    """The last `limit_bytes` of a file; b"" if it can't be read."""
    try:
        with path.open("rb") as file:
            size_bytes = file.seek(0, os.SEEK_END)
            file.seek(max(0, size_bytes - limit_bytes))
            return file.read(limit_bytes)
    except OSError:
        return b""
