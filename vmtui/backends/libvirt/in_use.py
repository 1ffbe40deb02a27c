"""Which files and secrets domains use, whatever they call them, and what leans on what."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree import ElementTree as ET

import libvirt

from vmtui.backends.libvirt import domain_facts
from vmtui.backends.libvirt.domain_facts import Definition
from vmtui.backends.libvirt.listing import attempt, attempt_all, vm_id
from vmtui.backends.libvirt.places import Places
from vmtui.model import Firmware, VMId


@dataclass(frozen=True, slots=True)
class Others:
    """What other domains use, and how; files by `key_of`."""

    users: dict[str, str]  # file: the name of a domain
    overlays: dict[str, str]  # file: what lies on top of it
    secrets: frozenset[str]  # of their TPMs


def definition_of(domain: libvirt.virDomain, flags: int) -> Definition:
    """What it is, live or with flags as libvirt has them; an empty one where it can't say."""
    xml = attempt(lambda: str(domain.XMLDesc(flags)), "")
    return domain_facts.read(vm_id(domain), str(domain.name()), xml)


def volume_at(connection: libvirt.virConnect, path: str) -> libvirt.virStorageVol | None:
    """The volume at a path, or that of a name after its pool's."""
    if not path.startswith("/"):
        pool_name, _, name = path.partition("/")
        return attempt(
            lambda: connection.storagePoolLookupByName(pool_name).storageVolLookupByName(name), None
        )
    return attempt(lambda: connection.storageVolLookupByPath(path), None)


def key_of(connection: libvirt.virConnect, places: Places, source: str) -> str:
    """The same for a file however a definition names it: by its path, a link, or as a volume."""
    if not source.startswith("/"):
        volume = volume_at(connection, source)
        source = attempt(volume.path, source) if volume is not None else source
    return os.path.realpath(source) if places.local and source.startswith("/") else source


def others_of(connection: libvirt.virConnect, places: Places, vm: VMId | None) -> Others:
    """What all other domains than that one use, and what all volumes lean on."""
    users: dict[str, str] = {}
    overlays: dict[str, str] = {}
    secrets: set[str] = set()
    for domain in connection.listAllDomains():
        if vm_id(domain) == vm:
            continue
        name = str(domain.name())
        for flags in (0, libvirt.VIR_DOMAIN_XML_INACTIVE):
            definition = definition_of(domain, flags)
            for disk in definition.vm.disks:
                if disk.source:
                    users[key_of(connection, places, disk.source)] = name
            if variables := variables_at(definition, places):
                users[key_of(connection, places, variables)] = name
            chain = [key_of(connection, places, path) for path in definition.backing]
            overlays |= dict.fromkeys(chain, f"a disk of {name}")
            secrets.add(definition.tpm_secret)
    for path, leant_on in _chains(connection):
        overlays[key_of(connection, places, leant_on)] = path
    return Others(users, overlays, frozenset(secrets))


def _chains(connection: libvirt.virConnect) -> Iterator[tuple[str, str]]:
    """Each volume of every active pool that has a backing file, with that."""
    active = libvirt.VIR_CONNECT_LIST_STORAGE_POOLS_ACTIVE
    for pool in attempt_all(lambda: connection.listAllStoragePools(active)):
        for volume in attempt_all(pool.listAllVolumes):
            leant_on = below(volume)
            if leant_on:
                yield str(volume.path()), leant_on


def below(volume: libvirt.virStorageVol) -> str:
    """The path of what it leans on, or ""."""
    root = domain_facts.parse(attempt(lambda: str(volume.XMLDesc(0)), ""))
    return ((root.findtext("backingStore/path") if root is not None else "") or "").strip()


def variables_at(definition: Definition, places: Places) -> str:
    """The file with its UEFI variables, or ""."""
    vm = definition.vm
    if definition.nvram or vm.firmware not in (Firmware.UEFI, Firmware.SECURE_BOOT):
        return definition.nvram or ""
    return str(places.variables_of(vm.name) or "")


def variables_of(connection: libvirt.virConnect, places: Places) -> frozenset[str]:
    """The files with UEFI variables that domains have."""
    every = (
        variables_at(definition_of(domain, flags), places)
        for domain in connection.listAllDomains()
        for flags in (0, libvirt.VIR_DOMAIN_XML_INACTIVE)
    )
    return frozenset(path for path in every if path)


def give_variables(domain: ET.Element, places: Places, taken: frozenset[str]) -> None:
    """Have it keep them in a file of its own, where that of its name is that of another one.

    libvirt names the file after the domain, and leaves it as it is when the domain is renamed.
    """
    os_element = domain.find("os")
    if os_element is None or str(places.variables_of(domain.findtext("name", ""))) not in taken:
        return
    nvram = os_element.find("nvram")
    if nvram is None:
        nvram = ET.SubElement(os_element, "nvram")
    nvram.text = str(places.variables_of(domain.findtext("uuid", "")))
