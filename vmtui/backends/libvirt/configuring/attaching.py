"""Parts of a domain by their ids; devices put into its definition, and taken out of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path

from vmtui.backends.libvirt.configuring.disk_knobs import source
from vmtui.backends.libvirt.configuring.elements import (
    Element,
    got,
    have,
    made,
    put,
    take_out,
    under,
)
from vmtui.backends.libvirt.devices_xml import target_name
from vmtui.errors import InputError, UnsupportedError
from vmtui.hardware.devices import (
    ConsoleKind,
    Device,
    HostBus,
    HostDevice,
    NewConsole,
    NewDisk,
)
from vmtui.model import DiskKind
from vmtui.parts import DiskBus, NetworkKind, NicSpec, SharedFolder

FORMATS = {".qcow2": "qcow2", ".vmdk": "vmdk", ".vdi": "vdi", ".vhdx": "vhdx"}
_CARDS = "devices/interface"
_USB = ("vendor", "product")
_PCI = ("domain", "bus", "slot", "function")


Cards = Mapping[str, str]
"""The names of network cards by their addresses, where what runs has others than what is stored."""


def parts(root: Element, kind: str, cards: Cards | None = None) -> dict[str, Element]:
    """By their names, those of a kind: `disk`, `nic`, `share`, `host`, `console` or `serial`."""
    elements = root.findall(f"devices/{_TAGS[kind]}")
    if kind == "nic":
        return dict(zip(_card_names(elements, cards or {}), elements, strict=True))
    names = [_NAMES[kind](index, one) for index, one in enumerate(elements)]
    return {name: one for name, one in zip(names, elements, strict=True) if name}


def _card_names(cards: Sequence[Element], known: Cards) -> Iterator[str]:
    used = set(known.values())
    for card in cards:
        name = known.get(got(card, "mac", "address"))
        if name is None:
            name = next(one for number in count() if (one := f"net{number}") not in used)
            used.add(name)
        yield name


def card_names(*roots: Element | None) -> Cards:
    """The same names for the same cards in each of them."""
    cards = [one for root in roots if root is not None for one in root.iterfind(_CARDS)]
    return {mac: f"net{n}" for n, mac in enumerate(dict.fromkeys(_mac(one) for one in cards))}


def _mac(card: Element) -> str:
    return got(card, "mac", "address")


def named(root: Element, kind: str, cards: Cards | None = None) -> list[str]:
    """Their names alone."""
    return list(parts(root, kind, cards))


def found(root: Element, part: str, cards: Cards | None = None) -> Element:
    """The element of a part. Raises InputError with those that there are."""
    kind, _, name = part.partition(".")
    known = parts(root, kind, cards) if kind in _TAGS else {}
    if name not in known:
        there = ", ".join(f"{kind}.{one}" for one in known) or f"it has none of the kind {kind}"
        raise InputError(f"there is no part {part}", hint=f"There is: {there}.")
    return known[name]


def address(hostdev: Element) -> str:
    """That of a host's device, as HostDevice has it; empty for one by other means."""
    try:
        return _address(hostdev)
    except ValueError:  # what stands there is no number
        return ""


def _address(hostdev: Element) -> str:
    spot = hostdev.find("source/address")
    if hostdev.get("type") == "pci" and spot is not None:
        domain, bus, slot, function = (int(spot.get(name) or "0", 16) for name in _PCI)
        return f"{domain:04x}:{bus:02x}:{slot:02x}.{function:x}"
    if hostdev.get("type") == "usb" and hostdev.find("source/vendor") is not None:
        return ":".join(f"{int(got(hostdev, f'source/{n}', 'id') or '0', 16):04x}" for n in _USB)
    return ""


_TAGS = {
    "disk": "disk",
    "nic": "interface",
    "share": "filesystem",
    "host": "hostdev",
    "console": "console",
    "serial": "serial",
}
_NAMES: dict[str, Callable[[int, Element], str]] = {
    "disk": lambda _, one: got(one, "target", "dev"),
    "share": lambda _, one: got(one, "target", "dir"),
    "host": lambda _, one: address(one),
    "console": lambda index, one: "" if _is_serial(one) else f"console{index}",
    "serial": lambda index, _: f"serial{index}",
}


def _is_serial(console: Element) -> bool:
    """Whether it is a serial port once more, under its older name."""
    target = console.find("target")
    return target is None or target.get("type", "serial") == "serial"


# -- attaching -----------------------------------------------------------------------------------


def attach(root: Element, device: Device) -> Element:
    """Put it in. A new disk's file is to be there by the time that it is started."""
    element = element_of(root, device)
    return put(have(root, "devices"), element)


def element_of(root: Element, device: Device) -> Element:
    """The element, of a device that is to come to that domain."""
    match device:
        case NewDisk():
            return _disk(root, device)
        case NicSpec():
            return _card(device)
        case SharedFolder():
            return _share(root, device)
        case HostDevice():
            return _host_device(root, device)
        case NewConsole():
            return _console(root, device)


def _disk(root: Element, disk: NewDisk) -> Element:
    tray = disk.kind is DiskKind.CDROM
    if disk.path is None and not tray:
        raise InputError("which disk?", hint="Say its size, or the path of one that is there.")
    users = [one for one in parts(root, "disk").values() if disk.path and source(one)]
    if any(source(one) == str(disk.path) for one in users):
        raise InputError(f"{disk.path} is one of its disks already")
    if disk.bus is DiskBus.NVME:
        raise UnsupportedError("libvirt has no disks on nvme", hint="Take virtio, scsi or sata.")
    # A tray is where every system looks for one.
    bus = DiskBus.SATA if tray and disk.bus is DiskBus.VIRTIO else disk.bus
    element = made("disk", {"type": "file", "device": "cdrom" if tray else "disk"})
    driver = {"name": "qemu", "type": "raw" if tray else file_format(disk.path)}
    if disk.cache:
        driver["cache"] = disk.cache
    if disk.discard and not tray:
        driver["discard"] = "unmap"
    under(element, "driver", driver)
    if disk.path is not None:
        under(element, "source", {"file": str(disk.path)})
    used = set(parts(root, "disk"))
    under(element, "target", {"dev": target_name(bus, used), "bus": bus.value})
    if disk.read_only or tray:
        under(element, "readonly")
    if bus is DiskBus.SCSI and root.find("devices/controller[@type='scsi']") is None:
        put(have(root, "devices"), made("controller", {"type": "scsi", "model": "virtio-scsi"}))
    return element


def file_format(path: Path | None) -> str:
    """By its name: what is in a file is not looked into, a guest may have written it."""
    return FORMATS.get(path.suffix.lower(), "raw") if path is not None else "qcow2"


def _card(nic: NicSpec) -> Element:
    kind = nic.network.value
    if nic.network is NetworkKind.ISOLATED:
        raise UnsupportedError(
            "libvirt's user mode can't be shut in",
            hint="Take a network of libvirt's that is isolated.",
        )
    if nic.network is not NetworkKind.USER and not nic.source:
        raise InputError(f"which {kind}?", hint=f"Write {kind}:NAME.")
    element = made("interface", {"type": kind})
    if nic.mac:
        under(element, "mac", {"address": nic.mac})
    if nic.source:
        under(element, "source", {kind: nic.source})
    for forward in nic.forwards:
        port = under(element, "portForward", {"proto": "tcp", "address": forward.host_address})
        ports = {"start": str(forward.host_port), "to": str(forward.guest_port)}
        under(port, "range", ports)
    under(element, "model", {"type": nic.model})
    if nic.forwards:
        under(element, "backend", {"type": "passt"})
    return element


def _share(root: Element, share: SharedFolder) -> Element:
    if share.tag in parts(root, "share"):
        raise InputError(f"a folder is shared under {share.tag} already")
    virtiofs = share.protocol == "virtiofs" or (
        share.protocol == "auto" and has_shared_memory(root)
    )
    if virtiofs and not has_shared_memory(root):
        # Another process serves the folder out of the guest's memory.
        have(root, "memoryBacking/source").set("type", "memfd")
        have(root, "memoryBacking/access").set("mode", "shared")
    mode = "passthrough" if virtiofs else "mapped"
    element = made("filesystem", {"type": "mount", "accessmode": mode})
    under(element, "driver", {"type": "virtiofs" if virtiofs else "path"})
    under(element, "source", {"dir": str(share.path)})
    under(element, "target", {"dir": share.tag})
    if share.read_only:
        under(element, "readonly")
    return element


def has_shared_memory(root: Element) -> bool:
    """Whether another process can have the guest's memory, as virtiofs needs."""
    return got(root, "memoryBacking/access", "mode") == "shared"


def _host_device(root: Element, device: HostDevice) -> Element:
    if device.address in parts(root, "host"):
        raise InputError(f"it has {device.address} already")
    element = made("hostdev", {"mode": "subsystem", "type": device.bus.value, "managed": "yes"})
    where = under(element, "source")
    if device.bus is HostBus.USB:
        for name, text in zip(_USB, device.address.split(":"), strict=True):
            under(where, name, {"id": f"0x{text}"})
    else:
        numbers = device.address.replace(".", ":").split(":")
        under(where, "address", {n: f"0x{t}" for n, t in zip(_PCI, numbers, strict=True)})
    return element


def _console(root: Element, console: NewConsole) -> Element:
    if console.kind is ConsoleKind.VIRTIO:
        element = made("console", {"type": "pty"})
        # Beside serial ports the first console of a domain is the first of them.
        under(element, "target", {"type": "virtio"})
        return element
    element = made("serial", {"type": "pty"})
    under(element, "target", {"port": str(len(root.findall("devices/serial")))})
    return element


# -- detaching -----------------------------------------------------------------------------------


def detach(root: Element, part: str, cards: Cards | None = None) -> None:
    """Take a part out; what a disk is made of stays."""
    kind, _, name = part.partition(".")
    if kind == "console" and name in parts(root, "serial"):
        if name == "serial0":
            # Else libvirt would put it in again.
            for twin in [one for one in root.findall("devices/console") if _is_serial(one)]:
                take_out(twin)
        part = f"serial.{name}"
    take_out(found(root, part, cards))
