"""A connection to libvirt, opened and closed again: what all abilities build on."""

from __future__ import annotations

from vmtui.backends.base import Feature
from vmtui.backends.libvirt import listing
from vmtui.backends.libvirt.domain_facts import Definition
from vmtui.backends.libvirt.link import Link
from vmtui.backends.libvirt.places import Places
from vmtui.errors import UnreachableError, UnsupportedError, read_only
from vmtui.images.library import Library
from vmtui.model import VMId

_POWER = Feature.SHUTDOWN | Feature.REBOOT | Feature.PAUSE
# By what a connection calls its driver; of others, only what every driver has.
_FEATURES = {
    "QEMU": _POWER
    | Feature.RESET
    | Feature.CREATE
    | Feature.DELETE
    | Feature.CONSOLE
    | Feature.LOG
    | Feature.DISPLAY
    | Feature.CLONE
    | Feature.SANDBOX
    | Feature.CONFIGURE
    | Feature.BALLOON
    | Feature.TPM
    | Feature.VARIABLES
    | Feature.PASSTHROUGH,
    "TEST": _POWER | Feature.RESET | Feature.CREATE | Feature.DELETE | Feature.DISPLAY,
    "LXC": _POWER | Feature.DELETE | Feature.CONSOLE,
    "XEN": _POWER | Feature.DELETE | Feature.CONSOLE,
    "BHYVE": _POWER | Feature.DELETE | Feature.CONSOLE,
}


class Connected:
    """What is the same for everything that is asked over one connection."""

    def __init__(
        self, uri: str, *, read_only: bool, places: Places | None, library: Library
    ) -> None:
        self.uri = uri
        self.features = Feature.NONE
        self._read_only = read_only
        self._given_places = places
        self._library = library
        self._link: Link | None = None

    async def open(self) -> None:
        """Connect, and listen for changes from the start. Raises UnreachableError."""
        await self.close()
        link = await Link.open(
            self.uri, self._given_places, self._library, read_only=self._read_only
        )
        self._link = link
        self.features = _FEATURES.get(link.driver, _POWER)
        if self._read_only:
            # libvirt has neither on a read-only connection.
            self.features &= ~(Feature.CONSOLE | Feature.DISPLAY)

    async def close(self) -> None:
        """Let go of the connection; VMs go on."""
        link, self._link = self._link, None
        if link is not None:
            await link.close()

    def _linked(self) -> Link:
        if self._link is None:
            raise UnreachableError(f"{self.uri} is not connected")
        if self._link.bridge.lost is not None:
            raise self._link.bridge.lost
        return self._link

    async def _definition(self, vm: VMId) -> Definition:
        return (await self._linked().domains.look(vm))[1]

    async def _name(self, vm: VMId) -> str:
        return await self._linked().bridge.call(
            "look at the VM", lambda c: str(listing.lookup(c, vm).name())
        )

    def _check_may(self, feature: Feature, what: str, verb: str) -> None:
        self._linked()
        if self._read_only:
            raise read_only(what)
        if feature not in self.features:
            raise UnsupportedError(f"{self.uri} can't {verb}")
