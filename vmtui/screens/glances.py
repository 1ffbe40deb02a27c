"""Keeping the console, screen or hardware of a VM in its pane as long as that is looked at."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from textual.worker import WorkType

from vmtui import configuring
from vmtui.actions import BY_ID
from vmtui.backends.base import Feature
from vmtui.backends.ways_in import Displays
from vmtui.consoles import ConsoleKey
from vmtui.errors import VmtuiError
from vmtui.model import VM
from vmtui.units import plain
from vmtui.views import VMRef, VMView
from vmtui.widgets.detail import Detail
from vmtui.widgets.tabs import CONSOLE, HARDWARE, SCREEN

if TYPE_CHECKING:
    from vmtui.screens.base import FleetScreen

    _Base = FleetScreen
else:
    _Base = object

SETTLE_S = 0.2
"""Moving quickly over many VMs must not open the console of each."""

HARDWARE_S = 2.0
"""Between two looks at a VM's hardware: others may change it too."""

Glance = tuple[VMRef | None, str, VM | None]
"""Which VM, which tab, and as what the VM was known."""

NOWHERE: Glance = (None, "", None)


class Glances(_Base):
    """For a FleetScreen with a `detail`: shows what its tab needs of `glanced_at()` in it."""

    detail: Detail
    _glancing: Glance | None = NOWHERE

    def glanced_at(self) -> VMView | None:
        """The VM in the pane; None: it is not seen."""
        raise NotImplementedError

    def glance(self) -> None:
        """Another VM or another tab is seen, or none."""
        row = self.glanced_at()
        tab = self.detail.shown_tab if row is not None else ""
        # Hardware is read anew once the VM is another than it was.
        wanted: Glance = (
            row.ref if row else None,
            tab if tab in (CONSOLE, SCREEN, HARDWARE) else "",
            row.vm if row and tab == HARDWARE else None,
        )
        if wanted == self._glancing:
            return
        self._glancing = wanted
        glance: WorkType[None] = partial(self._glance, row, wanted[1])
        self.run_worker(glance, group="glance", exclusive=True)

    async def _glance(self, row: VMView | None, tab: str) -> None:
        await self._look_away(keep=ConsoleKey(row.ref) if row and tab == CONSOLE else None)
        await self.detail.screen_view.show(None, None, pointer=False)
        if row is None or not tab:
            return
        if tab == HARDWARE:
            await self._follow_hardware(row)
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

    async def _follow_hardware(self, row: VMView) -> None:
        if self.detail.hardware.hardware is None:
            await asyncio.sleep(SETTLE_S)
        while True:
            if not self.context.suspended:
                try:
                    found = await configuring.hardware(self.context.fleet, row.ref)
                    self.detail.show_hardware(found)
                except VmtuiError as error:
                    self.detail.show_hardware(None, plain(str(error)))
            await asyncio.sleep(HARDWARE_S)

    def on_screen_resume(self) -> None:
        """What was in front may have closed the console of the pane, or left one open."""
        shown = self.detail.console_pane.console
        closed = shown is not None and shown not in self.context.consoles.all
        if closed or self.context.glanced - {shown.key if shown else None}:
            self._glancing = None
            self.glance()

    def look_again(self) -> None:
        """What the pane shows was changed from here."""
        self._glancing = None
        self.glance()

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
