"""Pictures of the screens at three sizes, dark and light, with time standing still."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Protocol

import pytest
from textual.pilot import Pilot

from tests.tui.support import (
    FIXED_CLOCK,
    Emulated,
    Unreachable,
    fleet_of,
    nothing_missing,
    until,
    whole,
)
from vmtui.app import FleetChanged, VmtuiApp
from vmtui.backends.base import Backend
from vmtui.backends.demo import DemoBackend
from vmtui.config import Config
from vmtui.widgets.clock import Clock

SIZES = [(80, 24), (120, 40), (200, 60)]
SAMPLES = 60


class Compare(Protocol):
    """pytest-textual-snapshot's fixture."""

    def __call__(
        self,
        app: VmtuiApp,
        *,
        terminal_size: tuple[int, int],
        run_before: Callable[[Pilot[None]], Awaitable[None]],
    ) -> bool: ...


@dataclass
class Hands:
    """The hands of a clock that a test moves."""

    now_s: float = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
async def _debug() -> None:
    """The snapshot runs a loop of its own."""


@pytest.fixture
def frozen(monkeypatch: pytest.MonkeyPatch) -> Hands:
    """The demo's time, standing still."""
    hands = Hands()
    unix_s = FIXED_CLOCK.unix_s
    monkeypatch.setattr("vmtui.backends.demo.time", SimpleNamespace(time=unix_s, monotonic=hands))
    monkeypatch.setattr("vmtui.boot_time.unix_s", unix_s)
    return hands


def still_app(hands: Hands, *backends: Backend, theme: str = "vmtui-dark") -> VmtuiApp:
    clock = Clock(FIXED_CLOCK.unix_s, hands, FIXED_CLOCK.local)
    fleet = fleet_of(*backends, still=True)
    return VmtuiApp(fleet, Config(theme=theme), clock=clock, examine=nothing_missing)


async def past(app: VmtuiApp, hands: Hands, pilot: Pilot[None]) -> None:
    """A minute of samples, and the view that comes of them."""
    await app.fleet.connect()
    for connection in app.fleet.connections:
        if connection.up:
            await connection.load_host()
    for _ in range(SAMPLES):
        hands.now_s += 1
        for connection in app.fleet.connections:
            if connection.up:
                await connection.sample()
    app.post_message(FleetChanged(app.fleet.view()))
    await pilot.pause()


@pytest.mark.parametrize("theme", ["vmtui-dark", "vmtui-light"])
@pytest.mark.parametrize("size", SIZES)
def test_dashboard(snap_compare: Compare, frozen: Hands, size: tuple[int, int], theme: str) -> None:
    app = still_app(frozen, DemoBackend(clock=frozen), theme=theme)

    async def before(pilot: Pilot[None]) -> None:
        await past(app, frozen, pilot)
        await pilot.press("j", "space")
        await pilot.pause()

    assert snap_compare(app, terminal_size=size, run_before=before)


@pytest.mark.parametrize("size", SIZES)
def test_several_connections(snap_compare: Compare, frozen: Hands, size: tuple[int, int]) -> None:
    app = still_app(
        frozen,
        DemoBackend(clock=frozen),
        Emulated("demo:?host=vega&vms=3", clock=frozen),
        Unreachable("demo:?host=lab2", clock=frozen),
    )

    async def before(pilot: Pilot[None]) -> None:
        await past(app, frozen, pilot)

    assert snap_compare(app, terminal_size=size, run_before=before)


@pytest.mark.parametrize("size", SIZES)
def test_one_vm(snap_compare: Compare, frozen: Hands, size: tuple[int, int]) -> None:
    app = still_app(frozen, DemoBackend(clock=frozen))

    async def before(pilot: Pilot[None]) -> None:
        await past(app, frozen, pilot)
        await pilot.press("G", "enter")
        await pilot.pause()

    assert snap_compare(app, terminal_size=size, run_before=before)


LOOKED_UP = {
    "create": "alpine",
    "create-typed": "Enter takes debian-12",
    "create-unfolded": "CPU model",
    "images": "12 VMs",
}
"""By dialogs that look something up, what is on them then."""


@pytest.mark.parametrize("theme", ["vmtui-dark", "vmtui-light"])
@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("create", ("n",)),
        ("confirm", ("space", "j", "space", "X")),
        ("help", ("question_mark",)),
        ("connections", ("at",)),
        ("tasks", ("T",)),
        ("filter", ("slash", "w", "e", "b")),
        ("create-typed", ("n", "d", "e", "b")),
        ("create-unfolded", ("n", *["tab"] * 6, "space")),
        ("images", ("I",)),
    ],
)
def test_dialogs(
    snap_compare: Compare, frozen: Hands, name: str, keys: tuple[str, ...], theme: str
) -> None:
    app = still_app(frozen, DemoBackend(clock=frozen), theme=theme)

    async def before(pilot: Pilot[None]) -> None:
        await past(app, frozen, pilot)
        for key in keys:
            await pilot.press(key)
            if key == "n":  # what it lists is looked up
                await until(pilot, lambda: "alpine" in whole(app))
        await until(pilot, lambda: LOOKED_UP.get(name, "") in whole(app))
        await pilot.pause()
        for widget in app.screen.query("Input").results():
            widget.cursor_blink = False  # type: ignore[attr-defined]
        await pilot.pause()

    assert snap_compare(app, terminal_size=(80, 24), run_before=before)


@pytest.mark.parametrize("theme", ["vmtui-high-contrast", "vmtui-colour-blind", "ansi-dark"])
def test_other_themes(snap_compare: Compare, frozen: Hands, theme: str) -> None:
    app = still_app(frozen, DemoBackend(clock=frozen), theme=theme)

    async def before(pilot: Pilot[None]) -> None:
        await past(app, frozen, pilot)

    assert snap_compare(app, terminal_size=(120, 40), run_before=before)


def test_empty_start(snap_compare: Compare, frozen: Hands) -> None:
    app = still_app(frozen, DemoBackend("demo:?vms=0", clock=frozen))

    async def before(pilot: Pilot[None]) -> None:
        await past(app, frozen, pilot)

    assert snap_compare(app, terminal_size=(80, 24), run_before=before)


async def in_console(app: VmtuiApp, hands: Hands, pilot: Pilot[None], *names: str) -> None:
    """The consoles of some VMs, side by side if there are several."""
    await past(app, hands, pilot)
    for name in names:
        app.dashboard.point_at(app.fleet.find(name))
        await pilot.pause()
        if len(names) > 1:
            await pilot.press("space")
    await pilot.press("w" if len(names) > 1 else "c")
    for name in names:
        await until(pilot, lambda text=f"root@{name}:~#": text in whole(app))  # type: ignore[misc]


@pytest.mark.parametrize("size", SIZES)
def test_console(snap_compare: Compare, frozen: Hands, size: tuple[int, int]) -> None:
    app = still_app(frozen, DemoBackend(clock=frozen))

    async def before(pilot: Pilot[None]) -> None:
        await in_console(app, frozen, pilot, "web-01")
        await pilot.press(*"colours", "enter", *"ls", "enter")
        await until(pilot, lambda: "notes.txt" in whole(app))

    assert snap_compare(app, terminal_size=size, run_before=before)


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("commands", ("ctrl+backslash",)),
        ("help", ("ctrl+backslash", "question_mark")),
        ("list", ("ctrl+backslash", "c")),
        ("copy", ("ctrl+backslash", "left_square_bracket", "k", "k", "k", "0", "v", "w", "l")),
    ],
)
def test_console_keys(
    snap_compare: Compare, frozen: Hands, name: str, keys: tuple[str, ...]
) -> None:
    app = still_app(frozen, DemoBackend(clock=frozen))

    async def before(pilot: Pilot[None]) -> None:
        await in_console(app, frozen, pilot, "web-01")
        await pilot.press(*keys)
        await pilot.pause()

    assert snap_compare(app, terminal_size=(80, 24), run_before=before)


@pytest.mark.parametrize("size", SIZES)
def test_console_grid(snap_compare: Compare, frozen: Hands, size: tuple[int, int]) -> None:
    app = still_app(frozen, DemoBackend(clock=frozen))

    async def before(pilot: Pilot[None]) -> None:
        await in_console(app, frozen, pilot, "pihole", "router", "web-01", "win11")
        await pilot.press("ctrl+backslash", "b")
        await pilot.press(*"ls", "enter")
        await until(pilot, lambda: whole(app).count("notes.txt") == 4)
        await until(pilot, lambda: whole(app).count(":~#") == 8)

    assert snap_compare(app, terminal_size=size, run_before=before)


@pytest.mark.parametrize("theme", ["vmtui-light", "ansi-dark"])
def test_console_themes(snap_compare: Compare, frozen: Hands, theme: str) -> None:
    app = still_app(frozen, DemoBackend(clock=frozen), theme=theme)

    async def before(pilot: Pilot[None]) -> None:
        await in_console(app, frozen, pilot, "web-01")
        await pilot.press(*"colours", "enter")
        await until(pilot, lambda: "italic" in whole(app))

    assert snap_compare(app, terminal_size=(80, 24), run_before=before)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("tab", ["Console", "Screen"])
def test_tabs_of_guests(
    snap_compare: Compare, frozen: Hands, size: tuple[int, int], tab: str
) -> None:
    app = still_app(frozen, DemoBackend(clock=frozen))

    async def before(pilot: Pilot[None]) -> None:
        await past(app, frozen, pilot)
        app.dashboard.point_at(app.fleet.find("web-01"))
        await pilot.press(*(["tab"] if tab == "Console" else ["tab", "tab"]))
        wanted = "root@web-01:~#" if tab == "Console" else "640x400"
        await until(pilot, lambda: wanted in whole(app))

    assert snap_compare(app, terminal_size=size, run_before=before)
