"""Drives as QEMU is told of them, on its command line or while it runs: nodes and their devices."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path

from vmtui.backends.kvm.definition import BootDevice, Definition
from vmtui.backends.kvm.hardware import DiskDefinition
from vmtui.backends.kvm.options import Options, written
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


def node_name(number: int) -> str:
    """What QEMU calls the content of a drive; its file has `-file` behind that."""
    return f"disk{number}"


def device_id(number: int) -> str:
    """What QEMU calls the drive as the guest sees it."""
    return f"drive{number}"


def device_path(disk: DiskDefinition, number: int) -> str:
    """Where QEMU has that which is limited, and into which media are put."""
    inside = "/virtio-backend" if disk.bus is DiskBus.VIRTIO and disk.kind is DiskKind.DISK else ""
    return f"/machine/peripheral/{device_id(number)}{inside}"


def boot_options(definition: Definition, kind: BootDevice, nth: int) -> Options:
    """When the `nth` device of a kind is started from; none for never."""
    order = definition.boot_order or _DEFAULT_ORDER
    if definition.boot_once:
        order = (definition.boot_once, *(kind for kind in order if kind != definition.boot_once))
    return {"bootindex": BOOT_STEP * order.index(kind) + 1 + nth} if kind in order else {}


def drives(definition: Definition, folder: Path) -> Iterator[str]:
    """All drives of a VM; files are found in `folder`."""
    sata, ide, disks, media = (itertools.count() for _ in range(4))
    buses = {disk.bus for disk in definition.disk}
    if DiskBus.SCSI in buses:
        yield from ("-device", "virtio-scsi-pci,id=scsi0")
    if DiskBus.IDE in buses:
        # The machine has none of its own; systems of old know no other.
        yield from ("-device", "piix3-ide,id=pata")
    for number, disk in enumerate(definition.disk):
        for block in nodes(disk, number, folder):
            yield from ("-blockdev", json.dumps(block))
        nth = next(media if disk.kind is DiskKind.CDROM else disks)
        placed = device(definition, disk, number, nth)
        if disk.guest_bus is DiskBus.SATA:
            placed |= _sata(sata)
        elif disk.guest_bus is DiskBus.IDE:
            placed |= _ide(ide)
        yield from ("-device", written(placed))


def device(definition: Definition, disk: DiskDefinition, number: int, nth: int) -> Options:
    """The drive as the guest sees it, the `nth` of its kind; SATA and IDE have yet to be placed."""
    found: Options = {"driver": _driver(disk), "id": device_id(number)}
    if disk.bus is DiskBus.SCSI:
        found["bus"] = "scsi0.0"
    elif disk.port:
        found["bus"] = f"port{disk.port}"
    if disk.file:
        found["drive"] = node_name(number)
    if disk.kind is DiskKind.CDROM:
        return found | boot_options(definition, "cdrom", nth)
    if disk.bus is DiskBus.NVME:
        found["serial"] = node_name(number)
    if disk.bus is DiskBus.VIRTIO and definition.tuning.iothreads:
        found["iothread"] = f"iothread{nth % definition.tuning.iothreads}"
    if not _caching(disk)[2]:
        found["write-cache"] = "off"
    return found | boot_options(definition, "disk", nth)


def _driver(disk: DiskDefinition) -> str:
    if disk.kind is DiskKind.CDROM:
        return "scsi-cd" if disk.bus is DiskBus.SCSI else "ide-cd"
    return {DiskBus.VIRTIO: "virtio-blk-pci", DiskBus.SCSI: "scsi-hd", DiskBus.NVME: "nvme"}.get(
        disk.bus, "ide-hd"
    )


def _sata(numbers: Iterator[int]) -> Options:
    return {"bus": f"ide.{next(numbers)}"}


def _ide(numbers: Iterator[int]) -> Options:
    channel, unit = divmod(next(numbers), 2)
    return {"bus": f"pata.{channel}", "unit": unit}


def nodes(disk: DiskDefinition, number: int, folder: Path) -> list[Options]:
    """The nodes of QEMU's block layer that a drive is, those that it leans on first.

    The format is always said, never probed, and what a file's header says about others never
    followed: a guest that writes an image header to its disk must not choose files of the host.
    """
    if not disk.file:
        return []
    node, found = node_name(number), []
    backing: str | None = None
    for depth, base in reversed(list(enumerate(disk.base))):
        name = f"{node}-base{depth}"
        found.append(block(name, Path(base.file), base.format, backing, read_only=True))
        backing = name
    # An absolute `file` stays as it is.
    top = block(
        node,
        folder / disk.file,
        disk.format,
        backing,
        read_only=disk.read_only or disk.kind is DiskKind.CDROM,
        discard=disk.discard,
    )
    if disk.cache:
        direct, no_flush, _ = _caching(disk)
        top["cache"] = {"direct": direct, "no-flush": no_flush}
    return [*found, top]


def block(
    node: str,
    path: Path,
    file_format: str,
    backing: str | None = None,
    *,
    read_only: bool = False,
    discard: bool = True,
) -> Options:
    """One node on a file."""
    file: Options = {"driver": "file", "node-name": f"{node}-file", "filename": str(path)}
    found: Options = {"driver": file_format, "node-name": node, "file": file}
    if read_only:
        found["read-only"] = True
    elif discard:
        found["discard"] = file["discard"] = "unmap"
    if file_format == "qcow2":
        found["backing"] = backing
    return found


def _caching(disk: DiskDefinition) -> tuple[bool, bool, bool]:
    return _CACHES[disk.cache or "writeback"]


def same_write_cache(one: DiskDefinition, other: DiskDefinition) -> bool:
    """Whether the guest sees both with a cache, or both without: that can't change under it."""
    return _caching(one)[2] == _caching(other)[2]
