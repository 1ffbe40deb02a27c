"""The CPUs of a domain's host, and where the threads of its domains may run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any
from xml.etree import ElementTree as ET

import libvirt

from vmtui.backends.libvirt.domain_facts import parse
from vmtui.backends.libvirt.listing import attempt, attempt_all, vm_id
from vmtui.hardware.cores import CoreMap, HostCpu, Placed, parse_cpus


def look(connection: libvirt.virConnect) -> CoreMap:
    """As libvirt's own books have it: no QEMU is asked, so none can hold it up."""
    cpus = tuple(_cpus(parse(str(connection.getCapabilities()))))
    everywhere = frozenset(cpu.number for cpu in cpus)
    active = libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE
    placed = [
        one
        for domain in attempt_all(lambda: connection.listAllDomains(active))
        for one in _placed(domain, everywhere)
    ]
    return CoreMap(cpus, tuple(placed))


def _cpus(capabilities: ET.Element | None) -> Iterator[HostCpu]:
    if capabilities is None:
        return
    for cell in capabilities.iterfind("host/topology/cells/cell"):
        for cpu in cell.iterfind("cpus/cpu"):
            # One that is offline has an id and nothing else.
            if (socket := cpu.get("socket_id")) is not None:
                numbers = (cpu.get("id"), cell.get("id"), socket, cpu.get("core_id"))
                yield HostCpu(*(int(number or 0) for number in numbers))


def _placed(domain: libvirt.virDomain, everywhere: frozenset[int]) -> list[Placed]:
    vm, name = vm_id(domain), str(domain.name())
    vcpus: Any = attempt(domain.vcpus, None)
    found = []
    if vcpus:
        for (number, _, _, last), map_ in zip(*vcpus, strict=True):
            cpus = _of(map_) & everywhere
            seen = last if last in everywhere else None
            found.append(Placed(vm, name, f"vCPU {number}", cpus, seen))
    root = parse(attempt(lambda: str(domain.XMLDesc(0)), ""))
    for pin in root.iterfind("cputune/iothreadpin") if root is not None else ():
        cpus = _listed(pin.get("cpuset", "")) & everywhere
        found.append(Placed(vm, name, f"I/O {pin.get('iothread', '')}".rstrip(), cpus))
    emulator: Any = attempt(lambda: domain.emulatorPinInfo(0), None)
    if emulator:
        found.append(Placed(vm, name, "emulator", _of(emulator) & everywhere))
    return [one for one in found if one.cpus]


def _of(flags: Sequence[bool]) -> frozenset[int]:
    return frozenset(number for number, may in enumerate(flags) if may)


def _listed(text: str) -> frozenset[int]:
    try:
        return frozenset(parse_cpus(text))
    except ValueError:
        return frozenset()  # libvirt's own spelling of exceptions, such as ^2
