"""Memory that the host can't read: which kinds a domain's host offers, and why not the others."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import libvirt

from vmtui.backends.kvm import confidential
from vmtui.backends.libvirt.domain_facts import parse
from vmtui.backends.libvirt.listing import attempt
from vmtui.backends.libvirt.places import Places

_KINDS = {"SEV": "sev", "SEV-SNP": "sev-snp", "TDX": "tdx"}


def notes(connection: libvirt.virConnect, places: Places) -> tuple[str, ...]:
    """A line each for SEV, SEV-SNP and TDX."""
    host = parse(attempt(lambda: str(connection.getCapabilities()), ""))
    arch = host.findtext("host/cpu/arch", "") if host is not None else ""
    if host is None or host.find(f"guest/arch[@name='{arch}']/domain[@type='kvm']") is None:
        return tuple(f"{kind}: absent, the host offers no KVM" for kind in _KINDS)
    offered = _offered(
        parse(attempt(lambda: str(connection.getDomainCapabilities(None, arch, None, "kvm")), ""))
    )
    # Of this machine the kernel tells why not.
    reasons = dict(line.split(": ", 1) for line in confidential.notes()) if places.local else {}
    return tuple(
        f"{kind}: offered by the host"
        if word in offered
        else f"{kind}: {_absent(reasons.get(kind, ''))}"
        for kind, word in _KINDS.items()
    )


def _absent(reason: str) -> str:
    if reason.startswith("absent"):
        return reason
    return "absent, libvirt or QEMU of the host does not offer it"


def _offered(capabilities: ET.Element | None) -> frozenset[str]:
    if capabilities is None:
        return frozenset()
    found = {
        value.text or ""
        for value in capabilities.iterfind(
            "features/launchSecurity[@supported='yes']/enum[@name='sectype']/value"
        )
    }
    # Before there was a list of them, SEV had an element of its own.
    if capabilities.find("features/sev[@supported='yes']") is not None:
        found.add("sev")
    return frozenset(found)
