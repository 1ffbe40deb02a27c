"""OVF: the envelope that VirtualBox, VMware and others export VMs in, and its manifest."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final
from xml.etree import ElementTree as ET

from vmtui.errors import InputError
from vmtui.images.imports.foreign import (
    Foreign,
    ForeignDisk,
    ForeignNic,
    firmware,
    nic_model,
    positive,
)
from vmtui.images.imports.markup import parse, text_of
from vmtui.parts import DiskBus
from vmtui.units import GIB, KIB, MIB, size

# CIM's numbers for what an item is (DSP0243 and CIM_ResourceAllocationSettingData).
_CPU, _MEMORY, _IDE, _SCSI, _ETHERNET, _DISK, _STORAGE = "3", "4", "5", "6", "10", "17", "20"
_LOST: Final = {
    "1": "a device of VMware's own",
    "14": "floppy drive",
    "15": "CD drive",
    "16": "DVD drive",
    "21": "serial port",
    "22": "parallel port",
    "35": "sound card",
}

_DIGEST = re.compile(r"(?P<kind>SHA1|SHA256|SHA512)\s*\((?P<file>.+)\)\s*=\s*(?P<sum>[0-9a-fA-F]+)")


def read(text: str, whose: str) -> Foreign:
    """The one VM in the envelope `text`. Raises InputError naming `whose`."""
    root = parse(text, whose)
    if root.tag != "Envelope":
        raise InputError(f"{whose} is no OVF", why="it has no envelope")
    systems = list(root.iter("VirtualSystem"))
    if len(systems) != 1:
        raise InputError(
            f"{whose} holds {len(systems)} VMs",
            why="one at a time can be imported",
            hint="Export it again with one VM only.",
        )
    system = systems[0]
    items = _items(system)
    by_id = {text_of(item, "InstanceID"): item for item in items}
    machine = system.find("Machine")
    cpus = sum(positive(text_of(i, "VirtualQuantity")) or 0 for i in _of_type(items, _CPU))
    described = system.find("OperatingSystemSection")
    return Foreign(
        origin="VirtualBox" if machine is not None else _origin(system),
        name=text_of(system, "Name") or system.get("id", ""),
        vcpus=cpus or None,
        memory_bytes=next(map(_memory_bytes, _of_type(items, _MEMORY)), None),
        firmware=firmware(efi=_efi(system, machine), secure_boot=_secure_boot(system, machine)),
        tpm=_tpm(items, machine),
        system=_system(described),
        description=text_of(system, "AnnotationSection/Annotation"),
        disks=tuple(_disks(root, items, by_id, whose)),
        nics=tuple(_nics(items, machine)),
        lost=(*_empty_disks(root), *_lost(items, machine)),
    )


def manifest(text: str, whose: str) -> dict[str, tuple[str, str]]:
    """By file, the algorithm as hashlib calls it and the sum. Raises InputError."""
    found = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        match = _DIGEST.fullmatch(line)
        if match is None:
            raise InputError(f"{whose} can't be read", why=f"{line!r} is no checksum")
        found[match["file"]] = (match["kind"].lower(), match["sum"].lower())
    return found


def _items(system: ET.Element) -> list[ET.Element]:
    hardware = system.find("VirtualHardwareSection")
    if hardware is None:
        return []
    return [item for item in hardware if item.tag in ("Item", "StorageItem", "EthernetPortItem")]


def _of_type(items: list[ET.Element], kind: str) -> list[ET.Element]:
    return [item for item in items if text_of(item, "ResourceType") == kind]


def _origin(system: ET.Element) -> str:
    hardware = text_of(system, "VirtualHardwareSection/System/VirtualSystemType")
    return "VMware" if hardware.startswith("vmx-") else "OVF"


def _system(section: ET.Element | None) -> str:
    if section is None:
        return ""
    return section.get("osType", "") or text_of(section, "Description")


_UNIT_WORDS = {"byte": 1, "bytes": 1, "kilobytes": KIB, "megabytes": MIB, "gigabytes": GIB}


def _memory_bytes(item: ET.Element) -> int | None:
    return _bytes(text_of(item, "VirtualQuantity"), text_of(item, "AllocationUnits") or "MegaBytes")


def _bytes(number: str, unit: str) -> int | None:
    """What a number in CIM's words for units comes to, such as `byte * 2^20`."""
    quantity, unit = positive(number), unit.lower()
    power = re.fullmatch(r"byte\s*\*\s*2\^(\d\d?)", unit)
    factor = 2 ** int(power[1]) if power else _UNIT_WORDS.get(unit)
    if quantity is None or factor is None or quantity * factor >= 2**63:
        return None
    return quantity * factor


def _config(system: ET.Element, key: str) -> str:
    """A setting of VMware's, which are `Config` and `ExtraConfig` of the hardware."""
    hardware = system.find("VirtualHardwareSection")
    for tag in ("Config", "ExtraConfig"):
        for setting in () if hardware is None else hardware.iter(tag):
            if setting.get("key") == key:
                return setting.get("value", "").lower()
    return ""


def _efi(system: ET.Element, machine: ET.Element | None) -> bool:
    described = None if machine is None else machine.find("Hardware/Firmware")
    if described is not None:
        return described.get("type", "").upper().startswith("EFI")
    return _config(system, "firmware") == "efi"


def _secure_boot(system: ET.Element, machine: ET.Element | None) -> bool:
    described = None if machine is None else machine.find("Hardware/NVRAM/SecureBoot")
    if described is not None:
        return described.get("enabled", "").lower() == "true"
    keys = ("bootOptions.efiSecureBootEnabled", "uefi.secureBoot.enabled")
    return any(_config(system, key) == "true" for key in keys)


def _tpm(items: list[ET.Element], machine: ET.Element | None) -> bool:
    described = None if machine is None else machine.find("Hardware/TrustedPlatformModule")
    if described is not None:
        return described.get("type", "None").lower() != "none"
    return any("tpm" in text_of(item, "ResourceSubType").lower() for item in items)


def _disks(
    root: ET.Element, items: list[ET.Element], by_id: dict[str, ET.Element], whose: str
) -> Iterator[ForeignDisk]:
    files = {file.get("id"): file for file in root.iterfind("References/File")}
    disks = {disk.get("diskId"): disk for disk in root.iterfind("DiskSection/Disk")}
    for item in _of_type(items, _DISK):
        kind, _, name = text_of(item, "HostResource").removeprefix("ovf:").strip("/").partition("/")
        disk = disks.get(name) if kind == "disk" else None
        reference = disk.get("fileRef") if disk is not None else name
        if disk is not None and disk.get("parentRef"):
            raise InputError(f"{whose} can't be imported", why=f"its disk {name!r} needs another")
        file = files.get(reference)
        if file is None:
            if disk is not None and reference is None:
                continue  # an empty disk, which has no file
            raise InputError(f"{whose} can't be imported", why=f"its disk {name!r} has no file")
        if file.get("chunkSize"):
            raise InputError(
                f"{whose} can't be imported",
                why=f"its disk {name!r} is in chunks",
                hint="Join them: cat DISK.0* >DISK. Then take chunkSize out of the OVF.",
            )
        packing = file.get("compression", "")
        parent = by_id.get(text_of(item, "Parent"))
        yield ForeignDisk(
            file.get("href", ""),
            bus=None if parent is None else _bus(parent),
            packing="" if packing == "identity" else packing,
        )


def _empty_disks(root: ET.Element) -> Iterator[str]:
    for disk in root.iterfind("DiskSection/Disk"):
        if disk.get("fileRef") is None:
            unit = disk.get("capacityAllocationUnits", "byte")
            yield f"an empty disk of {size(_bytes(disk.get('capacity', ''), unit))}"


def _bus(controller: ET.Element) -> DiskBus | None:
    kind = text_of(controller, "ResourceType")
    model = text_of(controller, "ResourceSubType").lower()
    if "virtio" in model:
        return DiskBus.VIRTIO
    if "nvme" in model:
        return DiskBus.NVME
    return {_IDE: DiskBus.IDE, _SCSI: DiskBus.SCSI, _STORAGE: DiskBus.SATA}.get(kind)


def _nics(items: list[ET.Element], machine: ET.Element | None) -> Iterator[ForeignNic]:
    adapters = [] if machine is None else machine.findall("Hardware/Network/Adapter")
    enabled = [adapter for adapter in adapters if adapter.get("enabled") == "true"]
    for index, item in enumerate(_of_type(items, _ETHERNET)):
        model = text_of(item, "ResourceSubType")
        mac = text_of(item, "Address")
        if index < len(enabled):
            mac = mac or _mac(enabled[index].get("MACAddress", ""))
        yield ForeignNic(text_of(item, "Connection"), nic_model(model), mac)


def _mac(digits: str) -> str:
    return ":".join(re.findall("..", digits.lower())) if len(digits) == 12 else ""


def _lost(items: list[ET.Element], machine: ET.Element | None) -> Iterator[str]:
    for item in items:
        kind = text_of(item, "ResourceType")
        if kind in _LOST and "tpm" not in text_of(item, "ResourceSubType").lower():
            yield _LOST[kind]
        elif kind == _ETHERNET and not nic_model(text_of(item, "ResourceSubType")):
            yield f"network card {text_of(item, 'ResourceSubType')!r}: QEMU has no such model"
    if machine is None:
        return
    for path, what in (
        ("Hardware/SharedFolders/SharedFolder", "shared folder"),
        ("Hardware/Network/Adapter/NAT/Forwarding", "forwarded port"),
        ("Snapshot", "snapshot"),
    ):
        for element in machine.iterfind(path):
            name = element.get("name", "")
            yield f"{what} {name!r}" if name else what
