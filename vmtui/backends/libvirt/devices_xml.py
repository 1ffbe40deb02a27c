"""The devices of a domain that vmtui makes, as XML."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from string import ascii_lowercase
from xml.etree import ElementTree as ET

from vmtui.counters import GUEST_PERIOD_S
from vmtui.parts import DiskBus, Forward


@dataclass(frozen=True, slots=True)
class Medium:
    """A drive's content: the path on the host of the hypervisor."""

    path: str
    format: str


@dataclass(frozen=True, slots=True)
class Drive:
    """A drive with its content, and the files that this leans on, the nearest first."""

    medium: Medium
    cdrom: bool = False
    bus: DiskBus = DiskBus.VIRTIO
    cache: str = ""
    discard: bool = True
    backing: tuple[Medium, ...] = ()
    boot_order: int | None = None


@dataclass(frozen=True, slots=True)
class Card:
    """A network card; `kind` is libvirt's: `user`, `network` or `bridge`."""

    kind: str
    source: str = ""
    mac: str = ""
    model: str = "virtio"
    forwards: tuple[Forward, ...] = ()
    connected: bool = True
    boot_order: int | None = None


@dataclass(frozen=True, slots=True)
class Share:
    """A folder of the hypervisor's host, under a tag; by 9p if not by virtiofs."""

    path: str
    tag: str
    virtiofs: bool
    read_only: bool = False


_PREFIXES = {DiskBus.VIRTIO: "vd", DiskBus.IDE: "hd", DiskBus.NVME: "nvme"}


PCIE_PORTS = 12
"""Each device of a PCIe machine is in one; libvirt alone would leave one free to plug into."""


def add_devices(
    devices: ET.Element,
    *,
    drives: Sequence[Drive],
    cards: Sequence[Card],
    shares: Sequence[Share],
    console_log: str | None,
    screen: bool,
    tpm: bool,
    pcie: bool,
    bare: bool,
) -> None:
    """Add all of them; `pcie`: the machine has ports; `bare`: the driver runs no guests."""
    if pcie:
        _ports(devices)
    if any(drive.bus is DiskBus.SCSI for drive in drives):
        ET.SubElement(devices, "controller", type="scsi", model="virtio-scsi")
    for drive, target in zip(drives, _targets(drives), strict=True):
        _drive(devices, drive, target)
    for card in cards:
        _card(devices, card)
    if not bare:
        for share in shares:
            _share(devices, share)
        _console(devices, console_log)
        _always(devices)
        if tpm:
            device = ET.SubElement(devices, "tpm", model="tpm-crb")
            ET.SubElement(device, "backend", type="emulator", version="2.0")
    if screen:
        _screen(devices)


def _ports(devices: ET.Element) -> None:
    ET.SubElement(devices, "controller", type="pci", index="0", model="pcie-root")
    for index in range(1, PCIE_PORTS + 1):
        ET.SubElement(devices, "controller", type="pci", index=str(index), model="pcie-root-port")


def _targets(drives: Iterable[Drive]) -> Iterator[str]:
    """Their names: letters of their own for each kind of bus that names them alike."""
    used: dict[str, Iterator[int]] = {}
    for drive in drives:
        prefix = _PREFIXES.get(drive.bus, "sd")
        yield prefix + _letters(next(used.setdefault(prefix, count())))


def target_name(bus: str, used: Container[str]) -> str:
    """The first name that is free for one more drive on that bus."""
    prefix = _PREFIXES.get(DiskBus(bus), "sd")
    return next(name for number in count() if (name := prefix + _letters(number)) not in used)


def _letters(number: int) -> str:
    """a … z, aa, ab and so on."""
    more, last = divmod(number, len(ascii_lowercase))
    return (_letters(more - 1) if more else "") + ascii_lowercase[last]


def _drive(devices: ET.Element, drive: Drive, target: str) -> None:
    kind = "cdrom" if drive.cdrom else "disk"
    disk = ET.SubElement(devices, "disk", type="file", device=kind)
    driver = {"name": "qemu", "type": drive.medium.format}
    if drive.cache:
        driver["cache"] = drive.cache
    if not drive.cdrom and drive.discard:
        driver["discard"] = "unmap"
    ET.SubElement(disk, "driver", driver)
    ET.SubElement(disk, "source", file=drive.medium.path)
    chain = disk
    for medium in drive.backing:
        chain = backing_element(chain, medium)
    # Ends the chain here: a backing file that an image names by itself is never followed.
    ET.SubElement(chain, "backingStore")
    ET.SubElement(disk, "target", dev=target, bus=drive.bus.value)
    if drive.cdrom:
        ET.SubElement(disk, "readonly")
    if drive.boot_order is not None:
        ET.SubElement(disk, "boot", order=str(drive.boot_order))


def backing_element(parent: ET.Element, medium: Medium) -> ET.Element:
    """What a disk leans on, with its format said rather than looked for; without an end yet."""
    backing = ET.SubElement(parent, "backingStore", type="file")
    ET.SubElement(backing, "format", type=medium.format)
    ET.SubElement(backing, "source", file=medium.path)
    return backing


def _card(devices: ET.Element, card: Card) -> None:
    interface = ET.SubElement(devices, "interface", type=card.kind)
    if card.mac:
        ET.SubElement(interface, "mac", address=card.mac)
    if card.source:
        ET.SubElement(interface, "source", {card.kind: card.source})
    for forward in card.forwards:
        port = ET.SubElement(interface, "portForward", proto="tcp", address=forward.host_address)
        ET.SubElement(port, "range", start=str(forward.host_port), to=str(forward.guest_port))
    ET.SubElement(interface, "model", type=card.model)
    if card.forwards:
        ET.SubElement(interface, "backend", type="passt")
    if not card.connected:
        ET.SubElement(interface, "link", state="down")
    if card.boot_order is not None:
        ET.SubElement(interface, "boot", order=str(card.boot_order))


def _share(devices: ET.Element, share: Share) -> None:
    # By 9p QEMU keeps the guest's owners beside the files: it need not be root for that.
    mode = "passthrough" if share.virtiofs else "mapped"
    folder = ET.SubElement(devices, "filesystem", type="mount", accessmode=mode)
    ET.SubElement(folder, "driver", type="virtiofs" if share.virtiofs else "path")
    ET.SubElement(folder, "source", dir=share.path)
    ET.SubElement(folder, "target", dir=share.tag)
    if share.read_only:
        ET.SubElement(folder, "readonly")


def _always(devices: ET.Element) -> None:
    channel = ET.SubElement(devices, "channel", type="unix")
    ET.SubElement(channel, "target", type="virtio", name="org.qemu.guest_agent.0")
    rng = ET.SubElement(devices, "rng", model="virtio")
    ET.SubElement(rng, "backend", model="random").text = "/dev/urandom"
    balloon = ET.SubElement(devices, "memballoon", model="virtio", freePageReporting="on")
    # Without a period the guest tells its memory once and then never again.
    ET.SubElement(balloon, "stats", period=str(GUEST_PERIOD_S))


def _console(devices: ET.Element, log: str | None) -> None:
    serial = ET.SubElement(devices, "serial", type="pty")
    if log:
        # Starts anew with every start, as what is kept is "since the start".
        ET.SubElement(serial, "log", file=log, append="off")
    ET.SubElement(serial, "target", port="0")
    console = ET.SubElement(devices, "console", type="pty")
    if log:
        ET.SubElement(console, "log", file=log, append="off")
    ET.SubElement(console, "target", type="serial", port="0")


def _screen(devices: ET.Element) -> None:
    ET.SubElement(devices, "input", type="tablet", bus="usb")
    graphics = ET.SubElement(devices, "graphics", type="vnc")
    ET.SubElement(graphics, "listen", type="socket")
    video = ET.SubElement(devices, "video")
    ET.SubElement(video, "model", type="vga")
