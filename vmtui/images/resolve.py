"""From what a user names as an image to what it is: micro, none, one by its name, or a file."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from vmtui.deferred import deferred
from vmtui.errors import UnsupportedError
from vmtui.files import at_home
from vmtui.images.library import Image, ImageKind, Library, no_such_image
from vmtui.spec import BLANK, MICRO, Boot, BootKind

if TYPE_CHECKING:
    from vmtui.images import catalogue, content
    from vmtui.images.catalogue import Entry
else:
    catalogue, content = deferred("vmtui.images", "catalogue", "content")


async def resolve(image: str, library: Library | None = None) -> Boot:
    """The image called `image`: `micro`, `none`, one of the library or the catalogue, or a path.

    One of the catalogue that is not in the library yet has no path: `obtain.ready` brings it.
    Raises InputError when it is missing, unreadable, no image, of a format that its name denies,
    or leans on other files; MissingError without qemu-img.
    """
    if image in ("", BootKind.MICRO.value):
        return MICRO
    if image == BootKind.NONE.value:
        return BLANK
    if "/" not in image:
        named = await asyncio.to_thread(_named, image, library or Library())
        if named is not None:
            return named
    return await content.examine(await asyncio.to_thread(_absolute, image))


def boot_from(image: Image) -> Boot:
    """How to boot from an image of the library. Raises UnsupportedError."""
    if image.kind is ImageKind.KERNEL:
        kernel = Boot(BootKind.KERNEL, image.path, image.format, image=image.name)
        return _described(replace(kernel, initrd=image.initrd, append=image.append), image)
    if image.kind not in (ImageKind.CLOUD, ImageKind.DISK, ImageKind.ISO):
        raise UnsupportedError(f"a VM can't be made from {image.name}: it is a {image.kind}")
    return _described(
        Boot(_kind(image.kind), image.path, image.format, image.virtual_size_bytes, image.name),
        image,
    )


def _named(name: str, library: Library) -> Boot | None:
    image = library.find(name)
    if image is not None:
        return boot_from(image)
    entries = catalogue.catalogue()
    if name in entries:
        return _to_come(entries[name])
    if not _absolute(name).exists():
        raise no_such_image(name, sorted({*entries, *(i.name for i in library.images())}))
    return None


def _to_come(entry: Entry) -> Boot:
    entry.origin(catalogue.host_arch())
    size_bytes = entry.disk_minimum_bytes
    return _described(
        Boot(_kind(entry.kind), virtual_size_bytes=size_bytes, image=entry.name), entry
    )


def _described(boot: Boot, image: Image | Entry) -> Boot:
    """With what is known of an image beside its disk."""
    return replace(
        boot,
        cloud=image.kind is ImageKind.CLOUD,
        user=image.user,
        firmware=image.firmware,
        disk_minimum_bytes=image.disk_minimum_bytes,
        memory_minimum_bytes=image.memory_minimum_bytes,
    )


def _kind(kind: ImageKind) -> BootKind:
    return BootKind.ISO if kind is ImageKind.ISO else BootKind.DISK


def _absolute(image: str) -> Path:
    return at_home(image).absolute()
