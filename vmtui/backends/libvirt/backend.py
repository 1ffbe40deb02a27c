"""Any libvirt connection: the seam's answers, from libvirt through the bridge."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from vmtui.backends import local_host
from vmtui.backends.base import Console, DeletePlan, Feature, ProgressSink, Viewer
from vmtui.backends.kept_output import ALL
from vmtui.backends.libvirt import belongings, consoles, host_stats, hosts, listing, logs, power
from vmtui.backends.libvirt import clone as cloning
from vmtui.backends.libvirt import create as creation
from vmtui.backends.libvirt import delete as deletion
from vmtui.backends.libvirt.clone_xml import Wish
from vmtui.backends.libvirt.display import Screens
from vmtui.backends.libvirt.domain_facts import Definition
from vmtui.backends.libvirt.link import Link
from vmtui.backends.libvirt.places import Places, last_words
from vmtui.counters import Counters, HostCounters, Stalled
from vmtui.errors import (
    NoSuchVMError,
    OperationError,
    StateError,
    UnreachableError,
    UnsupportedError,
    read_only,
)
from vmtui.images.library import Library
from vmtui.keyboards import known
from vmtui.model import (
    VM,
    Accel,
    Event,
    Host,
    Power,
    VMId,
)
from vmtui.parts import CloudInit
from vmtui.picture import Picture
from vmtui.spec import Limits, VMSpec
from vmtui.whole import whole

DELETE_TIMEOUT_S = 120.0

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
    | Feature.SANDBOX,
    "TEST": _POWER | Feature.RESET | Feature.CREATE | Feature.DELETE | Feature.DISPLAY,
    "LXC": _POWER | Feature.DELETE | Feature.CONSOLE,
    "XEN": _POWER | Feature.DELETE | Feature.CONSOLE,
    "BHYVE": _POWER | Feature.DELETE | Feature.CONSOLE,
}
_NEEDS = {
    Power.SHUTDOWN: Feature.SHUTDOWN,
    Power.REBOOT: Feature.REBOOT,
    Power.RESET: Feature.RESET,
    Power.PAUSE: Feature.PAUSE,
    Power.RESUME: Feature.PAUSE,
}

Prove = Callable[[], Awaitable[tuple[Accel, str]]]


async def _prove() -> tuple[Accel, str]:
    from vmtui.backends.kvm.accel import prove  # noqa: PLC0415 (only local QEMU asks for it)

    proof = await prove()
    return proof.accel, proof.reason


class LibvirtBackend:
    """A connection that libvirt understands."""

    def __init__(
        self,
        uri: str,
        *,
        read_only: bool = False,
        places: Places | None = None,
        library: Library | None = None,
        prove: Prove = _prove,
    ) -> None:
        self.uri = uri
        self.features = Feature.NONE
        self._read_only = read_only
        self._given_places = places
        self._library = library or Library()
        self._prove = prove
        self._link: Link | None = None

    # -- connection --------------------------------------------------------------------------

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

    # -- the host ----------------------------------------------------------------------------

    async def host(self) -> Host:
        """Its size and software, and what `auto` comes to on it."""
        link = self._linked()
        host = await hosts.described(link.bridge, link.driver)
        accel, reason = await self._accel()
        return replace(host, accel=accel, accel_reason=reason)

    async def _accel(self) -> tuple[Accel, str]:
        link = self._linked()
        if link.driver != "QEMU":
            return Accel.TCG, f"{link.driver} has no acceleration of its own"
        if link.places.local:
            return await self._prove()
        return await hosts.offered_accel(link.bridge)

    async def host_counters(self) -> HostCounters:
        """All of this machine; of another, what libvirt tells."""
        link = self._linked()
        if link.here:
            return local_host.read()
        return await link.bridge.call("read the host's figures", host_stats.read)

    # -- listing -----------------------------------------------------------------------------

    async def vms(self) -> Sequence[VM]:
        """All domains: a few calls for all, and one more for each that changed."""
        return await self._linked().domains.all()

    async def vm(self, vm: VMId) -> VM:
        """One domain."""
        return await self._linked().domains.one(vm)

    async def counters(self, vms: Sequence[VMId]) -> Mapping[VMId, Counters | Stalled]:
        """What needs no QEMU now, what does at a slower beat; one that hangs costs no other."""
        link = self._linked()
        return await link.sampler.sample(vms) if vms else {}

    async def events(self) -> AsyncIterator[Event]:
        """Whatever libvirt reports, from this and all other clients."""
        async for event in self._linked().events.listen():
            yield event

    # -- changes -----------------------------------------------------------------------------

    async def power(self, vm: VMId, op: Power) -> None:
        """One lifecycle operation; one at a time for each VM, except that STOP always goes."""
        name = await self._name(vm)
        if self._read_only:
            raise read_only(f"{op.value} of {name}")
        if _NEEDS.get(op, Feature.NONE) not in self.features:
            raise power.unsupported(op, self.uri)
        link = self._linked()
        if op is not Power.STOP:
            link.changes.check(vm, op.value, name)
        if op is Power.START:
            await self._check_free(vm, "start")
        limit_s = power.TIMEOUTS_S.get(op, power.TIMEOUT_S)
        change = link.changes.start(
            vm,
            op.value,
            lambda bridge: bridge.call(
                f"{op.value} {name}", power.perform, vm, op, timeout_s=limit_s
            ),
            urgent=op is Power.STOP,
        )
        try:
            await asyncio.shield(change)
        except OperationError as error:
            raise _explained(link.places, error, op, name) from error.__cause__
        finally:
            link.outdated(vm)
        if op is Power.STOP:
            await self._clean_up(vm)

    async def _check_free(self, vm: VMId, verb: str) -> None:
        """Raise StateError while the disks of other VMs lean on its own."""
        names = await self._linked().domains.leaning(vm)
        if names:
            name = await self._name(vm)
            raise StateError(
                f"can't {verb} {name}",
                why=f"disks of {', '.join(names)} lean on its own",
                hint=f"Delete them first, or work with a clone of {name}.",
            )

    async def _clean_up(self, vm: VMId) -> None:
        """A throwaway VM that is off is gone when this returns."""
        with suppress(NoSuchVMError):
            if (await self.vm(vm)).throwaway:
                await self._linked().leftovers.gone()

    async def _definition(self, vm: VMId) -> Definition:
        return (await self._linked().domains.look(vm))[1]

    async def _name(self, vm: VMId) -> str:
        return await self._linked().bridge.call(
            "look at the VM", lambda c: str(listing.lookup(c, vm).name())
        )

    async def create(self, spec: VMSpec, progress: ProgressSink) -> VMId:
        """Make an ordinary domain, off."""
        self._check_may(Feature.CREATE, f"creating {spec.name}", "create VMs")
        if spec.throwaway and Feature.SANDBOX not in self.features:
            raise UnsupportedError(f"{self.uri} can't make throwaway VMs")
        link, accel = self._linked(), await self._accel_for(spec.accel)
        return await link.changes.over_own(
            lambda bridge: creation.create(
                bridge, link.places, spec, accel, progress, library=self._library
            )
        )

    async def preview(self, spec: VMSpec) -> str:
        """The domain's XML."""
        if Feature.CREATE not in self.features:
            raise UnsupportedError(f"{self.uri} can't create VMs")
        link, accel = self._linked(), await self._accel_for(spec.accel)
        return await link.changes.over_own(
            lambda bridge: creation.preview(bridge, link.places, spec, accel, library=self._library)
        )

    async def limits(self) -> Limits:
        """What the host offers a new VM."""
        link, accel = self._linked(), await self._accel_for(Accel.AUTO)
        return await link.changes.over_own(
            lambda bridge: creation.limits(bridge, link.places, accel)
        )

    async def clone(
        self,
        vm: VMId,
        name: str,
        *,
        linked: bool,
        cloud_init: CloudInit | None,
        progress: ProgressSink,
    ) -> VMId:
        """A domain like it, with volumes of its own."""
        self._check_may(Feature.CLONE, f"cloning to {name}", "clone VMs")
        link = self._linked()
        link.changes.check(vm, "clone", await self._name(vm))
        wish = Wish(name, linked, cloud_init)
        change = link.changes.start(
            vm,
            "a clone",
            lambda bridge: cloning.clone(bridge, link.places, vm, wish, progress),
        )
        try:
            return await asyncio.shield(change)
        except asyncio.CancelledError:
            change.cancel()
            await asyncio.gather(change, return_exceptions=True)
            raise

    async def agent_answers(self, vm: VMId) -> bool:
        """Whether its guest agent has opened its channel."""
        self._linked().outdated(vm)
        return (await self._definition(vm)).agent_connected

    async def images_in_use(self) -> Mapping[str, tuple[str, ...]]:
        """By the files that disks and trays have, and those that disks lean on."""
        return await self._linked().domains.images_in_use(self._library.root)

    def _check_may(self, feature: Feature, what: str, verb: str) -> None:
        self._linked()
        if self._read_only:
            raise read_only(what)
        if feature not in self.features:
            raise UnsupportedError(f"{self.uri} can't {verb}")

    async def _accel_for(self, wanted: Accel) -> Accel:
        return (await self._accel())[0] if wanted is Accel.AUTO else wanted

    async def delete_plan(self, vm: VMId) -> DeletePlan:
        """What a deletion would remove, and what would stay."""
        await self._check_free(vm, "delete")
        link = self._linked()
        return await link.bridge.call(
            "look at what belongs to the VM", belongings.plan, link.places, vm
        )

    async def delete(self, vm: VMId, plan: DeletePlan) -> None:
        """Delete what the plan names."""
        name = await self._name(vm)
        self._check_may(Feature.DELETE, f"deleting {name}", "delete VMs")
        await self._check_free(vm, "delete")
        link = self._linked()
        link.changes.check(vm, "delete", name)
        agreed = replace(plan, vm=vm)
        change = link.changes.start(
            vm,
            "deletion",
            lambda bridge: bridge.call(
                f"delete {name}",
                deletion.delete,
                link.places,
                agreed,
                timeout_s=DELETE_TIMEOUT_S,
            ),
        )
        await whole(change)
        link.outdated(vm)

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
        return await consoles.watched(
            link.bridge,
            link.places,
            await self._definition(vm),
            name,
            logs.still_active(self, vm),
            history_bytes=history_bytes,
        )

    async def console_output(self, vm: VMId, name: str = "") -> AsyncGenerator[bytes, None]:
        """From the file that keeps it, else from the console itself if nobody has it."""
        try:
            console = await self.watch_console(vm, name, history_bytes=ALL)
        except UnsupportedError:
            console = await self.console(vm, name)
        try:
            while data := await console.read():
                yield data
        finally:
            await console.close()

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
        return await consoles.history(
            link.bridge, link.places, await self._definition(vm), name, limit_bytes
        )


def _explained(places: Places, error: OperationError, op: Power, name: str) -> OperationError:
    words = last_words(places, name) if op is Power.START else ""
    if not words or words in error.why:
        return error
    return OperationError(
        error.what, why=f"{error.why}\nQEMU's log ends with:\n{words}", hint=error.hint
    )
