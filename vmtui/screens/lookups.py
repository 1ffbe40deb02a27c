"""What the form for a new VM has to look up: presets, images, the user's keys."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from vmtui import presets
from vmtui.errors import VmtuiError
from vmtui.own_keys import own_keys
from vmtui.recipe import Recipe
from vmtui.shelf import Offer, Shelf

NO_PRESET = ""


@dataclass
class Lookups:
    """All of it; empty until `look` has ended."""

    presets: dict[str, Recipe] = field(default_factory=lambda: {NO_PRESET: Recipe()})
    own_keys: tuple[str, ...] = ()
    offers: tuple[Offer, ...] = ()
    failed: list[VmtuiError] = field(default_factory=list)

    async def look(self, shelf: Shelf) -> None:
        """What fails costs itself only."""
        self.own_keys = await own_keys()
        for name in await asyncio.to_thread(presets.names):
            try:
                self.presets[name] = (await asyncio.to_thread(presets.preset, name)).recipe
            except VmtuiError as error:
                self.failed.append(error)
        try:
            self.offers = await shelf.offers()
        except VmtuiError as error:
            self.failed.append(error)

    def offer(self, image: str) -> Offer | None:
        """The image of that name."""
        return next((offer for offer in self.offers if offer.name == image.strip()), None)

    @property
    def preset_options(self) -> list[tuple[str, str]]:
        """For a choice: values and words."""
        return [(name, name or "none") for name in self.presets]
