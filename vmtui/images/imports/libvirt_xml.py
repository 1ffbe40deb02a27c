"""libvirt's definition of a QEMU VM, as `virsh dumpxml` gives it."""

from __future__ import annotations

from collections.abc import Iterator
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

_UNITS_BYTES = {
    **dict.fromkeys(("b", "bytes"), 1),
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
    "tb": 10**12,
    **dict.fromkeys(("k", "kib"), 1 << 10),
    **dict.fromkeys(("m", "mib"), 1 << 20),
    **dict.fromkeys(("g", "gib"), 1 << 30),
    **dict.fromkeys(("t", "tib"), 1 << 40),
}
_BUSES = {bus.value: bus for bus in DiskBus}
_LOST = {
    "devices/hostdev": "device of the host",
    "devices/filesystem": "shared folder",
    "devices/redirdev": "redirected USB device",
    "devices/smartcard": "smart card",
    "devices/sound": "sound card",
    "devices/shmem": "shared memory",
    "devices/parallel": "parallel port",
    "cputune": "CPU tuning",
    "numatune": "NUMA tuning",
    "blkiotune": "disk tuning",
    "memoryBacking": "memory backing",
    "commandline": "options for QEMU of its own",
}


def read(text: str, whose: str) -> Foreign:
    """The VM that `text` defines. Raises InputError naming `whose`."""
    root = parse(text, whose)
    if root.tag != "domain":
        raise InputError(f"{whose} is no definition of libvirt's", why=f"it is <{root.tag}>")
    if root.get("type") not in ("kvm", "qemu"):
        raise InputError(
            f"{whose} can't be imported", why=f"it is for {root.get('type')!r}, not QEMU"
        )
    return Foreign(
        origin="libvirt",
        name=text_of(root, "name"),
        vcpus=positive(text_of(root, "vcpu")),
        memory_bytes=_memory_bytes(root),
        firmware=firmware(efi=_efi(root), secure_boot=_secure_boot(root)),
        tpm=root.find("devices/tpm") is not None,
        system=_system(root),
        description=text_of(root, "description") or text_of(root, "title"),
        disks=tuple(_disks(root, whose)),
        nics=tuple(_nics(root)),
        lost=tuple(_lost(root)),
    )


def _memory_bytes(root: ET.Element) -> int | None:
    memory = root.find("memory")
    if memory is None:
        return None
    factor = _UNITS_BYTES.get(memory.get("unit", "KiB").lower())
    return (positive(memory.text) or 0) * (factor or 0) or None


def _efi(root: ET.Element) -> bool:
    system, loader = root.find("os"), root.find("os/loader")
    automatic = system is not None and system.get("firmware") == "efi"
    return automatic or (loader is not None and loader.get("type") == "pflash")


def _secure_boot(root: ET.Element) -> bool:
    loader = root.find("os/loader")
    feature = root.find("os/firmware/feature[@name='enrolled-keys']")
    if feature is not None:
        return feature.get("enabled") == "yes"
    return loader is not None and loader.get("secure") == "yes"


def _system(root: ET.Element) -> str:
    """What libosinfo calls the guest's system, such as `http://microsoft.com/win/11`."""
    for element in root.iterfind("metadata/libosinfo/os"):
        return element.get("id", "").replace("microsoft.com/win/", "microsoft.com/windows/")
    return ""


def _disks(root: ET.Element, whose: str) -> Iterator[ForeignDisk]:
    for disk in root.iterfind("devices/disk"):
        if disk.get("device", "disk") != "disk":
            continue
        target, source = disk.find("target"), disk.find("source")
        name = "" if target is None else target.get("dev", "")
        file = None if source is None else source.get("file")
        if file is None:
            raise InputError(
                f"{whose} can't be imported",
                why=f"its disk {name!r} is no file, but a {disk.get('type', 'something else')}",
                hint="Copy the disk to a file, and import that.",
            )
        yield ForeignDisk(file, None if target is None else _BUSES.get(target.get("bus", "")))


def _nics(root: ET.Element) -> Iterator[ForeignNic]:
    for interface in root.iterfind("devices/interface"):
        kind = interface.get("type", "")
        source, model, mac = (interface.find(tag) for tag in ("source", "model", "mac"))
        name = "" if source is None else source.get(kind, "")
        yield ForeignNic(
            network=f"{kind} {name}".strip(),
            model=nic_model("" if model is None else model.get("type", "")),
            mac="" if mac is None else mac.get("address", ""),
        )


def _lost(root: ET.Element) -> Iterator[str]:
    for drive in root.iterfind("devices/disk"):
        kind = drive.get("device", "disk")
        if kind != "disk":
            source = drive.find("source")
            file = "" if source is None else source.get("file", "")
            yield f"{kind} drive with {file!r}" if file else f"{kind} drive"
    for path, what in _LOST.items():
        yield from (what for _ in root.iterfind(path))
    if root.find("devices/tpm") is not None:
        yield "what the TPM holds, with the keys of encrypted disks"
