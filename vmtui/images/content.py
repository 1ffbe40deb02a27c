"""What can be booted from a file, by its content: an ISO, or a disk image that is whole."""

from __future__ import annotations

import asyncio
from pathlib import Path

from vmtui.errors import InputError
from vmtui.images.disks import check_promise, look
from vmtui.images.formats import PACKINGS, kernel_arch, probe
from vmtui.spec import Boot, BootKind


async def examine(path: Path) -> Boot:
    """What to boot from the file at `path`.

    Raises InputError when it is missing, unreadable, no image, of a format that its name denies,
    or leans on other files; MissingError without qemu-img.
    """
    # In a thread: a file on a network mount that hangs must not hold up the interface.
    iso_bytes = await asyncio.to_thread(_iso_bytes, path)
    if iso_bytes:
        return Boot(BootKind.ISO, path, "raw", iso_bytes)
    disk = await look(path)
    return Boot(BootKind.DISK, path, disk.source.format, disk.info.virtual_size_bytes)


def _iso_bytes(path: Path) -> int:
    """The size of an ISO; 0 for what may be a disk."""
    try:
        file_bytes = path.stat().st_size
    except FileNotFoundError as error:
        raise InputError(
            f"there is no image {str(path)!r}",
            hint="Give micro, none, one of `vmtui images list`, or the path of a file.",
        ) from error
    except OSError as error:
        raise InputError(f"the image {path} can't be read", why=error.strerror or "") from error
    found = probe(path)
    if found in PACKINGS.values():
        raise InputError(
            f"{path} is compressed with {found}",
            hint=f"Import it, which unpacks it: vmtui images import {path}",
        )
    if kernel_arch(path):
        raise InputError(
            f"{path} is a kernel",
            hint=f"Import it: vmtui images import {path} --initrd FILE --append CMDLINE",
        )
    if found != "iso":
        return 0
    check_promise(path.name, found)
    return file_bytes
