"""Devices of a domain as what it would take to attach such ones, as far as that can be said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from vmtui.backends.libvirt.configuring.attaching import address
from vmtui.backends.libvirt.configuring.disk_knobs import is_tray, source
from vmtui.backends.libvirt.configuring.elements import Element, got
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


def device_of(element: Element) -> Device | None:
    """The device; None for one that no command could attach."""
    read = _READ.get(element.tag)
    return read(element) if read is not None else None


def _disk(element: Element) -> Device | None:
    path, bus = source(element), got(element, "target", "bus")
    if bus not in tuple(DiskBus) or not (path or is_tray(element)):
        return None
    return NewDisk(
        path=Path(path) if path else None,
        kind=DiskKind.CDROM if is_tray(element) else DiskKind.DISK,
        bus=DiskBus(bus),
        cache=got(element, "driver", "cache"),
        discard=got(element, "driver", "discard") == "unmap",
        read_only=element.find("readonly") is not None,
    )


def _card(element: Element) -> Device | None:
    kind = element.get("type", "")
    if kind not in (NetworkKind.USER, NetworkKind.NETWORK, NetworkKind.BRIDGE):
        return None
    return NicSpec(
        NetworkKind(kind),
        got(element, "source", kind),
        mac=got(element, "mac", "address"),
        model=got(element, "model", "type"),
    )


def _share(element: Element) -> Device:
    read_only = element.find("readonly") is not None
    return SharedFolder(
        Path(got(element, "source", "dir")), got(element, "target", "dir"), read_only
    )


def _host_device(element: Element) -> Device | None:
    where = address(element)
    return HostDevice(HostBus(element.get("type", "")), where) if where else None


_READ: dict[str, Callable[[Element], Device | None]] = {
    "disk": _disk,
    "interface": _card,
    "filesystem": _share,
    "hostdev": _host_device,
    "serial": lambda _: NewConsole(),
    "console": lambda _: NewConsole(ConsoleKind.VIRTIO),
}
