"""Any libvirt connection: the seam's answers, from libvirt through the bridge."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import libvirt

from vmtui.backends.base import Console, DeletePlan, Feature, ProgressSink
from vmtui.backends.libvirt import create as creation
from vmtui.backends.libvirt import delete as deletion
from vmtui.backends.libvirt import listing, logs, power, stats
from vmtui.backends.libvirt.bridge import Bridge
from vmtui.backends.libvirt.console import StreamConsole
from vmtui.backends.libvirt.domain_facts import Definition, parse
from vmtui.backends.libvirt.events import Events
from vmtui.backends.libvirt.listing import Seen
from vmtui.backends.libvirt.places import Places, last_words
from vmtui.backends.libvirt.stats import Sampler
from vmtui.backends.libvirt.volumes import whole
from vmtui.errors import (
    BusyError,
    NoSuchVMError,
    OperationError,
    UnreachableError,
    UnsupportedError,
    read_only,
)
from vmtui.model import (
    VM,
    Accel,
    Counters,
    Event,
    Host,
    HostCounters,
    Power,
    Stalled,
    State,
    VMId,
)
from vmtui.spec import VMSpec
from vmtui.units import MIB

T = TypeVar("T")

DEFINE_TIMEOUT_S = 8.0
VERSION_TIMEOUT_S = 8.0
DELETE_TIMEOUT_S = 120.0

_POWER = Feature.SHUTDOWN | Feature.REBOOT | Feature.PAUSE
# By what a connection calls its driver; of others, only what every driver has.
_FEATURES = {
    "QEMU": _POWER
    | Feature.RESET
    | Feature.CREATE
    | Feature.DELETE
    | Feature.CONSOLE
    | Feature.LOG,
    "TEST": _POWER | Feature.RESET | Feature.CREATE | Feature.DELETE,
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
        prove: Prove = _prove,
    ) -> None:
        self.uri = uri
        self.features = Feature.NONE
        self._read_only = read_only
        self._given_places = places
        self._places = places or Places(local=False, session=False)
        self._prove = prove
        self._driver = ""
        self._bridge: Bridge | None = None
        self._events: Events | None = None
        self._sampler: Sampler | None = None
        self._definitions: dict[VMId, Definition] = {}
        self._changes: dict[VMId, int] = {}  # goes up whenever a definition may be outdated
        self._domains: dict[VMId, libvirt.virDomain] = {}
        self._busy: dict[VMId, list[str]] = {}
        self._defining: dict[VMId, asyncio.Future[Definition]] = {}

    # -- connection --------------------------------------------------------------------------

    async def open(self) -> None:
        """Connect, and listen for changes from the start. Raises UnreachableError."""
        await self.close()
        bridge = Bridge(self.uri)
        await bridge.open(read_only=self._read_only)
        self._bridge = bridge
        try:
            self._driver, uri = await bridge.call(
                "ask the connection what it is", lambda c: (str(c.getType()), str(c.getURI()))
            )
            self._places = self._given_places or Places.of(uri)
            self._events = Events(bridge, self._on_change)
            self._sampler = Sampler(bridge)
            await self._events.register()
        except BaseException:
            await self.close()
            raise
        bridge.on_lost.append(self._events.end)
        if bridge.lost is not None:
            raise bridge.lost
        self.features = _FEATURES.get(self._driver.upper(), _POWER)
        if self._read_only:
            self.features &= ~Feature.CONSOLE  # libvirt opens none on a read-only connection

    async def close(self) -> None:
        """Let go of the connection; VMs go on."""
        bridge, self._bridge = self._bridge, None
        events, self._events = self._events, None
        self._sampler = None
        self._definitions.clear()
        self._changes.clear()
        self._domains.clear()
        self._busy.clear()
        self._defining.clear()
        if events is not None:
            events.end(UnreachableError(f"{self.uri} was closed"))
        if bridge is not None:
            for callback in tuple(bridge.on_lost):
                callback(UnreachableError(f"{self.uri} was closed"))
            await bridge.close()

    def _open_bridge(self) -> Bridge:
        if self._bridge is None:
            raise UnreachableError(f"{self.uri} is not connected")
        if self._bridge.lost is not None:
            raise self._bridge.lost
        return self._bridge

    def _on_change(self, vm: VMId) -> None:
        self._changes[vm] = self._changes.get(vm, 0) + 1
        self._definitions.pop(vm, None)
        self._defining.pop(vm, None)

    # -- the host ----------------------------------------------------------------------------

    async def host(self) -> Host:
        """Its size and software, and what `auto` comes to on it."""
        bridge = self._open_bridge()
        host = await bridge.call("ask about the host", _host)
        try:
            version = await bridge.call(
                "ask for the hypervisor's version",
                lambda c: listing.attempt(c.getVersion, 0),
                timeout_s=VERSION_TIMEOUT_S,
            )
        except UnreachableError:
            # For this libvirt probes QEMU, for seconds where KVM is there but does not work.
            if bridge.lost is not None:
                raise
            version = 0
        hypervisor = " · ".join(
            filter(None, (_version(self._driver, int(version)), host.hypervisor))
        )
        host = replace(host, hypervisor=hypervisor)
        accel, reason = await self._accel(bridge)
        return replace(host, accel=accel, accel_reason=reason)

    async def _accel(self, bridge: Bridge) -> tuple[Accel, str]:
        if self._driver.upper() != "QEMU":
            return Accel.TCG, f"{self._driver} has no acceleration of its own"
        if self._places.local:
            return await self._prove()
        kvm = await bridge.call("ask for the host's capabilities", _has_kvm)
        return (Accel.KVM, "the host offers it") if kvm else (Accel.TCG, "the host has no KVM")

    async def host_counters(self) -> HostCounters:
        """CPU time and memory; None for what the driver does not tell."""
        return await self._open_bridge().call("read the host's figures", stats.host_counters)

    # -- listing -----------------------------------------------------------------------------

    async def vms(self) -> Sequence[VM]:
        """All domains: a few calls for all, and one more for each that changed."""
        bridge = self._open_bridge()
        seen = await bridge.call("list the VMs", listing.list_all)
        self._domains = {one.id: one.domain for one in seen}
        definitions = await asyncio.gather(*(self._definition(bridge, one) for one in seen))
        leases = (
            await bridge.call("list the addresses", listing.leases)
            if listing.on_networks(definitions)
            else {}
        )
        pairs = list(zip(seen, definitions, strict=True))
        return await bridge.call(
            "list the VMs",
            lambda _: [listing.described(s, d, self._places, leases) for s, d in pairs],
        )

    async def vm(self, vm: VMId) -> VM:
        """One domain."""
        bridge = self._open_bridge()
        seen = await bridge.call("look at the VM", listing.see, vm)
        self._domains[vm] = seen.domain
        definition = await self._definition(bridge, seen)
        networked = seen.state.active and listing.on_networks([definition])
        leases = await bridge.call("list the addresses", listing.leases) if networked else {}
        return await bridge.call(
            "look at the VM", lambda _: listing.described(seen, definition, self._places, leases)
        )

    async def _definition(self, bridge: Bridge, seen: Seen) -> Definition:
        """From memory while nothing changed it; never asked for twice at once."""
        known = self._definitions.get(seen.id)
        if known is not None:
            return known
        reading = self._defining.get(seen.id)
        if reading is None:
            changes = self._changes.get(seen.id, 0)
            reading = bridge.start(listing.define, seen)
            reading.add_done_callback(lambda done: self._defined(seen.id, changes, done))
            self._defining[seen.id] = reading
        done, _ = await asyncio.wait({reading}, timeout=DEFINE_TIMEOUT_S)
        if done and reading.exception() is None:
            return reading.result()
        if not done:
            bridge.give_up(reading)
        problem = "its definition could not be read"
        return Definition(VM(seen.id, seen.name, State.OFF, 0, 0, problem=problem))

    def _defined(self, vm: VMId, changes: int, reading: asyncio.Future[Definition]) -> None:
        if self._defining.get(vm) is reading:
            del self._defining[vm]
        fresh = self._changes.get(vm, 0) == changes
        listening = self._events is not None and self._events.registered
        if fresh and listening and not reading.cancelled() and reading.exception() is None:
            self._definitions[vm] = reading.result()

    async def counters(self, vms: Sequence[VMId]) -> Mapping[VMId, Counters | Stalled]:
        """In slices with deadlines."""
        bridge = self._open_bridge()
        unknown = [vm for vm in vms if vm not in self._domains]
        for vm in unknown:
            try:
                seen = await bridge.call("look at the VM", listing.see, vm)
            except NoSuchVMError:
                continue
            self._domains[vm] = seen.domain
        assert self._sampler is not None
        return await self._sampler.sample({v: self._domains[v] for v in vms if v in self._domains})

    async def events(self) -> AsyncIterator[Event]:
        """Whatever libvirt reports, from this and all other clients."""
        self._open_bridge()
        assert self._events is not None
        async for event in self._events.listen():
            yield event

    # -- changes -----------------------------------------------------------------------------

    async def power(self, vm: VMId, op: Power) -> None:
        """One lifecycle operation; one at a time for each VM, except that STOP always goes."""
        bridge = self._open_bridge()
        name = await self._name(vm)
        if self._read_only:
            raise read_only(f"{op.value} of {name}")
        if _NEEDS.get(op, Feature.NONE) not in self.features:
            raise power.unsupported(op, self.uri)
        if vm in self._busy and op is not Power.STOP:
            raise BusyError(
                f"can't {op.value} {name}", why=f"{self._busy[vm][0]} of it is still under way"
            )
        what = f"{op.value} {name}"
        work = self._while_busy(
            vm,
            op.value,
            bridge.call(
                what, power.perform, vm, op, timeout_s=power.TIMEOUTS_S.get(op, power.TIMEOUT_S)
            ),
        )
        try:
            await asyncio.shield(asyncio.ensure_future(work))
        except OperationError as error:
            raise self._explained(error, op, name) from error.__cause__
        finally:
            self._on_change(vm)

    async def _while_busy(self, vm: VMId, what: str, work: Awaitable[T]) -> T:
        under_way = self._busy.setdefault(vm, [])
        under_way.append(what)
        try:
            return await work
        finally:
            under_way.remove(what)
            if not under_way:
                self._busy.pop(vm, None)

    def _explained(self, error: OperationError, op: Power, name: str) -> OperationError:
        words = last_words(self._places, name) if op is Power.START else ""
        if not words or words in error.why:
            return error
        return OperationError(
            error.what, why=f"{error.why}\nQEMU's log ends with:\n{words}", hint=error.hint
        )

    async def _name(self, vm: VMId) -> str:
        return await self._open_bridge().call(
            "look at the VM", lambda c: str(listing.lookup(c, vm).name())
        )

    async def create(self, spec: VMSpec, progress: ProgressSink) -> VMId:
        """Make an ordinary domain, off."""
        bridge = self._open_bridge()
        if self._read_only:
            raise read_only(f"creating {spec.name}")
        if Feature.CREATE not in self.features:
            raise UnsupportedError(f"{self.uri} can't create VMs")
        accel = spec.accel
        if accel is Accel.AUTO:
            accel, _ = await self._accel(bridge)
        return await creation.create(bridge, self._places, spec, accel, progress)

    async def delete_plan(self, vm: VMId) -> DeletePlan:
        """What a deletion would remove, and what would stay."""
        return await self._open_bridge().call(
            "look at what belongs to the VM", deletion.plan, self._places, vm
        )

    async def delete(self, vm: VMId, plan: DeletePlan) -> None:
        """Delete what the plan names."""
        bridge = self._open_bridge()
        name = await self._name(vm)
        if self._read_only:
            raise read_only(f"deleting {name}")
        if Feature.DELETE not in self.features:
            raise UnsupportedError(f"{self.uri} can't delete VMs")
        if vm in self._busy:
            raise BusyError(
                f"can't delete {name}", why=f"{self._busy[vm][0]} of it is still under way"
            )
        agreed = replace(plan, vm=vm)
        work = bridge.call(
            f"delete {name}", deletion.delete, self._places, agreed, timeout_s=DELETE_TIMEOUT_S
        )
        await whole(self._while_busy(vm, "deletion", work))
        self._on_change(vm)
        self._domains.pop(vm, None)

    # -- Consoles ----------------------------------------------------------------------------

    async def console(self, vm: VMId, *, force: bool = False) -> Console:
        """Attach to the first serial console."""
        bridge = self._open_bridge()
        name = await self._name(vm)
        if self._read_only:
            raise read_only(f"the console of {name}")
        if Feature.CONSOLE not in self.features:
            raise UnsupportedError(f"{self.uri} has no consoles")
        return await StreamConsole.attach(bridge, vm, name, force=force)

    async def console_output(self, vm: VMId) -> AsyncGenerator[bytes, None]:
        """From the file that keeps it, else from the console itself if nobody has it."""
        log = await self._console_log(vm)
        if log is not None:
            async for piece in logs.follow(self, vm, log):
                yield piece
            return
        console = await self.console(vm)
        try:
            while data := await console.read():
                yield data
        finally:
            await console.close()

    async def _console_log(self, vm: VMId) -> str | None:
        bridge = self._open_bridge()
        seen = await bridge.call("look at the VM", listing.see, vm)
        path = (await self._definition(bridge, seen)).console_log
        readable = path is not None and await bridge.call(
            "look for the console's log", lambda _: self._places.local and logs.readable(path)
        )
        return path if readable else None

    # -- Logs --------------------------------------------------------------------------------

    async def log(self, vm: VMId, *, limit_bytes: int = 65536) -> str:
        """The end of QEMU's log. Raises UnsupportedError where it can't be read from here."""
        name = await self._name(vm)
        return await self._open_bridge().call(
            f"read the log of {name}",
            lambda _: logs.hypervisor_log(self._places, name, limit_bytes),
        )

    async def console_history(self, vm: VMId, *, limit_bytes: int = 65536) -> bytes:
        """The end of the console's log, where there is one that can be read."""
        log = await self._console_log(vm)
        if log is None:
            return b""
        return await self._open_bridge().call(
            "read the console's log", lambda _: logs.end_of(log, limit_bytes)
        )


def _host(connection: libvirt.virConnect) -> Host:
    info: Any = connection.getInfo()
    library = listing.attempt(lambda: int(connection.getLibVersion()), 0)
    name = listing.attempt(lambda: str(connection.getHostname()), "")
    # The size in `info` is of what is online now on some hosts; the statistics know the whole.
    memory_bytes = stats.host_counters(connection).memory_total_bytes or int(info[1]) * MIB
    return Host(name, int(info[2]), memory_bytes, _version("libvirt", library), Accel.TCG)


def _version(program: str, number: int) -> str:
    if not number:
        return program
    return f"{program} {number // 1_000_000}.{number // 1000 % 1000}.{number % 1000}"


def _has_kvm(connection: libvirt.virConnect) -> bool:
    root = parse(str(connection.getCapabilities()))
    return root is not None and any(
        domain.get("type") == "kvm" for domain in root.iterfind("guest/arch/domain")
    )
