"""Images by name: the library's, or pulled into it from where the catalogue says they are."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from vmtui.deferred import deferred
from vmtui.images.library import Image, Library, no_such_image
from vmtui.images.resolve import boot_from
from vmtui.progress import Progress, ProgressSink, no_progress
from vmtui.spec import Boot

if TYPE_CHECKING:
    from vmtui.images import catalogue
    from vmtui.images.catalogue import Entry
    from vmtui.images.download import Downloads
else:
    (catalogue,) = deferred("vmtui.images", "catalogue")

STAGE = "image"


async def ready(
    boot: Boot,
    progress: ProgressSink = no_progress,
    *,
    library: Library | None = None,
    downloads: Downloads | None = None,
) -> Boot:
    """`boot` with its image here: one that the catalogue has is pulled first."""
    if boot.path is not None or not boot.image:
        return boot
    image = await obtain(boot.image, progress, library=library, downloads=downloads)
    return boot_from(image)


async def obtain(
    name: str,
    progress: ProgressSink = no_progress,
    *,
    library: Library | None = None,
    downloads: Downloads | None = None,
) -> Image:
    """The library's image of that name, pulled from the catalogue if it is not there yet.

    All or nothing, also when cancelled; what was downloaded stays for the next try. Raises
    InputError, UnreachableError, OperationError, UnsupportedError, ConfigError.
    """
    library = library or Library()
    image = await asyncio.to_thread(library.find, name)
    if image is not None:
        return image
    entries = await asyncio.to_thread(catalogue.catalogue)
    if name not in entries:
        raise no_such_image(name, sorted({*entries, *(i.name for i in library.images())}))

    def staged(told: Progress) -> None:
        progress(Progress(told.text, told.fraction, STAGE))

    # What speaks HTTP takes long to import, and most images are here already.
    pull = await asyncio.to_thread(_import_pull)
    return await pull(entries[name], library, downloads, staged)


_Pull = Callable[["Entry", Library, "Downloads | None", ProgressSink], Awaitable[Image]]


def _import_pull() -> _Pull:
    from vmtui.images.pull import pull  # noqa: PLC0415

    return pull
