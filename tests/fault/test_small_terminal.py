"""A terminal of any size, however small: something is drawn, or nothing, but nothing raises."""

from __future__ import annotations

import pytest

from tests.tui.support import running

SIZES = (
    *((columns, 24) for columns in (1, 2, 3, 4, 5, 6, 8, 12, 20)),
    *((100, rows) for rows in (1, 2, 3, 4, 6, 10)),
    *((1, 1), (3, 2), (300, 90)),
)
SCREENS = {
    "dashboard": ("j", "j", "j"),
    "VM": ("enter",),
    "host": ("k", "enter"),
    "console": ("c",),
    "help": ("question_mark",),
    "making": ("n",),
    "images": ("I",),
    "hardware": ("m",),
    "memory": ("b",),
    "palette": ("ctrl+p",),
}


@pytest.mark.parametrize("keys", SCREENS.values(), ids=SCREENS)
async def test_any_size_is_drawn(keys: tuple[str, ...]) -> None:
    async with running(size=(100, 30)) as (_, pilot):
        await pilot.press(*keys)
        for size in SIZES:
            await pilot.resize_terminal(*size)
        await pilot.resize_terminal(100, 30)
