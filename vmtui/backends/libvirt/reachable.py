"""What of a VM a person can look at and type into: consoles, screens and logs."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from functools import partial

from vmtui.backends.base import Feature
from vmtui.backends.kept_output import ALL
from vmtui.backends.libvirt import consoles, logs
from vmtui.backends.libvirt.connected import Connected
from vmtui.backends.libvirt.display import Screens
from vmtui.backends.printed import printed
from vmtui.backends.ways_in import Console, Viewer
from vmtui.errors import UnsupportedError, read_only
from vmtui.keyboards import known
from vmtui.model import VMId
from vmtui.picture import Picture


class Reachable(Connected):
    """`Consoles`, `Watchable`, `Displays` and `Logs` of the seam."""

    # -- Consoles ----------------------------------------------------------------------------

    async def console(
        self, vm: VMId, name: str = "", *, force: bool = False, history_bytes: int = 0
    ) -> Console:
        """Over a stream; all that a file keeps of it from there."""
        if self._read_only:
            raise read_only(f"the console of {await self._name(vm)}")
        if Feature.CONSOLE not in self.features:
            raise UnsupportedError(f"{self.uri} has no consoles")
        link = self._linked()
        return await consoles.attached(
            link.bridge,
            link.places,
            await self._definition(vm),
            name,
            force=force,
            history_bytes=history_bytes,
        )

    async def watch_console(self, vm: VMId, name: str = "", *, history_bytes: int = 0) -> Console:
        """From the file that keeps it."""
        link = self._linked()
        return consoles.watched(
            link.places,
            await self._definition(vm),
            name,
            logs.still_active(link.domains, vm),
            history_bytes=history_bytes,
        )

    def console_output(self, vm: VMId, name: str = "") -> AsyncGenerator[bytes, None]:
        """From the file that keeps it, else from the console itself if nobody has it."""
        return printed(partial(self._kept_or_own, vm, name))

    async def _kept_or_own(self, vm: VMId, name: str) -> Console:
        try:
            return await self.watch_console(vm, name, history_bytes=ALL)
        except UnsupportedError:
            return await self.console(vm, name)

    # -- Displays ----------------------------------------------------------------------------

    async def picture(self, vm: VMId) -> Picture:
        """libvirt's screenshot. Raises RefusedError on a read-only connection."""
        name, screens = await self._displayed(vm, "the screen of")
        return await screens.picture(vm, name)

    async def press(self, vm: VMId, keys: Sequence[str], *, hold_ms: int = 20) -> None:
        """Keys by their codes in Linux, which every driver knows."""
        name, screens = await self._displayed(vm, "input to")
        await screens.press(vm, name, known(keys), hold_ms)

    async def point(self, vm: VMId, x: float, y: float, buttons: frozenset[str]) -> None:  # noqa: ARG002
        """libvirt's interface has no pointer."""
        raise UnsupportedError(
            f"{self.uri} can't move a pointer",
            why="libvirt has no call for it",
            hint=f"Use a viewer: vmtui view {await self._name(vm)}",
        )

    async def viewer(self, vm: VMId) -> Viewer:
        """Its VNC or SPICE server."""
        name, screens = await self._displayed(vm, "the screen of")
        return await screens.viewer(vm, name, self.uri)

    async def _displayed(self, vm: VMId, what: str) -> tuple[str, Screens]:
        link = self._linked()
        seen, definition = await link.domains.look(vm)
        if self._read_only:
            raise read_only(f"{what} {seen.name}")
        if Feature.DISPLAY not in self.features or not definition.vm.displays:
            raise UnsupportedError(
                f"{seen.name} has no screen", hint=f"Use its console: vmtui console {seen.name}"
            )
        return seen.name, link.screens

    # -- Logs --------------------------------------------------------------------------------

    async def log(self, vm: VMId, *, limit_bytes: int = 65536) -> str:
        """The end of QEMU's log. Raises UnsupportedError where it can't be read from here."""
        name = await self._name(vm)
        link = self._linked()
        return await link.bridge.call(
            f"read the log of {name}",
            lambda _: logs.hypervisor_log(link.places, name, limit_bytes),
        )

    async def console_history(self, vm: VMId, name: str = "", *, limit_bytes: int = 65536) -> bytes:
        """The end of the console's log, where there is one that can be read."""
        link = self._linked()
        return consoles.history(link.places, await self._definition(vm), name, limit_bytes)
