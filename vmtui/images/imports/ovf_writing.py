"""The OVF envelope of a VM, in the hardware that VirtualBox and VMware both have."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

from vmtui.images.imports.foreign import Foreign
from vmtui.model import Firmware
from vmtui.units import MIB, plain

_OVF = "http://schemas.dmtf.org/ovf/envelope/1"
_RASD = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData"
_VSSD = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData"
_VMW = "http://www.vmware.com/schema/ovf"
_STREAM = "http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"

_CONTROLLER_ID = "3"


def envelope(vm: Foreign, files: Sequence[Path], sizes_bytes: Sequence[int]) -> bytes:
    """The descriptor of `vm` whose disks are the VMDKs `files` of `sizes_bytes` each."""
    root = ET.Element("Envelope", {"xmlns": _OVF})
    for prefix, uri in (("ovf", _OVF), ("rasd", _RASD), ("vssd", _VSSD), ("vmw", _VMW)):
        root.set(f"xmlns:{prefix}", uri)
    references = ET.SubElement(root, "References")
    section = _section(root, "DiskSection", "Disks")
    for number, (file, size_bytes) in enumerate(zip(files, sizes_bytes, strict=True), 1):
        ET.SubElement(
            references,
            "File",
            {"ovf:id": f"file{number}", "ovf:href": file.name, "ovf:size": _length(file)},
        )
        ET.SubElement(
            section,
            "Disk",
            {
                "ovf:diskId": f"disk{number}",
                "ovf:fileRef": f"file{number}",
                "ovf:capacity": str(size_bytes),
                "ovf:format": _STREAM,
            },
        )
    networks = _section(root, "NetworkSection", "Networks")
    network = ET.SubElement(networks, "Network", {"ovf:name": "NAT"})
    ET.SubElement(network, "Description").text = "The network that leads out"
    _system(root, vm, len(files))
    ET.indent(root)
    content: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return content


def _system(root: ET.Element, vm: Foreign, disks: int) -> None:
    system = ET.SubElement(root, "VirtualSystem", {"ovf:id": _text(vm.name)})
    ET.SubElement(system, "Info").text = "A virtual machine"
    ET.SubElement(system, "Name").text = _text(vm.name)
    if vm.description:
        annotation = _section(system, "AnnotationSection", "Description")
        ET.SubElement(annotation, "Annotation").text = _text(vm.description)
    # CIM's numbers: 1 is "other", 102 "other, 64 bit".
    guest = _section(system, "OperatingSystemSection", "Guest")
    guest.set("ovf:id", "102")
    ET.SubElement(guest, "Description").text = _text(vm.system or "Other")
    _hardware(_section(system, "VirtualHardwareSection", "Hardware"), vm, disks)


def _hardware(hardware: ET.Element, vm: Foreign, disks: int) -> None:
    described = ET.SubElement(hardware, "System")
    for key, value in (
        ("ElementName", "Virtual Hardware Family"),
        ("InstanceID", "0"),
        ("VirtualSystemIdentifier", _text(vm.name)),
        ("VirtualSystemType", "vmx-13"),
    ):
        ET.SubElement(described, f"vssd:{key}").text = value
    vcpus, memory_mib = vm.vcpus or 1, (vm.memory_bytes or 1024 * MIB) // MIB
    _item(hardware, "1", "3", f"{vcpus} vCPUs", VirtualQuantity=str(vcpus))
    _item(
        hardware,
        *("2", "4", f"{memory_mib} MiB of memory"),
        AllocationUnits="byte * 2^20",
        VirtualQuantity=str(memory_mib),
    )
    _item(hardware, _CONTROLLER_ID, "20", "SATA", ResourceSubType="vmware.sata.ahci")
    for number in range(1, disks + 1):
        _item(
            hardware,
            *(str(10 + number), "17", f"Disk {number}"),
            AddressOnParent=str(number - 1),
            HostResource=f"ovf:/disk/disk{number}",
            Parent=_CONTROLLER_ID,
        )
    for number, _ in enumerate(vm.nics, 1):
        _item(
            hardware,
            *(str(100 + number), "10", f"Network card {number}"),
            AutomaticAllocation="true",
            Connection="NAT",
            ResourceSubType="E1000",
        )
    if vm.firmware in (Firmware.UEFI, Firmware.SECURE_BOOT):
        _config(hardware, "firmware", "efi")
    if vm.firmware is Firmware.SECURE_BOOT:
        _config(hardware, "bootOptions.efiSecureBootEnabled", "true")


def _section(parent: ET.Element, tag: str, info: str) -> ET.Element:
    section = ET.SubElement(parent, tag)
    ET.SubElement(section, "Info").text = info
    return section


def _item(hardware: ET.Element, number: str, kind: str, name: str, **more: str) -> None:
    """One piece of hardware; CIM wants what it says in the order of the alphabet."""
    said = {"ElementName": name, "InstanceID": number, "ResourceType": kind, **more}
    item = ET.SubElement(hardware, "Item")
    for key in sorted(said):
        ET.SubElement(item, f"rasd:{key}").text = said[key]


def _config(hardware: ET.Element, key: str, value: str) -> None:
    ET.SubElement(
        hardware, "vmw:Config", {"ovf:required": "false", "vmw:key": key, "vmw:value": value}
    )


def _length(file: Path) -> str:
    return str(file.stat().st_size)


def _text(text: str) -> str:
    return plain(text, keep_lines=True)
