"""vmtui on this user's own VMs, with its event loop under observation.

Run by `console_screen` on a terminal of its own: `python -m benchmarks.observed_console REPORT`.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from pathlib import Path
from typing import Any

from rich.console import RenderableType
from textual.screen import Screen

from benchmarks.observed import Observer
from vmtui import app
from vmtui.app import VmtuiApp
from vmtui.backends.base import Endpoint
from vmtui.backends.kvm.backend import KvmBackend
from vmtui.config import Config
from vmtui.fleet import Fleet


class Counted(VmtuiApp):
    """Counts what it writes to the terminal."""

    CSS_PATH = str(Path(app.__file__).with_name("app.tcss"))
    frames = 0

    def _display(self, screen: Screen[Any], renderable: RenderableType | None) -> None:
        self.frames += 1
        super()._display(screen, renderable)


async def session(report: Path) -> None:
    """The interface until it is told to end; then the report is written."""
    observer = Observer()
    fleet = Fleet([Endpoint(KvmBackend(), "kvm")])
    counted = Counted(fleet, Config())
    heart = asyncio.create_task(observer.beat())
    began_s = time.monotonic()

    def end() -> None:
        heart.cancel()
        frames_per_s = counted.frames / (time.monotonic() - began_s)
        report.write_text(json.dumps({**observer.report(), "frames_per_s": frames_per_s}))
        counted.exit()

    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, end)
    try:
        await counted.run_async()
    finally:
        await fleet.close()


if __name__ == "__main__":
    asyncio.run(session(Path(sys.argv[1])))
