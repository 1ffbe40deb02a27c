"""Devices of this machine that could be passed through, as the kernel tells of them in /sys."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from vmtui.hardware.devices import HostBus, HostDevice
from vmtui.units import plain

_HUB = "09"  # the class of hubs, by the USB specification
_BRIDGE = "0x06"  # the class of bridges, by the PCI specification
_FREE_DRIVERS = frozenset({"", "vfio-pci", "pci-stub"})
_CLASSES = {
    "0x01": "storage",
    "0x02": "network",
    "0x03": "display",
    "0x04": "multimedia",
    "0x05": "memory",
    "0x07": "communication",
    "0x08": "system",
    "0x09": "input",
    "0x0c": "serial bus",
    "0x0d": "wireless",
    "0x12": "accelerator",
}


def read(root: Path = Path("/")) -> tuple[HostDevice, ...]:
    """USB devices without hubs, PCI devices without bridges. Blocks, for a moment."""
    return (*_usb(root), *_pci(root))


# -- USB -------------------------------------------------------------------------------------


def _usb(root: Path) -> Iterator[HostDevice]:
    for device in sorted((root / "sys/bus/usb/devices").glob("[0-9]*-[0-9]*")):
        vendor, product = _text(device / "idVendor"), _text(device / "idProduct")
        if ":" in device.name or not vendor or _text(device / "bDeviceClass") == _HUB:
            continue  # an interface of a device, or a hub
        words = (_text(device / "manufacturer"), _text(device / "product"))
        yield HostDevice(
            HostBus.USB,
            f"{vendor}:{product}",
            " ".join(filter(None, words)) or f"USB device {vendor}:{product}",
            used_by=", ".join(_usb_drivers(device)),
            unavailable=_usb_obstacle(root, device),
        )


def _usb_drivers(device: Path) -> list[str]:
    """Of its interfaces; QEMU takes them away, and gives them back."""
    drivers = {_link(interface / "driver") for interface in device.glob(f"{device.name}:*")}
    return sorted(drivers - {"", "usb", "usbfs"})


def _usb_obstacle(root: Path, device: Path) -> str:
    bus, number = _text(device / "busnum"), _text(device / "devnum")
    if not (bus.isdecimal() and number.isdecimal()):
        return "the kernel does not tell where it is"
    node = root / f"dev/bus/usb/{int(bus):03}/{int(number):03}"
    if not node.exists():
        return f"there is no {node}"
    if not os.access(node, os.R_OK | os.W_OK):
        return f"this user may not write {node}; a udev rule for it helps"
    return ""


# -- PCI -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Card:
    address: str
    kind: str  # class, subclass and interface in hexadecimal digits
    ids: tuple[str, str]
    driver: str
    group: int | None

    @property
    def is_bridge(self) -> bool:
        return self.kind.startswith(_BRIDGE)


def _pci(root: Path) -> Iterator[HostDevice]:
    cards = [
        _Card(
            folder.name,
            _text(folder / "class"),
            (_identity(folder / "vendor"), _identity(folder / "device")),
            _link(folder / "driver"),
            _group(folder),
        )
        for folder in sorted((root / "sys/bus/pci/devices").glob("*:*:*.*"))
    ]
    names = _names(root, {card.ids for card in cards})
    for card in cards:
        if card.is_bridge:
            continue
        kind = _CLASSES.get(card.kind[:4], "PCI")
        yield HostDevice(
            HostBus.PCI,
            card.address,
            names.get(card.ids, f"{kind} {':'.join(card.ids)}"),
            card.group,
            card.driver if card.driver not in _FREE_DRIVERS else "",
            _pci_obstacle(root, card, cards),
        )


def _pci_obstacle(root: Path, card: _Card, cards: list[_Card]) -> str:
    """Why not: what has to be mended first."""
    if card.group is None:
        return (
            "this machine has no IOMMU in use; switch it on in its firmware setup, and boot "
            "Linux with intel_iommu=on or amd_iommu=on"
        )
    if card.driver != "vfio-pci":
        held = f"{card.driver} of the host drives it" if card.driver else "no driver holds it"
        return f"{held}; bind it to vfio-pci: driverctl set-override {card.address} vfio-pci"
    others = [
        other.address
        for other in cards  # bridges stay with the host
        if other.group == card.group and other.driver not in _FREE_DRIVERS and not other.is_bridge
    ]
    if others:
        return f"all of its group go together, and the host drives {', '.join(others)}"
    node = root / f"dev/vfio/{card.group}"
    if not os.access(node, os.R_OK | os.W_OK):
        return f"this user may not open {node}; a udev rule for it helps"
    return ""


def _names(root: Path, wanted: set[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """What devices are called, by vendor and device, where this machine has a list (pci.ids)."""
    found: dict[tuple[str, str], str] = {}
    vendor, vendor_name = "", ""
    for line in _lines(root):
        if line.startswith("C "):
            break  # classes follow
        if line[:1].isalnum():
            vendor, vendor_name = line[:4], line[6:]
        elif line.startswith("\t") and (vendor, line[1:5]) in wanted and line[1] != "\t":
            found[vendor, line[1:5]] = plain(f"{vendor_name} {line[7:]}")
    return found


def _lines(root: Path) -> list[str]:
    for place in ("usr/share/hwdata", "usr/share/misc"):
        with suppress(OSError):
            return (root / place / "pci.ids").read_text("utf-8", "replace").splitlines()
    return []


def _identity(path: Path) -> str:
    return _text(path).removeprefix("0x")


def _group(folder: Path) -> int | None:
    name = _link(folder / "iommu_group")
    return int(name) if name.isdecimal() else None


def _link(path: Path) -> str:
    """The name of what it points to; "" if it is not there."""
    with suppress(OSError):
        return path.readlink().name
    return ""


def _text(path: Path) -> str:
    with suppress(OSError):
        return plain(path.read_text("utf-8", "replace").strip())
    return ""
