"""Keeping the console or the screen of a VM open for as long as its tab is looked at."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from textual.worker import WorkType

from vmtui.actions import BY_ID
from vmtui.backends.base import Displays, Feature
from vmtui.consoles import ConsoleKey
from vmtui.views import VMView
from vmtui.widgets.detail import CONSOLE, SCREEN, Detail

if TYPE_CHECKING:
    from vmtui.screens.base import FleetScreen

    _Base = FleetScreen
else:
    _Base = object

SETTLE_S = 0.2
"""Moving quickly over many VMs must not open the console of each."""


class Glances(_Base):
    """For a FleetScreen with a `detail`: shows console or screen of `glanced_at()` in it."""

    detail: Detail

    def glanced_at(self) -> VMView | None:
        """The VM in the pane; None: it is not seen."""
        raise NotImplementedError

    def glance(self) -> None:
        """Another VM or another tab is seen, or none."""
        row = self.glanced_at()
        tab = self.detail.shown_tab if row is not None else ""
        wanted = (row.ref if row else None, tab if tab in (CONSOLE, SCREEN) else "")
        if wanted == getattr(self, "_glancing", (None, "")):
            return
        self._glancing = wanted
        glance: WorkType[None] = partial(self._glance, row, wanted[1])
        self.run_worker(glance, group="glance", exclusive=True)

    async def _glance(self, row: VMView | None, tab: str) -> None:
        await self._look_away(keep=ConsoleKey(row.ref) if row and tab == CONSOLE else None)
        await self.detail.screen_view.show(None, None, pointer=False)
        if row is None or not tab:
            return
        self.detail.show_console(None, "")
        await asyncio.sleep(SETTLE_S)
        action = BY_ID["console" if tab == CONSOLE else "screen"]
        refusal = action.refusal(row.vm, self.view.connection(row.ref.uri))
        if refusal:
            self.detail.show_console(None, refusal)
        elif tab == CONSOLE:
            key = ConsoleKey(row.ref)
            if self.context.consoles.get(key) is None:
                self.context.glanced.add(key)
            self.detail.show_console(self.context.consoles.open(key, attach=False))
        else:
            backend = self.context.fleet.backend(row.ref)
            assert Feature.DISPLAY in backend.features
            assert isinstance(backend, Displays)
            await self.detail.screen_view.show(backend, row.ref.id, pointer=False)

    async def _look_away(self, keep: ConsoleKey | None) -> None:
        """Let go of consoles that were only looked at."""
        for key in self.context.glanced - {keep}:
            self.context.glanced.discard(key)
            await self.context.consoles.close(key)

    def consoles_changed(self) -> None:
        """A console printed something."""
        if self.detail.shown_tab == CONSOLE:
            self.detail.redraw()

    def opens(self) -> bool:
        """Whether Enter is for what the tab shows: it is opened."""
        row = self.glanced_at()
        action = {CONSOLE: "console", SCREEN: "screen"}.get(self.detail.shown_tab)
        if row is None or action is None:
            return False
        self.do_to(BY_ID[action], row)
        return True
