"""One open connection to libvirt, and all that works over it while it lasts."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from vmtui.backends.libvirt.addresses import Addresses
from vmtui.backends.libvirt.around import confidential
from vmtui.backends.libvirt.bridge import Bridge
from vmtui.backends.libvirt.changes import Changes
from vmtui.backends.libvirt.display import Screens
from vmtui.backends.libvirt.domains import Domains
from vmtui.backends.libvirt.events import Events
from vmtui.backends.libvirt.leftovers import Leftovers
from vmtui.backends.libvirt.places import Places
from vmtui.backends.libvirt.processes import Processes
from vmtui.backends.libvirt.stats import Sampler
from vmtui.backends.libvirt.targets import Targets
from vmtui.errors import UnreachableError, VmtuiError
from vmtui.images.library import Library
from vmtui.model import VMId

T = TypeVar("T")

PROBE_TIMEOUT_S = 60.0


class Link:
    """`bridge` is for what answers at once, and events; what may take long has its own."""

    def __init__(
        self, bridge: Bridge, driver: str, places: Places, library: Library, *, read_only: bool
    ) -> None:
        self.bridge = bridge
        self.driver = driver.upper()
        self.places = places
        self._read_only = read_only
        self.events = Events(bridge, self.outdated)
        self.targets = Targets()
        self.sampler = Sampler(
            self._connected,
            Processes(places),
            self.targets,
            local=self.here,
            may_arm=not read_only,
        )
        self.changes = Changes(self._connected)
        self.screens = Screens(self._connected)
        self.leftovers = Leftovers(self.changes, places, library, read_only=read_only)
        self._addresses = Addresses(self._connected, self.events.changed, local=places.local)
        self.domains = Domains(bridge, places, self._addresses, self.leftovers.found)

        self._confidential: tuple[str, ...] = ()

    @classmethod
    async def open(
        cls, uri: str, places: Places | None, library: Library, *, read_only: bool
    ) -> Link:
        """Connect, and listen for changes from the start. Raises UnreachableError."""
        bridge = Bridge(uri)
        await bridge.open(read_only=read_only)
        try:
            driver, canonical = await bridge.call(
                "ask the connection what it is", lambda c: (str(c.getType()), str(c.getURI()))
            )
        except BaseException:
            await bridge.close()
            raise
        link = cls(bridge, driver, places or Places.of(canonical), library, read_only=read_only)
        try:
            await link.events.register()
        except BaseException:
            await link.close()
            raise
        link.domains.definitions.told_of_changes = link.events.registered
        bridge.on_lost.append(link.events.end)
        if bridge.lost is not None:
            await link.close()
            raise bridge.lost
        return link

    @property
    def here(self) -> bool:
        """Whether its VMs run on this machine; the driver for tests has a host of its own."""
        return self.places.local and self.driver != "TEST"

    async def confidential(self) -> tuple[str, ...]:
        """Which kinds of memory that it can't read the host offers; asked for once."""
        if not self._confidential:
            with suppress(VmtuiError):  # nothing waits for that
                self._confidential = await self.probed(
                    "ask what the host offers", confidential.notes, self.places
                )
        return self._confidential

    async def probed(self, what: str, function: Callable[..., T], *args: object) -> T:
        """As `Bridge.call`, for what libvirt may have to probe QEMU for, which takes seconds."""
        return await self.changes.over_own(
            lambda bridge: bridge.call(what, function, *args, timeout_s=PROBE_TIMEOUT_S)
        )

    def outdated(self, vm: VMId) -> None:
        """What is known of that VM's definition may be no longer so."""
        self.domains.definitions.outdated(vm)

    async def _connected(self) -> Bridge:
        """One more connection to the same place."""
        if self.bridge.lost is not None:
            raise self.bridge.lost
        bridge = Bridge(self.bridge.uri)
        await bridge.open(read_only=self._read_only)
        return bridge

    async def close(self) -> None:
        """Let go of it all; VMs go on."""
        closed = UnreachableError(f"{self.bridge.uri} was closed")
        self.events.end(closed)
        for callback in tuple(self.bridge.on_lost):
            callback(closed)
        for part in (self._addresses, self.sampler, self.screens, self.changes, self.bridge):
            await part.close()
