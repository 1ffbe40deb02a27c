"""An image on its way from the catalogue into the library: downloaded, verified, unpacked, kept."""

from __future__ import annotations

import asyncio
import os
import shutil
from dataclasses import replace
from pathlib import Path

from vmtui.errors import OperationError
from vmtui.files import not_writable
from vmtui.images.catalogue import Entry, host_arch
from vmtui.images.checksums import digest
from vmtui.images.content import examine
from vmtui.images.download import FILE_LIMIT_BYTES, Download, Downloads
from vmtui.images.formats import PACKINGS, probe
from vmtui.images.image import Image, ImageKind
from vmtui.images.library import Library
from vmtui.images.trust import Expected, expected
from vmtui.images.unpack import unpack
from vmtui.progress import Progress, ProgressSink
from vmtui.spec import Boot, BootKind
from vmtui.whole import whole_in_thread


async def pull(
    entry: Entry, library: Library, downloads: Downloads | None, progress: ProgressSink
) -> Image:
    """The image of `entry` in the library: all of it, or nothing. Raises as `obtain` does."""
    downloads = downloads or Downloads()
    origin = entry.origin(host_arch())
    async with downloads.of(origin.url, progress) as download:
        image = await asyncio.to_thread(library.find, entry.name)
        if image is not None:  # whoever downloaded it before us has brought it
            return image
        progress(Progress(f"asking for {entry.title}"))
        wanted = await expected(origin, downloads)
        await _fetch(download, origin.algorithm, wanted, progress)
        async with library.scratch() as folder:
            file = await _whole(download.path, folder / origin.file_name, progress)
            boot = await examine(file)
            if (boot.kind is BootKind.ISO) != (entry.kind is ImageKind.ISO):
                raise OperationError(f"{origin.url} is not a {entry.kind} image")
            image = _image(entry, boot, wanted)
            if origin.algorithm == "sha256" and file.name == origin.file_name:
                image = replace(image, sha256=wanted.sum)
            image = await library.add(image, progress)
        await asyncio.to_thread(download.discard)
        return image


def _image(entry: Entry, boot: Boot, wanted: Expected) -> Image:
    arch = host_arch()
    assert boot.path is not None
    return Image(
        name=entry.name,
        kind=entry.kind,
        path=boot.path,
        format=boot.format or "raw",
        virtual_size_bytes=boot.virtual_size_bytes or 0,
        sha256="",
        title=entry.title,
        source=entry.origin(arch).url,
        checked=wanted.because,
        arch=arch,
        user=entry.user,
        firmware=entry.firmware,
        serial_console=entry.serial_console,
        disk_minimum_bytes=entry.disk_minimum_bytes,
        memory_minimum_bytes=entry.memory_minimum_bytes,
    )


async def _fetch(
    download: Download, algorithm: str, wanted: Expected, progress: ProgressSink
) -> None:
    """All of the file, verified."""
    # What was here before may be of an image that has been replaced since: that is no deceit.
    for begun in (download.have_bytes() > 0, False):
        await download.fetch(progress)
        found = await digest(download.path, algorithm, progress)
        if found == wanted.sum:
            return
        await asyncio.to_thread(download.discard)
        if not begun:
            break
    raise OperationError(
        f"{download.url} is not what its publisher says",
        why=f"its {algorithm} is {found}, and should be {wanted.sum}",
        hint="It was deleted. Try again; if it stays so, do not use it.",
    )


async def _whole(path: Path, target: Path, progress: ProgressSink) -> Path:
    """What was downloaded, unpacked if need be, at `target`; `path` stays as it is."""
    if await asyncio.to_thread(probe, path) in PACKINGS.values():
        target = target.with_suffix("") if target.suffix else target
        await unpack(path, target, limit_bytes=FILE_LIMIT_BYTES, progress=progress)
    else:
        progress(Progress("bringing it into the library"))
        await whole_in_thread(_link_or_copy, path, target)
    return target


def _link_or_copy(path: Path, target: Path) -> None:
    try:
        os.link(path, target)
    except OSError:  # another file system, or one without links
        try:
            shutil.copyfile(path, target)
        except OSError as error:
            raise not_writable(target.parent, error) from error
