"""quickemu's definition of a VM: assignments of a shell script, which is read and never run."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping

from vmtui.errors import InputError
from vmtui.images.imports.foreign import Foreign, ForeignDisk, firmware, positive
from vmtui.parts import DiskBus
from vmtui.units import parse_size_bytes

_ASSIGNMENT = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*)=(.*)")
_ARRAY = re.compile(r"\((.*)\)\s*")
_RUNS = re.compile(r"[$`;&|<>]")
_CARRIED = frozenset(
    {"guest_os", "disk_img", "disk_size", "ram", "cpu_cores", "boot", "secureboot", "tpm"}
)
_LOST = {
    "iso": "CD drive with",
    "fixed_iso": "CD drive with",
    "floppy": "floppy drive with",
    "img": "recovery image",
    "port_forwards": "forwarded ports",
    "ssh_port": "forwarded SSH port",
    "public_dir": "shared folder",
    "usb_devices": "USB devices of the host",
    "network": "network",
    "macaddr": "MAC address",
    "extra_args": "options for QEMU of its own",
}


def read(text: str, whose: str) -> Foreign:
    """The VM that `text` defines. Raises InputError naming `whose`, and the line that does more."""
    said = dict(_assignments(text, whose))
    disk = said.get("disk_img")
    if not disk:
        raise InputError(f"{whose} is no definition of quickemu's", why="it has no disk_img")
    return Foreign(
        origin="quickemu",
        name=disk.rpartition("/")[0].rpartition("/")[2],
        vcpus=positive(said.get("cpu_cores")),
        memory_bytes=_size_bytes(said.get("ram", "")),
        firmware=firmware(
            efi=said.get("boot", "efi") != "legacy", secure_boot=said.get("secureboot") == "on"
        ),
        tpm=said.get("tpm") == "on",
        system=said.get("guest_os", "linux"),
        disks=(ForeignDisk(disk, DiskBus.VIRTIO),),
        lost=tuple(_lost(said)),
    )


def _assignments(text: str, whose: str) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _ASSIGNMENT.fullmatch(line)
        if match is None or _RUNS.search(match[2]):
            raise _not_plain(whose, number, line)
        array = _ARRAY.fullmatch(match[2])
        try:
            words = shlex.split(array[1] if array else match[2], comments=True)
        except ValueError as error:
            raise _not_plain(whose, number, line) from error
        if len(words) > 1 and not array:
            raise _not_plain(whose, number, line)
        yield match[1], " ".join(words)


def _not_plain(whose: str, number: int, line: str) -> InputError:
    return InputError(
        f"line {number} of {whose} is not read",
        why=f"{line.strip()!r} is more than a plain assignment, and nothing in it is run",
        hint="Write the value itself there.",
    )


def _size_bytes(text: str) -> int | None:
    try:
        return parse_size_bytes(text)
    except ValueError:
        return None


def _lost(said: Mapping[str, str]) -> Iterator[str]:
    for key, value in said.items():
        if not value or key in _CARRIED:
            continue
        yield f"{_LOST[key]} {value!r}" if key in _LOST else f"{key} {value!r}"
