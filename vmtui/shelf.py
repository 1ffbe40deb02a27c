"""Images as the interface and the commands see them: library and catalogue in one list."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from vmtui.images.image import ImageKind
from vmtui.progress import ProgressSink
from vmtui.spec import Boot


@dataclass(frozen=True, slots=True)
class Offer:
    """One image to choose: here already, or in the catalogue. What is None is not known."""

    name: str
    kind: ImageKind
    here: bool
    title: str = ""
    size_bytes: int | None = None  # of the guest's disk; of one to pull as far as is known
    arch: str = ""
    user: str = ""
    source: str = ""

    def matches(self, words: Sequence[str]) -> bool:
        """Whether all words are in its name or title, in any case of letters."""
        text = f"{self.name} {self.title}".lower()
        return all(word.lower() in text for word in words)


class Shelf(Protocol):
    """Where images come from. Raises only from `vmtui.errors`; never blocks the event loop."""

    async def offers(self) -> tuple[Offer, ...]:
        """All images: those that are here first, then by name."""
        ...

    async def resolve(self, image: str) -> Boot:
        """What `image` is: `micro`, `none`, a name of the list, or a path. Pulls nothing."""
        ...

    async def ready(self, boot: Boot, progress: ProgressSink) -> Boot:
        """The same with its image here: pulled now if it was not."""
        ...

    async def pull(self, name: str, progress: ProgressSink) -> None:
        """Bring an image of the catalogue here."""
        ...

    async def remove(self, name: str, in_use: Sequence[str]) -> None:
        """Delete one; refused while VMs (`in_use`) lean on it."""
        ...

    async def verify(self, name: str, progress: ProgressSink) -> None:
        """Compare one with its checksum."""
        ...
