"""Disk images from outside: looked at before anything opens them, and found usable or refused."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from vmtui.errors import InputError
from vmtui.images import vmdk
from vmtui.images.formats import DISK_FORMATS, SECTOR_BYTES, is_vhd_difference, probe
from vmtui.images.qemu_img import Info, Source, info
from vmtui.spec_problems import DISK_MAXIMUM_BYTES
from vmtui.units import size

# What an ending promises. `.img` promises nothing: cloud images under it are raw or qcow2.
_PROMISES = {
    ".qcow2": "qcow2",
    ".raw": "raw",
    ".vmdk": "vmdk",
    ".vdi": "vdi",
    ".vhdx": "vhdx",
    ".vhd": "vpc",
    ".iso": "iso",
}
_RAW_ENDINGS = (".raw", ".img")


@dataclass(frozen=True, slots=True)
class Disk:
    """A disk image that can be used: where it is, and what it says of itself."""

    source: Source
    info: Info
    parts: tuple[Path, ...] = ()  # the further files of one that is split


async def look(
    path: Path, *, name: str = "", offset_bytes: int = 0, size_bytes: int | None = None
) -> Disk:
    """The disk image at `path`, or a piece of it that is called `name` (a disk in an archive).

    Raises InputError when it is unreadable, no disk, of a format that its name denies, or leans
    on files that it has no business with; MissingError without qemu-img.
    """
    # In a thread: a file on a network mount that hangs must not hold up the interface.
    source, parts = await asyncio.to_thread(_found, path, name, offset_bytes, size_bytes)
    said = await info(source)
    if said.leans_on:
        raise InputError(
            f"{path} leans on another file, {said.leans_on!r}",
            why="an image from outside could name any file of this machine there",
            hint="If you trust it, make it whole first: qemu-img convert -O qcow2 OLD NEW.",
        )
    extents = {Path(extent) for extent in said.extents if size_bytes is None}
    if not extents <= {source.path, *parts}:
        raise InputError(f"{path} points to another place", why="that is not followed")
    if said.virtual_size_bytes > DISK_MAXIMUM_BYTES:
        raise InputError(
            f"{path} is refused", why=f"it says that it has {size(said.virtual_size_bytes)}"
        )
    return Disk(source, said, parts)


def _found(
    path: Path, name: str, offset_bytes: int, size_bytes: int | None
) -> tuple[Source, tuple[Path, ...]]:
    path = path.absolute()
    found = probe(path, offset_bytes, size_bytes)
    whole_bytes = path.stat().st_size if size_bytes is None else size_bytes
    called = PurePosixPath(name or path.name)
    image_format = disk_format(found, called, whole_bytes)
    if image_format == "vpc" and is_vhd_difference(path, offset_bytes):
        raise InputError(
            f"{called} leans on another file",
            why="it holds only what differs from its parent",
            hint="Merge it into its parent first.",
        )
    parts: tuple[Path, ...] = ()
    if image_format == "vmdk":
        parts = vmdk.check(path, offset_bytes, alone=size_bytes is not None)
    return Source(path, image_format, offset_bytes, size_bytes), parts


def disk_format(found: str, called: PurePosixPath, file_bytes: int) -> str:
    """QEMU's name for what was found in a file that is `called` so; InputError if it is no disk."""
    if file_bytes == 0:
        raise InputError(f"{called} is empty", hint="Was the download cut off?")
    suffix = called.suffix.lower()
    promised = _PROMISES.get(suffix)
    # What has no magic is raw only if it can be a disk: whole sectors, with a boot signature or a
    # GPT (which `probe` sees), or at least a name that says so.
    raw = file_bytes % SECTOR_BYTES == 0 and (found == "raw" or suffix in _RAW_ENDINGS)
    image_format = "raw" if not found and raw else found
    if image_format not in DISK_FORMATS or (image_format == "raw" and not raw):
        if promised:
            raise InputError(
                f"{called} is not a {promised} image",
                why="its content does not start like one, whatever its name says",
                hint="Was the download cut off, or is it an error page?",
            )
        raise InputError(
            f"{called} is not a disk image",
            why="it has no image header, partition table or boot sector",
            hint="A raw disk without them has to be named .raw or .img.",
        )
    check_promise(called.name, image_format)
    return image_format


def check_promise(name: str, found: str) -> None:
    """Raise InputError if a file's name denies what was found in it."""
    suffix = PurePosixPath(name).suffix.lower()
    promised = _PROMISES.get(suffix)
    if not found or promised in (None, found) or (promised, found) == ("raw", "iso"):
        return
    raise InputError(
        f"{name} is named {suffix} but its content is {found}",
        why="a guest that owned the file as a raw disk could have written that header",
        hint=f"If you trust it, rename it to end in .{found}.",
    )
