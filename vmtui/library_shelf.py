"""The user's own library and the catalogue, as a shelf of images."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from vmtui.deferred import deferred
from vmtui.images.image import Image, ImageKind
from vmtui.images.library import Library
from vmtui.images.obtain import obtain, ready
from vmtui.images.resolve import resolve
from vmtui.progress import ProgressSink
from vmtui.shelf import Offer
from vmtui.spec import Boot

if TYPE_CHECKING:
    from vmtui.images import catalogue
    from vmtui.images.catalogue import Entry
else:
    (catalogue,) = deferred("vmtui.images", "catalogue")


class LibraryShelf:
    """What `vmtui images` works on, too."""

    def __init__(self, library: Library | None = None) -> None:
        self._library = library or Library()

    async def offers(self) -> tuple[Offer, ...]:
        """What is here first; of the catalogue only what this machine can run."""
        return await asyncio.to_thread(self._offers)

    def _offers(self) -> tuple[Offer, ...]:
        self._library.sweep()
        here = [_here(image) for image in self._library.images()]
        names = {offer.name for offer in here}
        arch = catalogue.host_arch()
        others = [
            _to_come(entry, arch)
            for entry in catalogue.catalogue().values()
            if arch in entry.origins and entry.name not in names
        ]
        return tuple(sorted(here + others, key=lambda offer: (not offer.here, offer.name)))

    async def resolve(self, image: str) -> Boot:
        """As on the command line."""
        return await resolve(image, self._library)

    async def ready(self, boot: Boot, progress: ProgressSink) -> Boot:
        """Pulled if need be."""
        return await ready(boot, progress, library=self._library)

    async def pull(self, name: str, progress: ProgressSink) -> None:
        """Download, verify, keep."""
        await obtain(name, progress, library=self._library)

    async def remove(self, name: str, in_use: Sequence[str]) -> None:
        """Delete it."""

        async def users() -> Sequence[str]:
            return in_use

        await self._library.remove(name, users)

    async def verify(self, name: str, progress: ProgressSink) -> None:
        """Compute its sum again."""
        await self._library.verify(name, progress)


def _here(image: Image) -> Offer:
    return Offer(
        name=image.name,
        kind=image.kind,
        here=True,
        title=image.title,
        size_bytes=image.virtual_size_bytes,
        arch=image.arch,
        user=image.user,
        source=image.source,
    )


def _to_come(entry: Entry, arch: str) -> Offer:
    return Offer(
        name=entry.name,
        kind=entry.kind,
        here=False,
        title=entry.title,
        size_bytes=entry.disk_minimum_bytes if entry.kind is not ImageKind.ISO else None,
        arch=arch,
        user=entry.user,
        source=entry.origin(arch).url,
    )
