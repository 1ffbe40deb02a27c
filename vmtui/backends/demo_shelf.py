"""Images of the demo: a few that are here, a few to pull, none of them real."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from vmtui.errors import InputError, RefusedError
from vmtui.images.image import ImageKind
from vmtui.progress import Progress, ProgressSink
from vmtui.shelf import Offer
from vmtui.spec import Boot, BootKind
from vmtui.units import GIB, MIB

_OFFERS = (
    Offer("debian-12", ImageKind.CLOUD, True, "Debian 12 (bookworm)", 3 * GIB, "amd64", "debian"),
    Offer("debian-13", ImageKind.CLOUD, True, "Debian 13 (trixie)", 3 * GIB, "amd64", "debian"),
    Offer("virtio-win", ImageKind.ISO, True, "Drivers for Windows", 708 * MIB),
    Offer("alpine-3.22", ImageKind.CLOUD, False, "Alpine Linux 3.22", 178 * MIB, "amd64", "alpine"),
    Offer("fedora-42", ImageKind.CLOUD, False, "Fedora Cloud 42", 508 * MIB, "amd64", "fedora"),
    Offer("freebsd-14.3", ImageKind.CLOUD, False, "FreeBSD 14.3", 626 * MIB, "amd64", "freebsd"),
    Offer("ubuntu-24.04", ImageKind.CLOUD, False, "Ubuntu 24.04 LTS", 592 * MIB, "amd64", "ubuntu"),
)  # fmt: skip

_PARTS = 20
_PART_S = 0.05


class DemoShelf:
    """Pulling one takes a second and costs nothing."""

    def __init__(self) -> None:
        self._offers = {offer.name: offer for offer in _OFFERS}

    async def offers(self) -> tuple[Offer, ...]:
        """What is here first."""
        return tuple(sorted(self._offers.values(), key=lambda offer: (not offer.here, offer.name)))

    async def resolve(self, image: str) -> Boot:
        """By name; paths are real."""
        offer = self._offers.get(image)
        if offer is None:
            from vmtui.images.resolve import resolve  # noqa: PLC0415

            return await resolve(image)
        iso = offer.kind is ImageKind.ISO
        return Boot(
            BootKind.ISO if iso else BootKind.DISK,
            None,
            "raw" if iso else "qcow2",
            offer.size_bytes if offer.here else None,
            image=offer.name,
            cloud=offer.kind is ImageKind.CLOUD,
            user=offer.user,
            memory_minimum_bytes=512 * MIB,
        )

    async def ready(self, boot: Boot, progress: ProgressSink) -> Boot:
        """Pulled if need be."""
        if boot.image in self._offers and not self._offers[boot.image].here:
            await self.pull(boot.image, progress)
            return await self.resolve(boot.image)
        return boot

    async def pull(self, name: str, progress: ProgressSink) -> None:
        """Pretend to."""
        offer = self._offer(name)
        for part in range(_PARTS):
            done = part / _PARTS
            progress(Progress(f"pulling {name}, 40 MB/s, {_PARTS - part} s left", done, "image"))
            await asyncio.sleep(_PART_S)
        self._offers[name] = replace(offer, here=True, size_bytes=3 * GIB)

    async def remove(self, name: str, in_use: Sequence[str]) -> None:
        """It is one of the catalogue again."""
        if in_use:
            raise RefusedError(
                f"the image {name} is in use", why=f"disks of {', '.join(in_use)} lean on it"
            )
        self._offers[name] = replace(self._offer(name), here=False, size_bytes=508 * MIB)

    async def verify(self, name: str, progress: ProgressSink) -> None:
        """It is as it was."""
        self._offer(name)
        progress(Progress("computing its SHA-256", 0.5))
        await asyncio.sleep(_PART_S)

    def _offer(self, name: str) -> Offer:
        if name not in self._offers:
            raise InputError(f"there is no image {name!r}")
        return self._offers[name]
