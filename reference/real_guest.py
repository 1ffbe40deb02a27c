"""Draws the console of a real guest: what the README's first minute comes to."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from textual.pilot import Pilot

from vmtui.app import VmtuiApp
from vmtui.backends.registry import endpoints
from vmtui.config import Config
from vmtui.fleet import Fleet
from vmtui.model import Power
from vmtui.progress import no_progress
from vmtui.screens.console import ConsoleScreen
from vmtui.spec import VMSpec

PICTURE = Path(__file__).parents[1] / "docs" / "pictures" / "first-vm.svg"
SIZE = (86, 24)
PATIENCE_S = 60.0

SAID = (
    ("login:", "root"),
    ("Password:", "micro"),
    ("#", "uname -sr; free -m; ls /sys/class/net"),
)
"""What the guest asks, and what is answered."""


async def drawn() -> str:
    """The embedded console of a VM from the micro image, as SVG; nothing is left of the VM."""
    fleet = Fleet(endpoints(["kvm:"]))
    app = VmtuiApp(fleet, Config(theme="vmtui-dark"))
    async with app.run_test(size=SIZE) as pilot:
        await _until(pilot, lambda: fleet.connection("kvm:").up)
        ref = await fleet.create("kvm:", VMSpec("first"), no_progress)
        backend = fleet.backend(ref)
        try:
            await backend.power(ref.id, Power.START)
            await _until(pilot, lambda: len(app.dashboard.table.rows.shown) == 1)
            await pilot.press("c")
            await _until(pilot, lambda: isinstance(app.screen, ConsoleScreen))
            for asked, answer in SAID:
                await _until(pilot, partial(_ends_with, app, asked))
                await pilot.press(*({" ": "space"}.get(key, key) for key in answer), "enter")
            await _until(pilot, partial(_ends_with, app, SAID[-1][0]))
            return app.export_screenshot(title="vmtui")
        finally:
            await backend.delete(ref.id, await backend.delete_plan(ref.id))


def _ends_with(app: VmtuiApp, text: str) -> bool:
    assert isinstance(app.screen, ConsoleScreen)
    terminal = app.screen.front.terminal
    rows = ("".join(run.text for run in terminal.row(at)) for at in range(terminal.rows))
    return " ".join(rows).rstrip().endswith(text)


async def _until(pilot: Pilot[None], reached: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not reached():
            await pilot.pause(0.1)


def main() -> None:
    """Draw it anew, with VMs in folders of its own."""
    with tempfile.TemporaryDirectory(prefix="vmtui-") as folder:
        for variable in ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR", "XDG_STATE_HOME"):
            os.environ[variable] = folder
        PICTURE.write_text(asyncio.run(drawn()), "utf-8")


if __name__ == "__main__":
    main()
