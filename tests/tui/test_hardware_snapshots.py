"""Pictures of what is configured from the terminal, at two sizes, with time standing still."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from textual.pilot import Pilot

from tests.tui.support import FIXED_CLOCK, until, whole
from tests.tui.test_snapshots import Compare, Hands, past, still_app
from vmtui.backends.demo import DemoBackend

SIZES = [(80, 24), (120, 40)]

SCREENS = {
    "hardware": ("web-01", ("m",), "takes effect"),
    "hardware-pane": ("win11", ("tab", "tab", "tab"), "vCPUs 4"),
    "editing": ("web-01", ("m", "2", "enter"), "Enter shows what it would do"),
    "plan": ("web-01", ("m", "2", "enter", "8", "enter"), "do it"),
    "memory": ("web-01", ("b", "left"), "guest uses"),
    "tpm": ("win11", ("t",), "took ownership"),
    "cpus": ("postgres", ("K",), "node 1"),
    "isolation": ("pihole", ("B",), "page sharing"),
    "delete": ("win11", ("X",), "TPM state"),
}
"""Which VM, which keys (each once the one before was taken), and what is on the screen then."""

WAITED_FOR = {"m": "takes effect", "b": "ceiling", "enter": "Enter shows"}


@pytest.fixture
async def _debug() -> None:
    """The snapshot runs a loop of its own."""


@pytest.fixture
def frozen(monkeypatch: pytest.MonkeyPatch) -> Hands:
    hands = Hands()
    clock = SimpleNamespace(time=FIXED_CLOCK.unix_s, monotonic=hands)
    monkeypatch.setattr("vmtui.backends.demo.time", clock)
    monkeypatch.setattr("vmtui.boot_time.unix_s", FIXED_CLOCK.unix_s)
    return hands


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", SCREENS)
def test_configuring(
    snap_compare: Compare, frozen: Hands, size: tuple[int, int], name: str
) -> None:
    app = still_app(frozen, DemoBackend(clock=frozen))
    vm, keys, there = SCREENS[name]

    async def before(pilot: Pilot[None]) -> None:
        await past(app, frozen, pilot)
        place = [row.vm.name for row in app.dashboard.table.rows.shown].index(vm)
        app.dashboard.table.action_cursor_to(place)
        for place, key in enumerate(keys):
            await pilot.press(key)
            seen = WAITED_FOR.get(key)
            if seen and place + 1 < len(keys):
                await until(pilot, lambda seen=seen: seen in whole(app))  # type: ignore[misc]
        await until(pilot, lambda: there in whole(app))
        await pilot.pause()

    assert snap_compare(app, terminal_size=size, run_before=before)
