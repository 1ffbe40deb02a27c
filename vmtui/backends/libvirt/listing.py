"""Finding domains: few calls for all of them, their XML once each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, TypeVar, cast

import libvirt

from vmtui.backends.libvirt import domain_facts
from vmtui.backends.libvirt.domain_facts import Definition
from vmtui.backends.libvirt.places import Places, started_at_s
from vmtui.backends.libvirt.translate import is_lost
from vmtui.model import VM, Disk, State, VMId

T = TypeVar("T")

_STATES = {
    libvirt.VIR_DOMAIN_NOSTATE: State.RUNNING,
    libvirt.VIR_DOMAIN_RUNNING: State.RUNNING,
    libvirt.VIR_DOMAIN_BLOCKED: State.RUNNING,
    libvirt.VIR_DOMAIN_PAUSED: State.PAUSED,
    libvirt.VIR_DOMAIN_SHUTDOWN: State.STOPPING,
    libvirt.VIR_DOMAIN_SHUTOFF: State.OFF,
    libvirt.VIR_DOMAIN_CRASHED: State.CRASHED,
    libvirt.VIR_DOMAIN_PMSUSPENDED: State.SUSPENDED,
}


@dataclass(frozen=True, slots=True)
class Seen:
    """One domain of a listing."""

    domain: libvirt.virDomain
    id: VMId
    name: str
    state: State
    persistent: bool = True
    autostart: bool = False


def attempt(function: Callable[[], T], otherwise: T) -> T:
    """What `function` gives, or `otherwise` where a driver or a single domain can't say."""
    try:
        return function()
    except libvirt.libvirtError as error:
        if is_lost(error):
            raise
        return otherwise


def attempt_all(function: Callable[[], Iterable[T] | None]) -> list[T]:
    """As `attempt`, for lists."""
    empty: list[T] = []
    return list(attempt(lambda: list(function() or ()), empty))


def lookup(connection: libvirt.virConnect, vm: VMId) -> libvirt.virDomain:
    """The domain of that id."""
    return connection.lookupByUUIDString(vm)


def vm_id(domain: libvirt.virDomain) -> VMId:
    """Its UUID."""
    return VMId(str(domain.UUIDString()))


def state_of(domain: libvirt.virDomain) -> State:
    """What it does now."""
    answer: Any = domain.state()
    return _state(domain, answer[0], saved=lambda: bool(domain.hasManagedSaveImage()))


def _state(domain: libvirt.virDomain, number: int, *, saved: Callable[[], bool]) -> State:
    state = _STATES.get(number, State.RUNNING)
    if state is State.CRASHED and int(domain.ID()) > 0:
        return State.PAUSED  # its guest has, and its definition says to preserve what is left
    return State.SAVED if state is State.OFF and attempt(saved, False) else state


def list_all(connection: libvirt.virConnect) -> list[Seen]:
    """Every domain, in four calls where the driver has bulk statistics."""
    transient = _ids(connection, libvirt.VIR_CONNECT_LIST_DOMAINS_TRANSIENT)
    autostart = _ids(connection, libvirt.VIR_CONNECT_LIST_DOMAINS_AUTOSTART)
    saved = _ids(connection, libvirt.VIR_CONNECT_LIST_DOMAINS_MANAGEDSAVE)
    seen = []
    for domain, number in _states(connection):
        found = vm_id(domain)
        state = _state(domain, number, saved=lambda found=found: found in saved)  # type: ignore[misc]
        seen.append(
            Seen(
                domain, found, str(domain.name()), state, found not in transient, found in autostart
            )
        )
    return seen


def _ids(connection: libvirt.virConnect, flags: int) -> set[VMId]:
    return {vm_id(domain) for domain in attempt_all(lambda: connection.listAllDomains(flags))}


def _states(connection: libvirt.virConnect) -> list[tuple[libvirt.virDomain, int]]:
    # The state alone is never held up by a QEMU that hangs.
    stats = libvirt.VIR_DOMAIN_STATS_STATE
    records = attempt(lambda: connection.getAllDomainStats(stats), None)
    if records is not None:
        return [
            (domain, record.get("state.state", libvirt.VIR_DOMAIN_NOSTATE))
            for domain, record in records
        ]
    found = []
    for domain in connection.listAllDomains():
        with suppress(libvirt.libvirtError):  # it may have gone meanwhile
            answer: Any = domain.state()
            found.append((domain, int(answer[0])))
    return found


def see(connection: libvirt.virConnect, vm: VMId) -> Seen:
    """One domain."""
    domain = lookup(connection, vm)
    return Seen(
        domain,
        vm_id(domain),
        str(domain.name()),
        state_of(domain),
        bool(attempt(domain.isPersistent, 1)),
        bool(attempt(domain.autostart, 0)),
    )


def define(connection: libvirt.virConnect, seen: Seen) -> Definition:
    """Read its XML; a driver or a domain that has none is shown all the same."""
    xml = attempt(lambda: str(seen.domain.XMLDesc(0)), "")
    definition = domain_facts.read(seen.id, seen.name, xml)
    disks = tuple(_measured(connection, disk) for disk in definition.vm.disks)
    pending = seen.state.active and seen.persistent and _is_pending(seen, xml)
    return replace(definition, vm=replace(definition.vm, disks=disks, pending=pending))


def _is_pending(seen: Seen, live_xml: str) -> bool:
    """Whether its next boot takes something otherwise than what runs."""
    inactive = libvirt.VIR_DOMAIN_XML_INACTIVE
    stored_xml = attempt(lambda: str(seen.domain.XMLDesc(inactive)), "")
    if not stored_xml or not live_xml:
        return False
    try:
        from vmtui.backends.libvirt.configuring.pending import is_pending  # noqa: PLC0415
    except ImportError:  # lxml is not there: nothing can be configured, either
        return False
    return is_pending(live_xml, stored_xml)


def _measured(connection: libvirt.virConnect, disk: Disk) -> Disk:
    # From the pool's books: asking the VM for it would wait for a QEMU that hangs.
    if not disk.source or not disk.source.startswith("/"):
        return disk
    try:
        info: Any = connection.storageVolLookupByPath(disk.source).info()
    except libvirt.libvirtError:
        return disk
    return replace(disk, capacity_bytes=int(info[1]) or None)


def leases(connection: libvirt.virConnect) -> dict[str, tuple[str, ...]]:
    """MAC to addresses, from every active network of libvirt's own."""
    found: dict[str, tuple[str, ...]] = {}
    active = libvirt.VIR_CONNECT_LIST_NETWORKS_ACTIVE
    for network in attempt_all(lambda: connection.listAllNetworks(active)):
        for lease in attempt_all(lambda network=network: cast(Any, network.DHCPLeases())):  # type: ignore[misc]
            mac, address = lease.get("mac"), lease.get("ipaddr")
            if mac and address:
                found[mac.lower()] = (*found.get(mac.lower(), ()), str(address))
    return found


def described(
    seen: Seen, definition: Definition, places: Places, addresses: Mapping[str, tuple[str, ...]]
) -> VM:
    """The definition with what is true now."""
    active = seen.state.active
    leased = _addresses(definition.vm, addresses) if active else ()
    return replace(
        definition.vm,
        name=seen.name,
        state=seen.state,
        persistent=seen.persistent,
        autostart=seen.autostart,
        started_at_s=started_at_s(places, seen.name, seen.id) if active else None,
        addresses=leased,
        address_origin="lease" if leased else "",
    )


def _addresses(vm: VM, leases: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(
        dict.fromkeys(
            address for nic in vm.nics for address in leases.get((nic.mac or "").lower(), ())
        )
    )


def on_networks(definitions: Iterable[Definition]) -> bool:
    """Whether any of them could have a lease from libvirt."""
    return any(nic.network.startswith("network") for d in definitions for nic in d.vm.nics)
