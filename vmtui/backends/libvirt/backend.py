"""Any libvirt connection: the seam's answers, from libvirt through the bridge."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from vmtui.backends import local_host
from vmtui.backends.base import Console, DeletePlan, Feature, ProgressSink, Viewer, console_named
from vmtui.backends.joined_console import JoinedConsole, LoggedConsole
from vmtui.backends.kept_output import ALL, KeptOutput, WatchedConsole
from vmtui.backends.libvirt import create as creation
from vmtui.backends.libvirt import delete as deletion
from vmtui.backends.libvirt import host_stats, hosts, listing, logs, power
from vmtui.backends.libvirt.addresses import Addresses
from vmtui.backends.libvirt.bridge import Bridge
from vmtui.backends.libvirt.changes import Changes
from vmtui.backends.libvirt.console import StreamConsole
from vmtui.backends.libvirt.display import Screens
from vmtui.backends.libvirt.domain_facts import Definition
from vmtui.backends.libvirt.events import Events
from vmtui.backends.libvirt.listing import Seen
from vmtui.backends.libvirt.places import Places, last_words
from vmtui.backends.libvirt.processes import Processes
from vmtui.backends.libvirt.stats import Sampler
from vmtui.backends.libvirt.volumes import whole
from vmtui.counters import Counters, HostCounters, Stalled
from vmtui.errors import (
    OperationError,
    UnreachableError,
    UnsupportedError,
    read_only,
)
from vmtui.keyboards import known
from vmtui.model import (
    VM,
    Accel,
    Event,
    Host,
    Power,
    State,
    VMId,
)
from vmtui.picture import Picture
from vmtui.spec import VMSpec

T = TypeVar("T")

DEFINE_TIMEOUT_S = 8.0
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
    | Feature.DISPLAY,
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
        prove: Prove = _prove,
    ) -> None:
        self.uri = uri
        self.features = Feature.NONE
        self._read_only = read_only
        self._given_places = places
        self._places = places or Places(local=False, session=False)
        self._prove = prove
        self._driver = ""
        self._bridge: Bridge | None = None  # for what answers at once, and events
        self._changing: Changes | None = None
        self._events: Events | None = None
        self._sampler: Sampler | None = None
        self._screens: Screens | None = None
        self._addresses: Addresses | None = None
        self._definitions: dict[VMId, Definition] = {}
        self._changes: dict[VMId, int] = {}  # goes up whenever a definition may be outdated
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
            self._sampler = Sampler(
                self._connected,
                Processes(self._places),
                local=self._here,
                may_arm=not self._read_only,
            )
            self._changing = Changes(self._connected)
            self._screens = Screens(self._connected)
            self._addresses = Addresses(self._connected, self._events.changed)
            await self._events.register()
        except BaseException:
            await self.close()
            raise
        bridge.on_lost.append(self._events.end)
        if bridge.lost is not None:
            raise bridge.lost
        self.features = _FEATURES.get(self._driver.upper(), _POWER)
        if self._read_only:
            # libvirt has neither on a read-only connection.
            self.features &= ~(Feature.CONSOLE | Feature.DISPLAY)

    async def close(self) -> None:
        """Let go of the connection; VMs go on."""
        bridge, self._bridge = self._bridge, None
        changing, self._changing = self._changing, None
        events, self._events = self._events, None
        sampler, self._sampler = self._sampler, None
        screens, self._screens = self._screens, None
        addresses, self._addresses = self._addresses, None
        self._definitions.clear()
        self._changes.clear()
        self._defining.clear()
        if events is not None:
            events.end(UnreachableError(f"{self.uri} was closed"))
        if bridge is not None:
            for callback in tuple(bridge.on_lost):
                callback(UnreachableError(f"{self.uri} was closed"))
        for connection in (addresses, sampler, screens, changing, bridge):
            if connection is not None:
                await connection.close()

    async def _connected(self) -> Bridge:
        """One more connection to the same place."""
        self._open_bridge()
        bridge = Bridge(self.uri)
        await bridge.open(read_only=self._read_only)
        return bridge

    def _open_changes(self) -> Changes:
        self._open_bridge()
        assert self._changing is not None
        return self._changing

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
        host = await hosts.described(self._open_bridge(), self._driver)
        accel, reason = await self._accel()
        return replace(host, accel=accel, accel_reason=reason)

    async def _accel(self) -> tuple[Accel, str]:
        if self._driver.upper() != "QEMU":
            return Accel.TCG, f"{self._driver} has no acceleration of its own"
        if self._places.local:
            return await self._prove()
        return await hosts.offered_accel(self._open_bridge())

    @property
    def _here(self) -> bool:
        """Whether its VMs run on this machine; the driver for tests has a host of its own."""
        return self._places.local and self._driver.upper() != "TEST"

    async def host_counters(self) -> HostCounters:
        """All of this machine; of another, what libvirt tells."""
        bridge = self._open_bridge()
        if self._here:
            return local_host.read()
        return await bridge.call("read the host's figures", host_stats.read)

    # -- listing -----------------------------------------------------------------------------

    async def vms(self) -> Sequence[VM]:
        """All domains: a few calls for all, and one more for each that changed."""
        bridge = self._open_bridge()
        seen = await bridge.call("list the VMs", listing.list_all)
        definitions = await asyncio.gather(*(self._definition(bridge, one) for one in seen))
        leases = (
            await bridge.call("list the addresses", listing.leases)
            if listing.on_networks(definitions)
            else {}
        )
        pairs = list(zip(seen, definitions, strict=True))
        vms = await bridge.call(
            "list the VMs",
            lambda _: [listing.described(s, d, self._places, leases) for s, d in pairs],
        )
        return [self._addressed(vm, d) for vm, d in zip(vms, definitions, strict=True)]

    async def vm(self, vm: VMId) -> VM:
        """One domain."""
        bridge = self._open_bridge()
        seen = await bridge.call("look at the VM", listing.see, vm)
        definition = await self._definition(bridge, seen)
        networked = seen.state.active and listing.on_networks([definition])
        leases = await bridge.call("list the addresses", listing.leases) if networked else {}
        described = await bridge.call(
            "look at the VM", lambda _: listing.described(seen, definition, self._places, leases)
        )
        return self._addressed(described, definition)

    def _addressed(self, vm: VM, definition: Definition) -> VM:
        """With addresses from elsewhere, where there is no lease."""
        if self._addresses is None or vm.addresses:
            return vm
        if not vm.state.active:
            self._addresses.forget(vm.id)
            return vm
        return replace(vm, addresses=self._addresses.of(definition))

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
        """What needs no QEMU now, what does at a slower beat; one that hangs costs no other."""
        self._open_bridge()
        assert self._sampler is not None
        return await self._sampler.sample(vms) if vms else {}

    async def events(self) -> AsyncIterator[Event]:
        """Whatever libvirt reports, from this and all other clients."""
        self._open_bridge()
        assert self._events is not None
        async for event in self._events.listen():
            yield event

    # -- changes -----------------------------------------------------------------------------

    async def power(self, vm: VMId, op: Power) -> None:
        """One lifecycle operation; one at a time for each VM, except that STOP always goes."""
        name = await self._name(vm)
        if self._read_only:
            raise read_only(f"{op.value} of {name}")
        if _NEEDS.get(op, Feature.NONE) not in self.features:
            raise power.unsupported(op, self.uri)
        changes = self._open_changes()
        if op is not Power.STOP:
            changes.check(vm, op.value, name)
        limit_s = power.TIMEOUTS_S.get(op, power.TIMEOUT_S)
        change = changes.start(
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
            raise self._explained(error, op, name) from error.__cause__
        finally:
            self._on_change(vm)

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
        self._open_bridge()
        if self._read_only:
            raise read_only(f"creating {spec.name}")
        if Feature.CREATE not in self.features:
            raise UnsupportedError(f"{self.uri} can't create VMs")
        accel = spec.accel
        if accel is Accel.AUTO:
            accel, _ = await self._accel()
        return await self._open_changes().over_own(
            lambda bridge: creation.create(bridge, self._places, spec, accel, progress)
        )

    async def delete_plan(self, vm: VMId) -> DeletePlan:
        """What a deletion would remove, and what would stay."""
        return await self._open_bridge().call(
            "look at what belongs to the VM", deletion.plan, self._places, vm
        )

    async def delete(self, vm: VMId, plan: DeletePlan) -> None:
        """Delete what the plan names."""
        name = await self._name(vm)
        if self._read_only:
            raise read_only(f"deleting {name}")
        if Feature.DELETE not in self.features:
            raise UnsupportedError(f"{self.uri} can't delete VMs")
        changes = self._open_changes()
        changes.check(vm, "delete", name)
        agreed = replace(plan, vm=vm)
        change = changes.start(
            vm,
            "deletion",
            lambda bridge: bridge.call(
                f"delete {name}", deletion.delete, self._places, agreed, timeout_s=DELETE_TIMEOUT_S
            ),
        )
        await whole(change)
        self._on_change(vm)

    # -- Consoles ----------------------------------------------------------------------------

    async def console(
        self, vm: VMId, name: str = "", *, force: bool = False, history_bytes: int = 0
    ) -> Console:
        """Over a stream; all that a file keeps of it from there."""
        if self._read_only:
            raise read_only(f"the console of {await self._name(vm)}")
        if Feature.CONSOLE not in self.features:
            raise UnsupportedError(f"{self.uri} has no consoles")
        definition, name = await self._console(vm, name)
        serial = name.startswith("serial")
        wanted = history_bytes or not serial
        kept = await self._kept(definition, name, history_bytes) if wanted else None
        # Without a name libvirt takes the only one there is: not every driver knows them by name.
        device = name if len(definition.vm.consoles) > 1 else None
        try:
            console = await StreamConsole.attach(
                self._open_bridge(), vm, definition.vm.name, device, force=force
            )
        except BaseException:
            if kept is not None:
                kept.close()
            raise
        if kept is None:
            return console
        return JoinedConsole(console, kept) if serial else LoggedConsole(console, kept)

    async def watch_console(self, vm: VMId, name: str = "", *, history_bytes: int = 0) -> Console:
        """From the file that keeps it."""
        definition, name = await self._console(vm, name)
        kept = await self._kept(definition, name, history_bytes)
        if kept is None:
            raise UnsupportedError(
                f"the console {name} of {definition.vm.name} can't be watched",
                why="libvirt keeps nothing of it where this user can read it",
            )
        return WatchedConsole(kept, logs.still_active(self, vm))

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

    async def _console(self, vm: VMId, name: str) -> tuple[Definition, str]:
        bridge = self._open_bridge()
        seen = await bridge.call("look at the VM", listing.see, vm)
        definition = await self._definition(bridge, seen)
        return definition, console_named(definition.vm, name)

    async def _kept(
        self, definition: Definition, name: str, history_bytes: int
    ) -> KeptOutput | None:
        path = dict(definition.console_logs).get(name)
        if path is None or not self._places.local:
            return None
        return await self._open_bridge().call(
            "read the console's log", lambda _: logs.kept(path, history_bytes)
        )

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
        seen = await self._open_bridge().call("look at the VM", listing.see, vm)
        if self._read_only:
            raise read_only(f"{what} {seen.name}")
        definition = await self._definition(self._open_bridge(), seen)
        if Feature.DISPLAY not in self.features or not definition.vm.displays:
            raise UnsupportedError(
                f"{seen.name} has no screen", hint=f"Use its console: vmtui console {seen.name}"
            )
        assert self._screens is not None
        return seen.name, self._screens

    # -- Logs --------------------------------------------------------------------------------

    async def log(self, vm: VMId, *, limit_bytes: int = 65536) -> str:
        """The end of QEMU's log. Raises UnsupportedError where it can't be read from here."""
        name = await self._name(vm)
        return await self._open_bridge().call(
            f"read the log of {name}",
            lambda _: logs.hypervisor_log(self._places, name, limit_bytes),
        )

    async def console_history(self, vm: VMId, name: str = "", *, limit_bytes: int = 65536) -> bytes:
        """The end of the console's log, where there is one that can be read."""
        kept = await self._kept(*await self._console(vm, name), limit_bytes)
        if kept is None:
            return b""
        try:
            return b"".join(iter(kept.read, b""))
        finally:
            kept.close()
