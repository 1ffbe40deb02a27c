"""The interface on a recording: the same screens, and keys for where it is played."""

from __future__ import annotations

import asyncio
from pathlib import Path

from vmtui.actions import BY_ID
from vmtui.app import VmtuiApp, show
from vmtui.config import Config
from vmtui.recording import Recording
from vmtui.replay import ReplayFleet
from vmtui.screens.base import Check
from vmtui.widgets.clock import Clock


class ReplayApp(VmtuiApp):
    """vmtui on a recording; clocks and ages are those of the time that is replayed."""

    def __init__(self, fleet: ReplayFleet, config: Config) -> None:
        self.player = fleet.player
        clock = Clock(
            unix_s=lambda: self.player.unix_s,
            monotonic_s=lambda: self.player.position_s,
            local=self.player.local,
            note=self.player.text,
        )
        super().__init__(fleet, config, clock=clock, examine=_nothing)

    def on_mount(self) -> None:
        """Say which keys there are."""
        names = ("pause", "step_back", "step_on", "back_10s", "on_10s", "speed")
        keys = {name: self.context.key(BY_ID[f"replay_{name}"]) for name in names}
        self._notices.append(
            f"a recording: {keys['pause']} pauses, {keys['step_back']} {keys['step_on']} step, "
            f"{keys['back_10s']} {keys['on_10s']} 10 s, {keys['speed']} faster"
        )

    def view_replay_pause(self) -> None:
        """`P`."""
        self.player.toggle()

    def view_replay_step_on(self) -> None:
        """`.`."""
        self.player.step(+1)

    def view_replay_step_back(self) -> None:
        """`,`."""
        self.player.step(-1)

    def view_replay_on_10s(self) -> None:
        """`}`."""
        self.player.seek(+10)

    def view_replay_back_10s(self) -> None:
        """`{`."""
        self.player.seek(-10)

    def view_replay_on_1min(self) -> None:
        """`)`."""
        self.player.seek(+60)

    def view_replay_back_1min(self) -> None:
        """`(`."""
        self.player.seek(-60)

    def view_replay_begin(self) -> None:
        """`^`."""
        self.player.begin()

    def view_replay_end(self) -> None:
        """`$`."""
        self.player.end()

    def view_replay_speed(self) -> None:
        """`F`."""
        self.player.next_speed()


async def _nothing() -> tuple[Check, ...]:
    """A recording needs nothing of this machine."""
    return ()


def replay(path: Path, config: Config) -> int:
    """Open a recording until the user leaves; gives the exit status.

    Raises InputError for a file that is none.
    """
    recording = Recording(path)

    async def session() -> int:
        return await show(ReplayApp(ReplayFleet(recording, thresholds=config.thresholds()), config))

    return asyncio.run(session())
