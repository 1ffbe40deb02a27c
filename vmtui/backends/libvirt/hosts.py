"""What a host is: its size, its software, its acceleration."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import libvirt

from vmtui.backends.libvirt import host_stats, listing
from vmtui.backends.libvirt.bridge import Bridge
from vmtui.backends.libvirt.domain_facts import parse
from vmtui.errors import UnreachableError
from vmtui.model import Accel, Host

VERSION_TIMEOUT_S = 8.0


async def described(bridge: Bridge, driver: str) -> Host:
    """All but the acceleration."""
    host = await bridge.call("ask about the host", _host)
    try:
        version = await bridge.call(
            "ask for the hypervisor's version",
            lambda c: int(listing.attempt(c.getVersion, 0)),
            timeout_s=VERSION_TIMEOUT_S,
        )
    except UnreachableError:
        # For this libvirt probes QEMU, for seconds where KVM is there but does not work.
        if bridge.lost is not None:
            raise
        version = 0
    return replace(host, hypervisor=f"{_version(driver, version)} · {host.hypervisor}")


async def offered_accel(bridge: Bridge) -> tuple[Accel, str]:
    """Of another machine: what it says; nothing was proven there."""
    kvm = await bridge.call("ask for the host's capabilities", _has_kvm)
    return (Accel.KVM, "the host offers it") if kvm else (Accel.TCG, "the host has no KVM")


def _host(connection: libvirt.virConnect) -> Host:
    info: Any = connection.getInfo()
    library = listing.attempt(lambda: int(connection.getLibVersion()), 0)
    name = listing.attempt(lambda: str(connection.getHostname()), "")
    memory_bytes = host_stats.total_bytes(connection) or 0
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
