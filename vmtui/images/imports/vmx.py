"""VMware's own definition of a VM: a `.vmx`, lines of key and value."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from vmtui.errors import InputError
from vmtui.images.imports.foreign import (
    Foreign,
    ForeignDisk,
    ForeignNic,
    firmware,
    nic_model,
    positive,
)
from vmtui.parts import DiskBus
from vmtui.units import MIB

_LINE = re.compile(r'\s*([\w:.-]+)\s*=\s*"(.*)"\s*')
_DRIVE = re.compile(r"(scsi|sata|nvme|ide)\d+:\d+\.filename")
_ESCAPED = re.compile(r"\|([0-9A-Fa-f]{2})")
_BUSES = {bus.value: bus for bus in (DiskBus.SCSI, DiskBus.SATA, DiskBus.NVME, DiskBus.IDE)}
_DISK_KINDS = ("disk", "scsi-harddisk", "ata-harddisk")
_LOST = {
    "floppy": "floppy drive",
    "serial": "serial port",
    "parallel": "parallel port",
    "sound": "sound card",
    "sharedfolder": "shared folder",
    "pcipassthru": "device of the host",
}


def read(text: str, whose: str) -> Foreign:
    """The VM that `text` defines. Raises InputError naming `whose`."""
    said = dict(_settings(text))
    if "virtualhw.version" not in said and "config.version" not in said:
        raise InputError(f"{whose} is no definition of VMware's")
    if "encryption.keysafe" in said or "encryption.data" in said:
        raise InputError(
            f"{whose} is encrypted", hint="Remove the encryption in VMware, then import it."
        )
    efi = said.get("firmware", "") == "efi"
    return Foreign(
        origin="VMware",
        name=said.get("displayname", ""),
        vcpus=positive(said.get("numvcpus", "1")),
        memory_bytes=MIB * (positive(said.get("memsize")) or 0) or None,
        firmware=firmware(efi=efi, secure_boot=_is_on(said, "uefi.secureboot.enabled")),
        tpm=_is_on(said, "vtpm.present"),
        system=said.get("guestos", ""),
        description=said.get("annotation", ""),
        disks=tuple(_disks(said)),
        nics=tuple(_nics(said)),
        lost=tuple(_lost(said)),
    )


def _settings(text: str) -> Iterator[tuple[str, str]]:
    for match in filter(None, map(_LINE.fullmatch, text.splitlines())):
        yield match[1].lower(), _ESCAPED.sub(lambda code: chr(int(code[1], 16)), match[2])


def _is_on(said: Mapping[str, str], key: str, default: str = "FALSE") -> bool:
    return said.get(key, default).upper() == "TRUE"


def _drives(said: Mapping[str, str]) -> Iterator[tuple[str, str, bool]]:
    """Each drive's bus and file, and whether it is a disk."""
    for key, file in said.items():
        match = _DRIVE.fullmatch(key)
        drive = key.removesuffix(".filename")
        if match and _is_on(said, f"{drive}.present", "TRUE"):
            kind = said.get(f"{drive}.devicetype", "disk").lower()
            yield match[1], file, kind in _DISK_KINDS


def _disks(said: Mapping[str, str]) -> Iterator[ForeignDisk]:
    for bus, file, is_disk in _drives(said):
        if is_disk:
            yield ForeignDisk(file, _BUSES[bus])


def _nics(said: Mapping[str, str]) -> Iterator[ForeignNic]:
    for card in _cards(said):
        yield ForeignNic(
            network=said.get(f"{card}.connectiontype", "bridged"),
            model=nic_model(said.get(f"{card}.virtualdev", "vlance")),
            mac=said.get(f"{card}.address") or said.get(f"{card}.generatedaddress", ""),
        )


def _cards(said: Mapping[str, str]) -> Iterator[str]:
    for key in said:
        if re.fullmatch(r"ethernet\d+\.present", key) and _is_on(said, key):
            yield key.removesuffix(".present")


def _lost(said: Mapping[str, str]) -> Iterator[str]:
    for bus, file, is_disk in _drives(said):
        if not is_disk:
            yield f"{bus.upper()} CD drive with {file!r}" if file else f"{bus.upper()} CD drive"
    for key in said:
        kind = re.fullmatch(r"([a-z]+)\d*\.present", key)
        if kind and kind[1] in _LOST and _is_on(said, key):
            yield _LOST[kind[1]]
    if _is_on(said, "vhv.enable"):
        yield "nested virtualisation"
