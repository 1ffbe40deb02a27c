"""All consoles that are open, and what they have to hear of the fleet."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from vmtui.consoles.attachment import ConsoleKey, places
from vmtui.consoles.open_console import OpenConsole
from vmtui.consoles.turns import Turns
from vmtui.fleet import Fleet
from vmtui.model import Event, EventKind
from vmtui.terminal.emulator import SCROLLBACK_LINES
from vmtui.views import FleetView, VMRef


class OpenConsoles:
    """All that are open, in the order in which they were opened.

    `changed` is called after each change of any of them, and `echoed` instead for what is printed
    in answer to typing: somebody waits for it. Who is called gathers bursts.
    """

    def __init__(
        self,
        fleet: Fleet,
        changed: Callable[[], None] = lambda: None,
        *,
        echoed: Callable[[], None] | None = None,
        scrollback_lines: int = SCROLLBACK_LINES,
    ) -> None:
        self._fleet = fleet
        self._scrollback_lines = scrollback_lines
        self._changed = changed
        self._echoed = echoed or changed
        self._open: dict[ConsoleKey, OpenConsole] = {}
        self._turns = Turns()
        self._undo: list[Callable[[], None]] = []

    def open(self, key: ConsoleKey, *, attach: bool = True) -> OpenConsole:
        """That console, open from now on; without `attach` it is only watched, if it was not open.

        Watching keeps nobody else from it; where that is not possible, nothing is shown.
        """
        if not self._undo:
            self._undo = [
                self._fleet.watch(self._on_view),
                self._fleet.watch_events(self._on_event),
            ]
        if key not in self._open:
            self._open[key] = OpenConsole(
                self._fleet,
                key,
                changed=self._changed,
                echoed=self._echoed,
                place=places(self._fleet.view(), [key.ref])[key.ref],
                turns=self._turns,
                scrollback_lines=self._scrollback_lines,
                attaches=attach,
            )
        elif attach:
            self._open[key].attach()
        return self._open[key]

    def get(self, key: ConsoleKey) -> OpenConsole | None:
        """That console if it is open."""
        return self._open.get(key)

    @property
    def all(self) -> tuple[OpenConsole, ...]:
        """Those that are open."""
        return tuple(self._open.values())

    async def close(self, key: ConsoleKey) -> None:
        """Detach from one."""
        if (console := self._open.pop(key, None)) is not None:
            await console.close()

    async def close_all(self) -> None:
        """Detach from all."""
        while self._undo:
            self._undo.pop()()
        consoles = self.all
        self._open.clear()
        await asyncio.gather(*(console.close() for console in consoles))

    def _on_view(self, view: FleetView) -> None:
        if self._open:
            # From where it is now: to where a VM is being migrated, it is not yet.
            found = places(view, {console.ref for console in self.all})
            for console in self.all:
                console.moved(found[console.ref])

    def _on_event(self, uri: str, event: Event) -> None:
        if event.kind is EventKind.RESET and event.vm is not None:
            for console in self._open.values():
                if console.ref == VMRef(uri, event.vm):
                    console.guest_reset()
