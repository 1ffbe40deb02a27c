"""What of a VM a person can look at and type into: consoles, screens and logs."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from vmtui.backends.kept_output import ALL
from vmtui.backends.kvm.configured import Configured
from vmtui.backends.kvm.machine import Machine
from vmtui.backends.printed import printed
from vmtui.backends.ways_in import Console, Viewer
from vmtui.deferred import deferred
from vmtui.errors import StateError, read_only
from vmtui.files import tail
from vmtui.model import VMId

if TYPE_CHECKING:
    from vmtui import keyboards
    from vmtui.backends.kvm import console as consoles
    from vmtui.backends.kvm import display
    from vmtui.picture import Picture
else:
    consoles, display = deferred("vmtui.backends.kvm", "console", "display")
    (keyboards,) = deferred("vmtui", "keyboards")


class Reachable(Configured):
    """`Consoles`, `Watchable`, `ConsoleSizes`, `Displays` and `Logs` of the seam."""

    # -- Consoles ----------------------------------------------------------------------------

    async def console(
        self, vm: VMId, name: str = "", *, force: bool = False, history_bytes: int = 0
    ) -> Console:
        """Attach to a console's socket."""
        if self._read_only:
            raise read_only(f"the console of {self._machines.find(vm).name}")
        machine = self._active(vm, "attach to")
        return await consoles.attached(machine, name, force=force, history_bytes=history_bytes)

    async def watch_console(self, vm: VMId, name: str = "", *, history_bytes: int = 0) -> Console:
        """From QEMU's log of the console, disturbing nobody."""
        return consoles.watched(self._active(vm, "watch"), name, history_bytes=history_bytes)

    async def resize_console(self, vm: VMId, name: str, columns: int, rows: int) -> bool:
        """For virtio consoles, where this QEMU can."""
        machine = self._active(vm, "resize the console of")
        if self._read_only:
            raise read_only(f"the console of {machine.name}")
        return await consoles.resized(machine, name, columns, rows)

    def console_output(self, vm: VMId, name: str = "") -> AsyncGenerator[bytes, None]:
        """From QEMU's log of the console: all since the start, disturbing nobody."""
        return printed(partial(self.watch_console, vm, name, history_bytes=ALL))

    def _active(self, vm: VMId, verb: str) -> Machine:
        machine = self._machines.find(vm)
        if not machine.active:
            raise StateError(
                f"can't {verb} {machine.name}",
                why=f"it is {machine.state.value}",
                hint=f"Start it: vmtui start {machine.name}",
            )
        return machine

    # -- Displays ----------------------------------------------------------------------------

    async def picture(self, vm: VMId) -> Picture:
        """QEMU's own drawing of the screen."""
        return await display.picture(self._active(vm, "show the screen of"))

    async def press(self, vm: VMId, keys: Sequence[str], *, hold_ms: int = 20) -> None:
        """Keys of the machine's keyboard."""
        await display.press(self._listening(vm), keyboards.known(keys), hold_ms)

    async def point(self, vm: VMId, x: float, y: float, buttons: frozenset[str]) -> None:
        """The machine's tablet."""
        await display.point(self._listening(vm), x, y, buttons)

    async def viewer(self, vm: VMId) -> Viewer:
        """QEMU's VNC socket."""
        return display.viewer(self._active(vm, "view"))

    def _listening(self, vm: VMId) -> Machine:
        if self._read_only:
            raise read_only(f"input to {self._machines.find(vm).name}")
        return self._active(vm, "type to")

    # -- Logs --------------------------------------------------------------------------------

    async def log(self, vm: VMId, *, limit_bytes: int = 65536) -> str:
        """What QEMU said, its command line first."""
        runtime = self._machines.find(vm).place.runtime
        return tail(runtime / "qemu.log", limit_bytes).decode(errors="replace")

    async def console_history(self, vm: VMId, name: str = "", *, limit_bytes: int = 65536) -> bytes:
        """What a console printed since the last start."""
        machine = self._machines.find(vm)
        return tail(consoles.files(machine, name).log, limit_bytes)
