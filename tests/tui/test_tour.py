"""A tour of every screen: the event loop is never held up, and nothing is left behind."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from textual import events

from tests.tui.support import point, press, running, until
from vmtui.backends.demo import DemoBackend

HELD_UP_S = 0.5
"""CPU time of one callback. How smooth the interface is depends on the machine and is measured by
`make bench`; beyond this something computes that has no business on the event loop anywhere."""

WAITED_S = 5.0
"""Wall time of one callback: beyond this something waited on the event loop, however busy the
machine is."""

TOUR = (
    # Of the VM that is pointed at.
    ("m", "j", "escape"),
    ("b", "escape"),
    ("t", "escape"),
    ("f", "escape"),
    ("K", "escape"),
    ("B", "escape"),
    ("D", "escape"),
    # Of all.
    ("j", "k", "G", "g", "ctrl+d", "ctrl+u"),
    ("greater_than_sign", "greater_than_sign", "exclamation_mark", "less_than_sign"),
    ("slash", "w", "e", "b", "escape"),
    ("space", "asterisk", "escape"),
    ("tab", "tab", "tab", "tab", "tab"),
    ("enter", "tab", "tab", "tab", "j", "k", "escape"),
    ("1", "2", "3", "4", "5", "1"),
    ("i", "escape"),
    ("o", "escape"),
    ("y", "escape"),
    ("I", "escape"),
    ("Z", "escape"),
    ("question_mark", "j", "escape"),
    ("T", "escape"),
    ("at", "escape"),
    ("H", "escape"),
    ("n", "x", "tab", "escape"),
    ("ctrl+t",),
)


@pytest.fixture
async def _debug() -> None:
    """Debug mode itself costs more than what is measured here."""


class Worst:
    """The callback that held up the loop longest, in CPU time: other programs don't count."""

    cpu_s = 0.0
    wall_s = 0.0
    what = ""


@contextmanager
def measured(worst: Worst, now: list[str]) -> Iterator[None]:
    """What asyncio's debug mode measures, without what it costs."""
    run = asyncio.Handle._run

    def timed(handle: asyncio.Handle) -> None:
        cpu_s, wall_s = time.thread_time(), time.monotonic()
        run(handle)
        cpu_s, wall_s = time.thread_time() - cpu_s, time.monotonic() - wall_s
        if cpu_s > worst.cpu_s:
            worst.cpu_s, worst.what = cpu_s, f"{now[0]}: {handle!r}"
        worst.wall_s = max(worst.wall_s, wall_s)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asyncio.Handle, "_run", timed)
        yield


async def test_the_tour_never_holds_up_the_loop() -> None:
    """Here with many VMs; with few, of every backend, it is in the contract."""
    async with running(DemoBackend("demo:?vms=1000"), size=(120, 40)) as (app, pilot):
        await point(pilot, app, "web-01")
        worst, now = Worst(), [""]
        with measured(worst, now):
            for keys in TOUR:
                now[0] = " ".join(keys)
                await press(pilot, *keys)
                await until(pilot, lambda: app.screen is app.dashboard)
        assert worst.cpu_s < HELD_UP_S, worst.what
        assert worst.wall_s < WAITED_S, worst.what
        assert app.screen is app.dashboard


ASKS = frozenset({"configuring", "console", "actions", "create", "images"})
"""The groups of workers that open what was asked for."""


ALL = tuple(key for keys in TOUR for key in keys)


@pytest.mark.parametrize("keys", [*TOUR, ALL], ids=lambda keys: " ".join(keys)[:30])
async def test_esc_leaves_also_what_is_not_on_the_screen_yet(keys: tuple[str, ...]) -> None:
    async with running(DemoBackend("demo:")) as (app, pilot):
        await point(pilot, app, "web-01")
        for key in keys:  # all before the first of them is looked at
            app.post_message(events.Key(key, None))
        await pilot.pause()
        await until(pilot, lambda: not any(w.is_running and w.group in ASKS for w in app.workers))
        await until(pilot, lambda: app.screen is app.dashboard)
        await until(pilot, lambda: not app.dashboard.is_held)
        assert app.screen is app.dashboard
