"""VMDK descriptors: which other files an image is made of, told before QEMU opens them."""

from __future__ import annotations

import re
from pathlib import Path

from vmtui.errors import InputError
from vmtui.files import is_file
from vmtui.images.formats import SECTOR_BYTES, read_piece
from vmtui.units import MIB

_TEXT_MAGIC = b"# Disk DescriptorFile"
_SPARSE_MAGIC = b"KDMV"
_LIMIT_BYTES = MIB

# No stricter than QEMU's own reading of it (block/vmdk.c), which does not wait for the last quote.
_PARENT = re.compile(r"(?i)parentFileNameHint|parentCID\s*=\s*(?!ffffffff)\w")
_EXTENT = re.compile(r'(?m)^[ \t\r\v\f]*RW\s+\S+\s+(?P<kind>\S+)(?:\s+"(?P<file>[^"\r\n]*))?')
_KINDS = frozenset({"SPARSE", "FLAT", "ZERO", "VMFS", "VMFSSPARSE", "SESPARSE"})


def check(path: Path, offset_bytes: int = 0, *, alone: bool = False) -> tuple[Path, ...]:
    """The further files of the VMDK at `path`, each plain and in its folder. Blocks.

    QEMU would open whatever is named there. `alone`: there must be none, as in an archive.
    Raises InputError naming what is wrong.
    """
    descriptor = _descriptor(path, offset_bytes)
    if descriptor is None:
        return ()
    if _PARENT.search(descriptor):
        raise InputError(
            f"{path} leans on another file",
            why="it holds only what differs from its parent, such as a snapshot does",
            hint="Remove the VM's snapshots (consolidate its disks) first, or export it.",
        )
    names = [match["file"] or "" for match in _EXTENT.finditer(descriptor)]
    kinds = {match["kind"] for match in _EXTENT.finditer(descriptor)}
    files = [name for name in names if name]
    if alone and files:
        raise InputError(
            f"{path} is refused", why=f"a disk in it is split, with parts such as {files[0]!r}"
        )
    if not kinds <= _KINDS:
        raise InputError(f"{path} is refused", why=f"it is made of {', '.join(kinds - _KINDS)}")
    return tuple(_beside(path, name) for name in files)


def _descriptor(path: Path, offset_bytes: int) -> str | None:
    """The descriptor that QEMU obeys; None where it takes the extent itself for all there is."""
    head = read_piece(path, offset_bytes, SECTOR_BYTES)
    if head.startswith(_TEXT_MAGIC):
        return _text(path, offset_bytes, _LIMIT_BYTES)
    if not head.startswith(_SPARSE_MAGIC):
        return None
    capacity, at, count = (int.from_bytes(head[i : i + 8], "little") for i in (12, 28, 36))
    if not at:
        return None
    text = _text(path, offset_bytes + at * SECTOR_BYTES, min(count * SECTOR_BYTES, _LIMIT_BYTES))
    # With a capacity the extents in it are only this file itself, under the name it once had.
    return text if capacity == 0 else _EXTENT.sub("", text)


def _text(path: Path, offset_bytes: int, count_bytes: int) -> str:
    return read_piece(path, offset_bytes, count_bytes).partition(b"\0")[0].decode("latin-1")


def _beside(path: Path, name: str) -> Path:
    if "/" in name or "\\" in name or ":" in name or name in ("", ".", ".."):
        raise InputError(f"{path} is refused", why=f"its part {name!r} is not a file beside it")
    part = path.parent / name
    if not is_file(part) or part.is_symlink():
        raise InputError(
            f"{path} is not whole",
            why=f"its part {name!r} is not there",
            hint="Copy all its parts into one folder.",
        )
    check(part, alone=True)
    return part
