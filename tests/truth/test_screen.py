"""What is on a guest's screen is what comes back, and keys that are sent are what it gets."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from pathlib import Path

import PIL.Image  # noqa: F401 (the first import holds everything up, and is not what is tested)
import pytest

from tests.contract.cases import until
from tests.guest import screen
from tests.guest.screen import ScreenGuest
from tests.truth.rigs import Rig
from tests.xkb import typed
from vmtui.backends.base import no_progress
from vmtui.backends.ways_in import Displays
from vmtui.displaying import TYPING_HOLD_MS
from vmtui.keyboards import text_to_keys
from vmtui.picture import Picture
from vmtui.widgets.framing import Framing

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("no_stalls")]

TEXTS = {
    "us": "cat > ~/.conf <<'EOF'\n$PATH {\"a\": [1|2]}\tEOF\n",
    "gb": '£5 | \\ @ # ~ "¬"',
    "de": "Öffne ^ die Tür: {[€@]} \\ ~ µ é À",
    "fr": "Où est le garçon ? âgé; l'ï @ # {}",
}
SCAN_CODES = defaultdict(lambda: 2, alt_r=4)
"""Bytes of a key that goes down and up."""


@pytest.fixture
async def guest(rig: Rig, tmp_path: Path) -> AsyncIterator[ScreenGuest]:
    """The guest with known screens, ready for keys."""
    vm = await rig.backend.create(screen.spec("screen", screen.built(tmp_path)), no_progress)
    async with ScreenGuest(rig.backend, vm).running() as running:
        yield running


async def shows(guest: ScreenGuest, picture: Picture) -> None:
    """The screen becomes `picture`, each pixel of it."""
    displays = guest.backend
    assert isinstance(displays, Displays)

    async def reached() -> bool:
        return await displays.picture(guest.vm) == picture

    await until(reached, what="the known picture is on the screen")


async def test_pictures_and_keys_are_the_guests_own(guest: ScreenGuest) -> None:
    displays = guest.backend
    assert isinstance(displays, Displays)
    await shows(guest, screen.text_screen())
    await displays.press(guest.vm, ["f2"])
    await shows(guest, screen.graphics_screen())
    picture = await displays.picture(guest.vm)
    shown = await asyncio.to_thread(Framing().shown, picture, 40, 13)
    assert shown.rows == screen.graphics_cells()
    await displays.press(guest.vm, ["ctrl", "alt", "delete"])
    assert await guest.sent(10) == [
        *(0x3C, 0xBC),
        *(0x1D, 0x38, 0xE0, 0x53, 0xE0, 0xD3, 0xB8, 0x9D),
    ]
    for layout, text in TEXTS.items():
        guest.forget()
        chords = text_to_keys(text, layout)
        for keys in chords:
            await displays.press(guest.vm, keys, hold_ms=TYPING_HOLD_MS)
        await guest.sent(sum(SCAN_CODES[key] for keys in chords for key in keys))
        assert typed(layout, guest.codes) == text
