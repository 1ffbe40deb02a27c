"""The part of QEMU's command line that is drives: files, what they lean on, and their devices."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path

from vmtui.backends.kvm.definition import BootDevice, Definition
from vmtui.backends.kvm.hardware import DiskDefinition
from vmtui.model import DiskKind
from vmtui.parts import DiskBus

BOOT_STEP = 100
"""QEMU starts from the lowest number; this many of a kind come before the next kind."""

_DEFAULT_ORDER: tuple[BootDevice, ...] = ("disk", "cdrom")
# Disks come before media: an empty disk does not boot, so the installer does, and once there is a
# system on the disk it boots although the medium is still in.

# How writes are cached: past the host's page cache, without flushes, and as the guest sees it.
_CACHES = {
    "none": (True, False, True),
    "writeback": (False, False, True),
    "writethrough": (False, False, False),
    "directsync": (True, False, False),
    "unsafe": (False, True, True),
}


def boot_index(definition: Definition, kind: BootDevice, nth: int) -> str:
    """The option that says when the `nth` device of a kind is started from; "" for never."""
    order = definition.boot_order or _DEFAULT_ORDER
    return f",bootindex={BOOT_STEP * order.index(kind) + 1 + nth}" if kind in order else ""


def drives(definition: Definition, folder: Path) -> Iterator[str]:
    """All drives of a VM; files are found in `folder`."""
    sata, ide, disks, media = (itertools.count() for _ in range(4))
    buses = {disk.bus for disk in definition.disk}
    if DiskBus.SCSI in buses:
        yield from ("-device", "virtio-scsi-pci,id=scsi0")
    if DiskBus.IDE in buses:
        # The machine has none of its own; systems of old know no other.
        yield from ("-device", "piix3-ide,id=pata")
    for index, disk in enumerate(definition.disk):
        node = f"disk{index}"
        read_only = disk.read_only or disk.kind is DiskKind.CDROM
        # An absolute `file` stays as it is.
        yield from blockdev(node, folder / disk.file, disk.format, disk=disk, read_only=read_only)
        if disk.kind is DiskKind.CDROM:
            boots = boot_index(definition, "cdrom", next(media))
            tray = _tray(disk.bus, sata)
            yield from ("-device", f"{tray},drive={node}{boots}")
            continue
        device = _device(disk.bus, node, sata, ide)
        boots = boot_index(definition, "disk", next(disks))
        through = "" if _caching(disk)[2] else ",write-cache=off"
        yield from ("-device", f"{device},drive={node}{through}{boots}")


def _tray(bus: DiskBus, sata: Iterator[int]) -> str:
    return "scsi-cd,bus=scsi0.0" if bus is DiskBus.SCSI else f"ide-cd,bus=ide.{next(sata)}"


def _device(bus: DiskBus, node: str, sata: Iterator[int], ide: Iterator[int]) -> str:
    match bus:
        case DiskBus.VIRTIO:
            return "virtio-blk-pci"
        case DiskBus.SCSI:
            return "scsi-hd,bus=scsi0.0"
        case DiskBus.NVME:
            return f"nvme,serial={node}"
        case DiskBus.SATA:
            return f"ide-hd,bus=ide.{next(sata)}"
        case DiskBus.IDE:
            channel, unit = divmod(next(ide), 2)
            return f"ide-hd,bus=pata.{channel},unit={unit}"


def blockdev(
    node: str,
    path: Path,
    file_format: str,
    *,
    disk: DiskDefinition | None = None,
    read_only: bool = False,
) -> Iterator[str]:
    """A node of QEMU's block layer, and before it those that it leans on.

    The format is always said, never probed, and what a file's header says about others never
    followed: a guest that writes an image header to its disk must not choose files of the host.
    """
    backing: str | None = None
    for depth, base in reversed(list(enumerate(disk.base if disk else ()))):
        name = f"{node}-base{depth}"
        yield from _node(name, Path(base.file), base.format, backing, read_only=True)
        backing = name
    discard = disk is None or disk.discard
    yield from _node(
        node, path, file_format, backing, read_only=read_only, discard=discard, disk=disk
    )


def _node(
    node: str,
    path: Path,
    file_format: str,
    backing: str | None,
    *,
    read_only: bool,
    discard: bool = False,
    disk: DiskDefinition | None = None,
) -> Iterator[str]:
    file: dict[str, object] = {"driver": "file", "filename": str(path)}
    block: dict[str, object] = {"node-name": node, "driver": file_format, "file": file}
    if read_only:
        block["read-only"] = True
    elif discard:
        block["discard"] = "unmap"
        file["discard"] = "unmap"
    if disk is not None and disk.cache:
        direct, no_flush, _ = _caching(disk)
        block["cache"] = {"direct": direct, "no-flush": no_flush}
    if file_format == "qcow2":
        block["backing"] = backing
    yield from ("-blockdev", json.dumps(block))


def _caching(disk: DiskDefinition) -> tuple[bool, bool, bool]:
    return _CACHES[disk.cache or "writeback"]
