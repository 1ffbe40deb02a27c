"""Any libvirt connection: the seam's answers, from libvirt through the bridge."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from vmtui.backends import local_host
from vmtui.backends.base import DeletePlan, Feature, ProgressSink
from vmtui.backends.libvirt import belongings, host_stats, hosts, power
from vmtui.backends.libvirt import clone as cloning
from vmtui.backends.libvirt import create as creation
from vmtui.backends.libvirt import delete as deletion
from vmtui.backends.libvirt.clone_xml import Wish
from vmtui.backends.libvirt.configurable import Configurable
from vmtui.backends.libvirt.places import Places, last_words
from vmtui.backends.libvirt.surrounded import Surrounded
from vmtui.counters import Counters, HostCounters, Stalled
from vmtui.errors import (
    NoSuchVMError,
    OperationError,
    RefusedError,
    StateError,
    UnsupportedError,
    read_only,
)
from vmtui.images.library import Library
from vmtui.model import (
    VM,
    Accel,
    Event,
    Host,
    Power,
    VMId,
)
from vmtui.parts import CloudInit
from vmtui.spec import Limits, VMSpec
from vmtui.whole import whole

DELETE_TIMEOUT_S = 120.0

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


class LibvirtBackend(Surrounded, Configurable):
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
        super().__init__(uri, read_only=read_only, places=places, library=library or Library())
        self._prove = prove

    # -- the host ----------------------------------------------------------------------------

    async def host(self) -> Host:
        """Its size and software, and what `auto` comes to on it."""
        link = self._linked()
        host = await hosts.described(link.bridge, link.driver)
        accel, reason = await self._accel()
        return replace(host, accel=accel, accel_reason=reason, here=link.here)

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

    def events(self) -> AsyncIterator[Event]:
        """Whatever libvirt reports, from this and all other clients."""
        return self._linked().events.listen()

    # -- changes -----------------------------------------------------------------------------

    async def power(self, vm: VMId, op: Power) -> None:
        """One lifecycle operation; one at a time for each VM, except that STOP always goes."""
        name = await self._name(vm)
        if self._read_only:
            raise read_only(f"{op.value} of {name}")
        if _NEEDS.get(op, Feature.NONE) not in self.features:
            raise power.unsupported(op, self.uri)
        link = self._linked()
        if op is Power.STOP:
            await self._check_unprotected(vm, "force off")
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

    async def _check_unprotected(self, vm: VMId, verb: str) -> None:
        """Raise RefusedError for what must neither be deleted nor forced off."""
        seen, definition = await self._linked().domains.look(vm)
        if definition.vm.protected:
            raise RefusedError(
                f"can't {verb} {seen.name}",
                why="it is protected",
                hint=f"Take that off first: vmtui set {seen.name} protected=off",
            )

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

    async def _accel_for(self, wanted: Accel) -> Accel:
        return (await self._accel())[0] if wanted is Accel.AUTO else wanted

    async def delete_plan(self, vm: VMId) -> DeletePlan:
        """What a deletion would remove, and what would stay."""
        await self._check_free(vm, "delete")
        link = self._linked()
        # All volumes are looked at, one after the other: that takes a while on another machine.
        return await link.changes.over_own(
            lambda bridge: bridge.call(
                "look at what belongs to the VM",
                belongings.plan,
                link.places,
                vm,
                timeout_s=DELETE_TIMEOUT_S,
            )
        )

    async def delete(self, vm: VMId, plan: DeletePlan) -> None:
        """Delete what the plan names."""
        name = await self._name(vm)
        self._check_may(Feature.DELETE, f"deleting {name}", "delete VMs")
        await self._check_unprotected(vm, "delete")
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


def _explained(places: Places, error: OperationError, op: Power, name: str) -> OperationError:
    words = last_words(places, name) if op is Power.START else ""
    if not words or words in error.why:
        return error
    return OperationError(
        error.what, why=f"{error.why}\nQEMU's log ends with:\n{words}", hint=error.hint
    )
