"""What the backend answers about what surrounds a domain: TPM, firmware, isolation, its host."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from types import ModuleType

from vmtui.backends import local_host
from vmtui.backends.base import Feature
from vmtui.backends.libvirt.around import cores, firmware, tpm
from vmtui.backends.libvirt.bridge import Bridge
from vmtui.backends.libvirt.configurable import needing_lxml
from vmtui.backends.libvirt.link import Link
from vmtui.backends.libvirt.places import Places
from vmtui.backends.libvirt.reachable import Reachable
from vmtui.errors import UnsupportedError, read_only
from vmtui.hardware.around import Barrier, FirmwareFacts, TpmFacts
from vmtui.hardware.cores import CoreMap
from vmtui.hardware.devices import HostDevice
from vmtui.ksm import KsmState, Switch
from vmtui.model import VMId
from vmtui.whole import whole


def _isolation() -> ModuleType:
    with needing_lxml():
        from vmtui.backends.libvirt.around import isolation  # noqa: PLC0415 (lxml takes its time)
    return isolation


def _host_devices() -> ModuleType:
    with needing_lxml():
        from vmtui.backends.libvirt.around import host_devices  # noqa: PLC0415 (so here)
    return host_devices


class Surrounded(Reachable):
    """What the seam asks of a domain's surroundings and of its host."""

    # -- Tpms --------------------------------------------------------------------------------

    async def tpm(self, vm: VMId) -> TpmFacts:
        """What it is, and where its state."""
        link = self._with(Feature.TPM, "tell of TPMs")
        return await tpm.facts(link.bridge, link.places, vm)

    async def back_up_tpm(self, vm: VMId, to: Path) -> None:
        """Its state as one file, private to the user."""
        link = self._with(Feature.TPM, "tell of TPMs")
        await tpm.back_up(link.bridge, link.places, vm, to)

    async def restore_tpm(self, vm: VMId, source: Path) -> None:
        """Replace its state by that of a backup, whole or not at all."""
        self._with(Feature.TPM, "tell of TPMs")
        await self._do(
            vm,
            "restore the TPM of",
            lambda bridge, places: tpm.restore(bridge, places, vm, source),
        )

    async def clear_tpm(self, vm: VMId) -> None:
        """Begin anew with an empty state: disk keys sealed in it are lost."""
        self._with(Feature.TPM, "tell of TPMs")
        await self._do(vm, "clear the TPM of", lambda bridge, places: tpm.clear(bridge, places, vm))

    # -- FirmwareVariables -------------------------------------------------------------------

    async def firmware(self, vm: VMId) -> FirmwareFacts:
        """Which files it is, and where its variables began."""
        link = self._with(Feature.VARIABLES, "tell of firmware")
        return await firmware.facts(link.bridge, link.places, vm)

    async def reset_variables(self, vm: VMId, template: Path | None = None) -> None:
        """Begin anew, from the firmware's own or from a file with keys of one's own."""
        self._with(Feature.VARIABLES, "tell of firmware")
        await self._do(
            vm,
            "reset the UEFI variables of",
            lambda bridge, places: firmware.reset(bridge, places, vm, template),
        )

    async def back_up_variables(self, vm: VMId, to: Path) -> None:
        """A copy of them, private to the user."""
        link = self._with(Feature.VARIABLES, "tell of firmware")
        await firmware.back_up(link.bridge, link.places, vm, to)

    # -- MapsCores ---------------------------------------------------------------------------

    async def cores(self) -> CoreMap:
        """The host's CPUs, and which threads may run on which."""
        link = self._linked()
        return await link.probed("look at the host's CPUs", cores.look)

    # -- MergesPages -------------------------------------------------------------------------

    async def page_sharing(self) -> KsmState:
        """What the kernel of this machine tells of KSM."""
        self._here()
        return await local_host.page_sharing()

    async def share_pages(self, to: Switch) -> None:
        """Switch it, which only root may."""
        self._here()
        if self._read_only:
            raise read_only("switching KSM")
        await local_host.share_pages(to)

    def _here(self) -> None:
        """Raises UnsupportedError where its VMs run on another machine."""
        if not self._linked().here:
            raise UnsupportedError(
                f"{self.uri} can't tell of its host's KSM",
                why="that host is another machine",
                hint="There: vmtui ksm",
            )

    # -- Isolates, HostDevices ---------------------------------------------------------------

    async def isolation(self, vm: VMId) -> Sequence[Barrier]:
        """Each barrier, and what would tighten it."""
        link, known = self._with(Feature.CONFIGURE, "tell how VMs are isolated"), _isolation()
        found: Sequence[Barrier] = await link.probed(
            "look at its isolation", lambda c: known.barriers(known.look(c, link.places, vm))
        )
        return found

    async def host_devices(self) -> Sequence[HostDevice]:
        """Those of the host, with what uses them and why one can't be passed through."""
        link, devices = self._with(Feature.PASSTHROUGH, "pass devices through"), _host_devices()
        found: Sequence[HostDevice] = await link.bridge.call(
            "list the host's devices", devices.look, link.places
        )
        return found

    def _with(self, feature: Feature, verb: str) -> Link:
        """The link, if the connection can. Raises UnsupportedError."""
        link = self._linked()
        if feature not in self.features:
            raise UnsupportedError(f"{self.uri} can't {verb}")
        return link

    async def _do(
        self, vm: VMId, verb: str, work: Callable[[Bridge, Places], Awaitable[None]]
    ) -> None:
        """Change what surrounds it, while nothing else of vmtui changes it; seen to its end."""
        name = await self._name(vm)
        if self._read_only:
            raise read_only(f"to {verb} {name}")
        link = self._linked()
        link.changes.check(vm, verb, name)
        await whole(link.changes.start(vm, verb, lambda bridge: work(bridge, link.places)))
        link.events.changed(vm)
