"""Storage pools and volumes: disks, media and kernels of the VMs that vmtui makes."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import libvirt

from vmtui.backends.libvirt.devices_xml import Medium
from vmtui.backends.libvirt.domain_facts import parse
from vmtui.backends.libvirt.places import Places
from vmtui.errors import UnsupportedError
from vmtui.units import plain

POOL = "default"
_FILE_POOLS = frozenset({"dir", "fs", "netfs", "gluster"})


def pool(connection: libvirt.virConnect, places: Places) -> libvirt.virStoragePool:
    """The pool `default`, made and started if need be."""
    found = _lookup(connection)
    if found is None:
        found = _make(connection, places)
    else:
        _activate(found)
    root = parse(str(found.XMLDesc()))
    kind = root.get("type", "") if root is not None else ""
    if kind not in _FILE_POOLS:
        raise UnsupportedError(
            f"the storage pool {POOL} can't hold disk images",
            why=f"it is of the type {plain(kind)}",
            hint=f"vmtui needs a pool named {POOL} of the type dir, fs or netfs.",
        )
    return found


def _lookup(connection: libvirt.virConnect) -> libvirt.virStoragePool | None:
    try:
        return connection.storagePoolLookupByName(POOL)
    except libvirt.libvirtError as error:
        if error.get_error_code() != libvirt.VIR_ERR_NO_STORAGE_POOL:
            raise
        return None


def _activate(found: libvirt.virStoragePool) -> None:
    """Start it, unless somebody does so at the same time."""
    for prepares in (False, True):
        if found.isActive():
            return
        try:
            if prepares:
                found.build(0)  # its folder may be missing
            found.create()
        except libvirt.libvirtError:
            if prepares and not found.isActive():
                raise


def _make(connection: libvirt.virConnect, places: Places) -> libvirt.virStoragePool:
    path = places.images
    if str(connection.getType()).upper() == "TEST":
        path = Path("/default")
    if path is None:
        raise UnsupportedError(
            f"there is no storage pool {POOL}",
            why="where that host keeps images is not known from here",
            hint=f"Make it there: virsh pool-define-as {POOL} dir --target FOLDER",
        )
    element = ET.Element("pool", type="dir")
    ET.SubElement(element, "name").text = POOL
    ET.SubElement(ET.SubElement(element, "target"), "path").text = str(path)
    try:
        made = connection.storagePoolDefineXML(ET.tostring(element, encoding="unicode"), 0)
    except libvirt.libvirtError:
        found = _lookup(connection)
        if found is None:
            raise
        _activate(found)  # somebody else was quicker
        return found
    try:
        _activate(made)
        made.setAutostart(1)
    except libvirt.libvirtError:
        made.undefine()
        raise
    return made


def planned_folder(connection: libvirt.virConnect, places: Places) -> Path:
    """Where volumes are going to be; nothing is made or started for that."""
    try:
        root = parse(str(connection.storagePoolLookupByName(POOL).XMLDesc()))
    except libvirt.libvirtError:
        root = None
    path = (root.findtext("target/path") or "").strip() if root is not None else ""
    return Path(path or places.images or f"/{POOL}")


def free_bytes(connection: libvirt.virConnect) -> int | None:
    """What there is room for in the pool; None while that is not there or off."""
    try:
        info: Any = connection.storagePoolLookupByName(POOL).info()
    except libvirt.libvirtError:
        return None
    return int(info[3]) if info[0] == libvirt.VIR_STORAGE_POOL_RUNNING else None


def volume_xml(
    name: str, capacity_bytes: int | None, file_format: str, base: Medium | None = None
) -> str:
    """A volume that takes no more space than is written to it; without a size, that of `base`."""
    element = ET.Element("volume")
    ET.SubElement(element, "name").text = name
    if capacity_bytes is not None:
        ET.SubElement(element, "capacity", unit="bytes").text = str(capacity_bytes)
    ET.SubElement(element, "allocation", unit="bytes").text = "0"
    ET.SubElement(ET.SubElement(element, "target"), "format", type=file_format)
    if base is not None:
        backing = ET.SubElement(element, "backingStore")
        ET.SubElement(backing, "path").text = base.path
        ET.SubElement(backing, "format", type=base.format)
    return ET.tostring(element, encoding="unicode")


def find(connection: libvirt.virConnect, places: Places, name: str) -> libvirt.virStorageVol | None:
    """The volume of that name."""
    try:
        return pool(connection, places).storageVolLookupByName(name)
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_STORAGE_VOL:
            return None
        raise


def capacity_bytes(volume: libvirt.virStorageVol) -> int:
    """Its size as the guest sees it."""
    info: Any = volume.info()
    return int(info[1])


def length_bytes(volume: libvirt.virStorageVol) -> int:
    """Its size as a file."""
    try:
        info: Any = volume.infoFlags(libvirt.VIR_STORAGE_VOL_GET_PHYSICAL)
    except libvirt.libvirtError:  # the driver for tests has no files
        return capacity_bytes(volume)
    return int(info[2])


def medium_name(path: Path) -> str:
    """A name for an uploaded medium that tells its content."""
    status = path.stat()
    with path.open("rb") as file:
        head = file.read(1024 * 1024)
    digest = hashlib.sha256(head + str(status.st_size).encode()).hexdigest()[:10]
    stem = "".join(c if c.isalnum() or c in "._-" else "_" for c in path.stem)[:60]
    return f"{stem}-{digest}.iso"


def everyone_reads(path: Path) -> bool:
    """Whether QEMU under a user of its own can open it."""
    try:
        if not path.stat().st_mode & stat.S_IROTH:
            return False
        return all(parent.stat().st_mode & stat.S_IXOTH for parent in path.resolve().parents)
    except OSError:
        return False


def readable_in_place(path: Path, places: Places) -> bool:
    """Whether the hypervisor can use a local file where it is."""
    return places.local and (os.access(path, os.R_OK) if places.session else everyone_reads(path))
