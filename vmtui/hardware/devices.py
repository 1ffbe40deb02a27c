"""Devices that can be given to a VM that exists, beside network cards and shared folders."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from vmtui.model import DiskKind
from vmtui.parts import DiskBus, NicSpec, SharedFolder


@dataclass(frozen=True, slots=True)
class NewDisk:
    """A drive: a new and empty one of `size_bytes`, or the one at `path`; a tray may be empty."""

    size_bytes: int | None = None
    path: Path | None = None
    kind: DiskKind = DiskKind.DISK
    bus: DiskBus = DiskBus.VIRTIO
    cache: str = ""
    discard: bool = True
    read_only: bool = False


class HostBus(StrEnum):
    """Where a device of the host is."""

    USB = "usb"
    PCI = "pci"


@dataclass(frozen=True, slots=True)
class HostDevice:
    """A device of the host that can be passed through.

    `address` is `vendor:product` in hexadecimal digits for USB (`1d6b:0002`), domain, bus, slot
    and function for PCI (`0000:00:1f.2`).
    """

    bus: HostBus
    address: str
    label: str = ""
    group: int | None = None  # its IOMMU group; all of one go together
    used_by: str = ""  # a driver of the host, or a VM
    unavailable: str = ""  # why it can't be passed through, and what would help


class ConsoleKind(StrEnum):
    """A text console of the guest."""

    SERIAL = "serial"
    VIRTIO = "virtio"


@dataclass(frozen=True, slots=True)
class NewConsole:
    """One more text console."""

    kind: ConsoleKind = ConsoleKind.SERIAL


Device = NewDisk | NicSpec | SharedFolder | HostDevice | NewConsole
