"""Reading a VM's log and console history for a screen that shows them."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from textual.worker import WorkType

from vmtui.backends.ways_in import Logs
from vmtui.errors import VmtuiError
from vmtui.units import plain
from vmtui.views import VMRef
from vmtui.widgets.detail import Detail

if TYPE_CHECKING:
    from vmtui.screens.base import FleetScreen

    _Base = FleetScreen
else:
    _Base = object

REFRESH_S = 2.0
SETTLE_S = 0.1
"""Moving quickly over many VMs must not read the log of each."""


class LogReader(_Base):
    """For a FleetScreen with a `detail`: keeps the log of `logged_vm()` fresh while it is shown."""

    detail: Detail

    def logged_vm(self) -> VMRef | None:
        """Whose log is to be read; None: none is shown."""
        raise NotImplementedError

    def read_log(self) -> None:
        """Begin to follow the log that is shown now, and no other."""
        self.workers.cancel_group(self, "log")
        ref = self.logged_vm()
        if ref is not None:
            follow: WorkType[None] = partial(self._follow, ref)
            self.run_worker(follow, group="log", exclusive=True)

    async def _follow(self, ref: VMRef) -> None:
        await asyncio.sleep(SETTLE_S)
        while self.logged_vm() == ref:
            if not self.context.suspended:
                await self._read(ref)
            await asyncio.sleep(REFRESH_S)

    async def _read(self, ref: VMRef) -> None:
        backend = self.context.fleet.backend(ref)
        if not isinstance(backend, Logs):
            self.detail.show_log("", "This connection keeps no logs.")
            return
        try:
            log = await backend.log(ref.id)
            printed = await backend.console_history(ref.id)
        except VmtuiError as error:
            self.detail.show_log("", plain(str(error)))
            return
        parts = [log.rstrip("\n")]
        if printed:
            parts.append("── console ──")
            # A serial console ends lines with both characters, and overwrites with the first.
            parts.append(printed.decode(errors="replace").replace("\r\n", "\n").rstrip("\n"))
        self.detail.show_log("\n".join(part for part in parts if part))
