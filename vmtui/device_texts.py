"""How devices for a VM that exists are written in one line, on the command line and in forms."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from vmtui.errors import InputError
from vmtui.files import at_home
from vmtui.hardware.devices import ConsoleKind, Device, HostBus, HostDevice, NewConsole, NewDisk
from vmtui.model import DiskKind
from vmtui.part_texts import forward, network, share
from vmtui.parts import DiskBus, NicSpec
from vmtui.units import parse_size_bytes, plain

_USB = re.compile(r"[0-9a-f]{4}:[0-9a-f]{4}")
_PCI = re.compile(r"(?:([0-9a-f]{4}):)?([0-9a-f]{2}:[0-9a-f]{2}\.[0-7])")

EXAMPLES = (
    "disk:10G,bus=scsi",
    "disk:/path/file.qcow2,ro",
    "cdrom:/path/file.iso",
    "nic:bridge:br0,model=e1000",
    "share:/path:tag,ro",
    "usb:1d6b:0002",
    "pci:0000:00:1f.2",
    "console:virtio",
)


def device(text: str) -> Device:
    """The device that `text` says, such as `disk:10G,bus=scsi`. Raises InputError."""
    kind, colon, rest = text.strip().partition(":")
    parse = _KINDS.get(kind)
    if parse is None:
        raise InputError(
            f"{text!r} is not a device", hint="Write it like: " + ", ".join(EXAMPLES) + "."
        )
    try:
        return parse(rest) if colon else parse("")
    except ValueError as error:
        example = next(example for example in EXAMPLES if example.startswith(kind))
        raise InputError(
            f"{text!r} can't be attached", why=str(error), hint=f"Write it like: {example}"
        ) from error


def _disk(text: str) -> NewDisk:
    place, *words = text.split(",")
    if not place:
        raise ValueError("a disk has a size, or the path of a file")
    # A size has no slash; a file of that name in this folder is ./10G.
    found = NewDisk(path=_path(place)) if "/" in place else NewDisk(parse_size_bytes(place))
    for word in words:
        match word.partition("="):
            case ("ro", "", "") if found.path:
                found = replace(found, read_only=True)
            case ("bus", _, value) if value in tuple(DiskBus):
                found = replace(found, bus=DiskBus(value))
            case ("cache", _, value):
                found = replace(found, cache=value)
            case ("discard", _, ("on" | "off") as value):
                found = replace(found, discard=value == "on")
            case _:
                buses = ", ".join(DiskBus)
                raise ValueError(
                    f"{plain(word)!r} is not a disk's: bus= ({buses}), cache=, discard=on or off, "
                    "or ro for a file"
                )
    return found


def _cdrom(text: str) -> NewDisk:
    path = _path(text) if text else None
    return NewDisk(path=path, kind=DiskKind.CDROM, bus=DiskBus.SATA, read_only=True)


def _path(text: str) -> Path:
    return at_home(text).absolute()


def _nic(text: str) -> NicSpec:
    place, *words = text.split(",")
    found = network(place or "user")
    for word in words:
        match word.partition("="):
            case ("model", _, value) if value:
                found = replace(found, model=value)
            case ("mac", _, value) if value:
                found = replace(found, mac=value)
            case ("forward", _, value):
                found = replace(found, forwards=(*found.forwards, forward(value)))
            case _:
                raise ValueError(f"{plain(word)!r} is not a card's: model=, mac= or forward=")
    return found


def _usb(text: str) -> HostDevice:
    if not _USB.fullmatch(text.lower()):
        raise ValueError("a USB device is vendor:product, each of four hexadecimal digits")
    return HostDevice(HostBus.USB, text.lower())


def _pci(text: str) -> HostDevice:
    found = _PCI.fullmatch(text.lower())
    if found is None:
        raise ValueError("a PCI device is domain:bus:slot.function in hexadecimal digits")
    domain, address = found.groups(default="0000")
    return HostDevice(HostBus.PCI, f"{domain}:{address}")


def _console(text: str) -> NewConsole:
    kinds = ", ".join(ConsoleKind)
    if text and text not in tuple(ConsoleKind):
        raise ValueError(f"{plain(text)!r} is none of: {kinds}")
    return NewConsole(ConsoleKind(text or ConsoleKind.SERIAL))


_KINDS: dict[str, Callable[[str], Device]] = {
    "disk": _disk,
    "cdrom": _cdrom,
    "nic": _nic,
    "share": share,
    "usb": _usb,
    "pci": _pci,
    "console": _console,
}
