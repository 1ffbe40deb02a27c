"""What a change of a domain starts from: its definition, now and at its next boot, and its host."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import libvirt

from vmtui.backends.libvirt import host_stats, offers
from vmtui.backends.libvirt.configuring.attaching import card_names, parts
from vmtui.backends.libvirt.configuring.disk_knobs import source
from vmtui.backends.libvirt.configuring.elements import Element, parsed, said
from vmtui.backends.libvirt.configuring.knobs import ranges
from vmtui.backends.libvirt.configuring.table import Table
from vmtui.backends.libvirt.configuring.tuning_knobs import USUAL_WEIGHT, HostCpus, pins
from vmtui.backends.libvirt.domain_facts import parse
from vmtui.backends.libvirt.in_use import volume_at
from vmtui.backends.libvirt.listing import attempt, attempt_all, lookup, state_of
from vmtui.backends.libvirt.places import Places
from vmtui.errors import InputError
from vmtui.hardware.values import Value
from vmtui.model import VMId

VIRTIO_SOUND_SINCE = 10_004_000

_SHARES_OF_CGROUPS_V1 = 1024
_CGROUPS_V2 = Path("/sys/fs/cgroup/cgroup.controllers")
_INACTIVE = libvirt.VIR_DOMAIN_XML_INACTIVE


@dataclass(frozen=True)
class Situation:
    """One domain. `xml` is what is stored, with its secrets where this client may have them."""

    vm: VMId
    name: str
    active: bool
    persistent: bool
    xml: str
    live_xml: str  # empty while it is off
    base: str
    autostart: bool = False
    session: bool = False
    sizes: Mapping[str, int] = field(default_factory=dict)  # of disks, by their targets
    host: HostCpus = field(default_factory=HostCpus)
    host_cpus: int = 0
    host_bytes: int = 0
    libvirt_version: int = 0
    asked_bytes: int | None = None  # of its balloon, the last time
    tpm_state: bool | None = False  # whether a TPM has one already; None: not known

    @cached_property
    def next(self) -> Element:
        """What is stored. Not to be edited: see `copy`."""
        return parsed(self.xml)

    @cached_property
    def now(self) -> Element | None:
        """What runs."""
        return parsed(self.live_xml) if self.active else None

    @cached_property
    def table(self) -> Table:
        """The settings, by the names that this domain's parts have."""
        return Table(self.host, card_names(self.now, self.next))

    def value(self, root: Element | None, key: str) -> Value:
        """Of a setting in `now` or `next`; None where that has none."""
        if root is None:
            return None
        if key == "autostart":
            return self.autostart
        if key.endswith(".size"):
            return self.sizes.get(key.split(".")[1])
        try:
            return self.table.value(root, key)
        except InputError:
            return None  # that part is in the other definition only


def look(connection: libvirt.virConnect, places: Places, vm: VMId) -> Situation:
    """Ask for all of it. Raises libvirtError."""
    domain = lookup(connection, vm)
    active, persistent = state_of(domain).active, bool(attempt(domain.isPersistent, 1))
    told = str(domain.XMLDesc(_INACTIVE))
    secure = _INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE
    xml = attempt(lambda: str(domain.XMLDesc(secure)), told)  # a read-only client may not have them
    live_xml = str(domain.XMLDesc(0)) if active else ""
    root, cpus = parsed(xml), online_cpus(connection)
    return Situation(
        vm,
        str(domain.name()),
        active,
        persistent,
        xml,
        live_xml,
        hashlib.sha256(told.encode()).hexdigest(),
        bool(attempt(domain.autostart, 0)),
        places.session,
        _sizes(connection, domain, root, active=active),
        HostCpus(_usual_shares(places), all=ranges(range(len(cpus)))),
        len(cpus),
        host_stats.total_bytes(connection) or 0,
        int(attempt(connection.getLibVersion, 0)),
        tpm_state=_has_tpm_state(places, vm),
    )


def _has_tpm_state(places: Places, vm: VMId) -> bool | None:
    """libvirt makes the folder when the VM first starts with a TPM, and leaves it from then on."""
    if not places.local or places.tpms is None:
        return None
    try:
        return (places.tpms / vm).is_dir()
    except OSError:
        return None


def _sizes(
    connection: libvirt.virConnect, domain: libvirt.virDomain, root: Element, *, active: bool
) -> dict[str, int]:
    """From QEMU where it runs, else from the pools' books."""
    found = {}
    for target, disk in parts(root, "disk").items():
        path = source(disk)
        if disk.get("device", "disk") != "disk" or not path:
            continue
        size = _live_size(domain, target) if active else None
        volume = volume_at(connection, path) if size is None else None
        if volume is not None:
            size = attempt(lambda volume=volume: int(volume.info()[1]), 0)  # type: ignore[misc]
        if size is None and not active:
            size = _live_size(domain, path)
        if size:
            found[target] = size
    return found


def _live_size(domain: libvirt.virDomain, disk: str) -> int | None:
    return attempt(lambda: int(domain.blockInfo(disk)[0]), None)


def _usual_shares(places: Places) -> int:
    """What a VM has unless told otherwise, which depends on the host's kind of control groups."""
    if places.local and not _CGROUPS_V2.exists():
        return _SHARES_OF_CGROUPS_V1
    return USUAL_WEIGHT


def online_cpus(connection: libvirt.virConnect) -> list[bool]:
    """Of each of the host's CPUs whether it is on."""
    answer: Any = attempt(connection.getCPUMap, None)
    return [bool(on) for on in answer[1]] if answer else []


def free_cpus(connection: libvirt.virConnect, vm: VMId) -> tuple[int, ...]:
    """The host's CPUs that no other domain has for itself."""
    taken: set[int] = set()
    for domain in attempt_all(connection.listAllDomains):
        if str(domain.UUIDString()) != vm:
            root = parsed(attempt(lambda d=domain: str(d.XMLDesc(0)), "<domain/>"))  # type: ignore[misc]
            taken |= {int(cpus) for cpus in pins(root).values() if cpus.isdecimal()}
    return tuple(cpu for cpu, on in enumerate(online_cpus(connection)) if on and cpu not in taken)


def capabilities(connection: libvirt.virConnect, root: Element, places: Places) -> offers.Host:
    """What the host offers a domain of that kind. libvirt may have to probe QEMU first."""
    kind, arch = root.get("type", "qemu"), root.find("os/type")
    machine = arch.get("machine") if arch is not None else None
    name = arch.get("arch", "x86_64") if arch is not None else "x86_64"
    emulator = said(root, "devices/emulator") or None
    xml = attempt(lambda: str(connection.getDomainCapabilities(emulator, name, machine, kind)), "")
    version = int(attempt(connection.getLibVersion, 0))
    return offers.Host(name, False, version, places, parse(xml))
