"""Devices of a domain's host that could be passed through, as libvirt's books have them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import libvirt

from vmtui.backends import host_devices
from vmtui.backends.libvirt.configuring.attaching import address
from vmtui.backends.libvirt.configuring.elements import Element, got, parsed, said
from vmtui.backends.libvirt.listing import attempt, attempt_all
from vmtui.backends.libvirt.places import Places
from vmtui.hardware.devices import HostBus, HostDevice
from vmtui.units import plain

_BRIDGE = "0x06"  # the class of bridges, by the PCI specification
_HUB = "9"  # the class of hubs, by the USB specification
_ROOT_HUBS = "1d6b"  # Linux's own, by their vendor
_FREE_DRIVERS = frozenset({"", "vfio-pci", "pci-stub"})
_PCI = ("domain", "bus", "slot", "function")


def look(connection: libvirt.virConnect, places: Places) -> tuple[HostDevice, ...]:
    """All of them, with the VMs that run with them."""
    if places.session and places.local:
        # What a session may have is what its user may.
        found = host_devices.read()
    else:
        devices = _listed(connection)
        found = (*_usb(devices), *_pci(devices, session=places.session))
    holders = _holders(connection)
    told = [_held(one, holders.get((one.bus.value, one.address), "")) for one in found]
    return tuple(_told_apart(told))


def _told_apart(devices: Sequence[HostDevice]) -> Iterator[HostDevice]:
    """USB devices go by what they are: of several that are alike libvirt takes none."""
    counts = Counter((one.bus, one.address) for one in devices)
    for one in {(one.bus, one.address): one for one in devices}.values():
        count = counts[one.bus, one.address]
        alike = f"the host has {count} that are alike; unplug the others"
        yield replace(one, unavailable=alike) if count > 1 else one


def _listed(connection: libvirt.virConnect) -> list[Element]:
    flags = (
        libvirt.VIR_CONNECT_LIST_NODE_DEVICES_CAP_USB_DEV
        | libvirt.VIR_CONNECT_LIST_NODE_DEVICES_CAP_USB_INTERFACE
        | libvirt.VIR_CONNECT_LIST_NODE_DEVICES_CAP_PCI_DEV
    )
    texts = (
        attempt(lambda device=device: str(device.XMLDesc(0)), "")  # type: ignore[misc]
        for device in attempt_all(lambda: connection.listAllDevices(flags))
    )
    return [parsed(text) for text in texts if text]  # one that was pulled out meanwhile has none


def _holders(connection: libvirt.virConnect) -> Mapping[tuple[str, str], str]:
    """By bus and address, the VM that runs with it."""
    held = {}
    for domain in attempt_all(
        lambda: connection.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE)
    ):
        text = attempt(lambda domain=domain: str(domain.XMLDesc(0)), "")  # type: ignore[misc]
        for device in parsed(text).iterfind("devices/hostdev") if text else ():
            held[device.get("type", ""), address(device)] = str(domain.name())
    return held


def _held(device: HostDevice, name: str) -> HostDevice:
    if not name:
        return device
    return replace(device, used_by=name, unavailable=f"{name} has it; detach it there first")


def _label(capability: Element, ids: str) -> str:
    words = " ".join(filter(None, (said(capability, "vendor"), said(capability, "product"))))
    return plain(words) or ids


def _id(capability: Element, what: str) -> str:
    return f"{int(got(capability, what, 'id') or '0', 16):04x}"


# -- USB -------------------------------------------------------------------------------------


def _usb(devices: list[Element]) -> Iterator[HostDevice]:
    drivers: dict[str, set[str]] = defaultdict(set)
    hubs = set()
    for interface in devices:
        parent = said(interface, "parent")
        if interface.find("capability[@type='usb']") is not None:
            drivers[parent].add(said(interface, "driver/name"))
            if said(interface, "capability/class") == _HUB:
                hubs.add(parent)
    for device in devices:
        capability, name = device.find("capability[@type='usb_device']"), said(device, "name")
        if capability is None or name in hubs or _id(capability, "vendor") == _ROOT_HUBS:
            continue
        ids = f"{_id(capability, 'vendor')}:{_id(capability, 'product')}"
        used_by = ", ".join(sorted(drivers[name] - {"", "usb", "usbfs"}))
        yield HostDevice(HostBus.USB, ids, _label(capability, ids), used_by=plain(used_by))


# -- PCI -------------------------------------------------------------------------------------


def _pci(devices: list[Element], *, session: bool) -> Iterator[HostDevice]:
    found = {}
    for device in devices:
        capability = device.find("capability[@type='pci']")
        if capability is not None and not said(capability, "class").startswith(_BRIDGE):
            found[_pci_address(capability)] = (device, capability)
    drivers = {where: said(device, "driver/name") for where, (device, _) in found.items()}
    groups = {where: got(one, "iommuGroup", "number") for where, (_, one) in found.items()}
    for where, (_, capability) in found.items():
        group, driver = groups[where], drivers[where]
        others = [
            other
            for other, its in groups.items()
            if its == group and other != where and drivers[other] not in _FREE_DRIVERS
        ]
        ids = f"{_id(capability, 'vendor')}:{_id(capability, 'product')}"
        yield HostDevice(
            HostBus.PCI,
            where,
            _label(capability, ids),
            int(group) if group.isdecimal() else None,
            plain(driver) if driver not in _FREE_DRIVERS else "",
            _obstacle(group, driver, others, session=session),
        )


def _pci_address(capability: Element) -> str:
    domain, bus, slot, function = (int(said(capability, name) or "0", 0) for name in _PCI)
    return f"{domain:04x}:{bus:02x}:{slot:02x}.{function:x}"


def _obstacle(group: str, driver: str, others: list[str], *, session: bool) -> str:
    """Why not. libvirt of the system takes a device from its driver, and gives it back."""
    if not group:
        return (
            "the host has no IOMMU in use; switch it on in its firmware setup, and boot Linux "
            "with intel_iommu=on or amd_iommu=on"
        )
    if others:
        return f"all of its group go together, and the host drives {', '.join(others)}"
    if session and driver != "vfio-pci":
        held = f"{driver} of the host drives it" if driver else "no driver holds it"
        return plain(f"{held}; bind it to vfio-pci (driverctl set-override ADDRESS vfio-pci)")
    return ""
