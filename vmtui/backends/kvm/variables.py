"""The variables of a VM's UEFI firmware: told, begun anew, backed up, with the VM off."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from vmtui.backends.kvm import firmware
from vmtui.backends.kvm.definition import Definition
from vmtui.command import run
from vmtui.errors import InputError, OperationError, RefusedError, UnsupportedError, VmtuiError
from vmtui.files import write_new, write_whole
from vmtui.hardware.around import FirmwareFacts
from vmtui.images.qemu_img import LOOK_MEMORY_BYTES, limited
from vmtui.model import DiskKind, Firmware
from vmtui.spec import BootKind
from vmtui.units import size
from vmtui.whole import whole_in_thread

LOOK_TIMEOUT_S = 30.0

# EFI_FIRMWARE_VOLUME_HEADER (PI specification, volume 3) of a store of variables.
_VOLUME_KIND = bytes.fromhex("8d2bf1ff96768b4ca9852747075b4f50")
_VOLUME_SIGNATURE = b"_FVH"
# gEfiAuthenticatedVariableGuid, and headers of edk2's AuthenticatedVariableFormat.h.
_STORE_KIND = bytes.fromhex("782cf3aa7b949a43a1802e144ec37792")
_STORE_HEADER_BYTES = 28
_VARIABLE_HEADER_BYTES = 60
_VARIABLE = b"\xaa\x55"
_ADDED = 0x3F
_GLOBAL = bytes.fromhex("61dfe48bca93d211aa0d00e098032b8c")
_PLATFORM_KEY = "PK\0".encode("utf-16-le")


async def facts(definition: Definition, folder: Path) -> FirmwareFacts:
    """Which files it is. Raises UnsupportedError with BIOS, MissingError."""
    return await asyncio.to_thread(_facts, definition, folder)


def _facts(definition: Definition, folder: Path) -> FirmwareFacts:
    _refuse_bios(definition)
    build = firmware.choose(definition.firmware, keys=definition.firmware_keys)
    variables = folder / firmware.VARIABLES
    try:
        content = variables.read_bytes()
    except OSError:
        content = None
    return FirmwareFacts(
        code=build.code,
        variables=variables if content is not None else None,
        template=build.template,
        secure_boot=definition.firmware is Firmware.SECURE_BOOT,
        enrolled_keys=build.enrolled if content is None else enrolled(content),
        descriptor=build.descriptor.name,
        size_bytes=None if content is None else len(content),
    )


def enrolled(content: bytes) -> bool | None:
    """Whether variables have a platform key: what makes Secure Boot enforce signatures.

    None for what is not a plain store of variables, such as a qcow2.
    """
    if not _is_store(content):
        return None
    at = int.from_bytes(content[48:50], "little")  # behind the volume's own header
    if content[at : at + 16] != _STORE_KIND:
        return None
    at += _STORE_HEADER_BYTES
    while len(header := content[at : at + _VARIABLE_HEADER_BYTES]) == _VARIABLE_HEADER_BYTES:
        if header[:2] != _VARIABLE:
            break
        name_bytes, data_bytes = (int.from_bytes(header[i : i + 4], "little") for i in (36, 40))
        name_at = at + _VARIABLE_HEADER_BYTES
        name = content[name_at : name_at + name_bytes]
        if (header[2], header[44:60], name) == (_ADDED, _GLOBAL, _PLATFORM_KEY):
            return data_bytes > 0
        at = -(-(name_at + name_bytes + data_bytes) // 4) * 4
    return False


def _is_store(content: bytes) -> bool:
    return content[16:32] == _VOLUME_KIND and content[40:44] == _VOLUME_SIGNATURE


async def reset(
    name: str, definition: Definition, folder: Path, template: Path | None = None
) -> None:
    """Begin anew, from the firmware's own template or from a file of one's own.

    Raises UnsupportedError with BIOS, InputError if the file is not variables for this firmware.
    """
    await whole_in_thread(_reset, name, definition, folder, template)


def _reset(name: str, definition: Definition, folder: Path, template: Path | None) -> None:
    _refuse_bios(definition)
    own = firmware.template(firmware.choose(definition.firmware, keys=definition.firmware_keys))
    content = own if template is None else checked(name, template, own)
    write_whole(folder / firmware.VARIABLES, content)


def checked(name: str, template: Path, own: bytes) -> bytes:
    """What the file has, if the VM's firmware can use it as `own`."""
    refused = f"{template} can't be the variables of {name}"
    try:
        size_bytes = template.stat().st_size
        content = template.read_bytes() if size_bytes == len(own) else b""
    except OSError as error:
        raise InputError(refused, why=f"it can't be read ({error.strerror})") from error
    if size_bytes != len(own):
        raise InputError(
            refused,
            why=f"it has {size_bytes} bytes, and those of its firmware {len(own)}",
            hint=f"Make it from the firmware's own template, {size(len(own))} large.",
        )
    if _is_store(content) != _is_store(own) or not (_is_store(content) or own[:4] == content[:4]):
        raise InputError(refused, why="it is not a store of UEFI variables")
    return content


async def back_up(definition: Definition, folder: Path, to: Path) -> None:
    """A copy that only this user can read. Raises InputError, OperationError, UnsupportedError."""
    _refuse_bios(definition)
    variables = folder / firmware.VARIABLES
    try:
        content = await asyncio.to_thread(variables.read_bytes)
    except OSError as error:
        raise OperationError(
            f"{variables} can't be read",
            why=error.strerror or "",
            hint="A VM has its variables from its first start on.",
        ) from error
    await whole_in_thread(write_new, to, content)


def _refuse_bios(definition: Definition) -> None:
    if definition.firmware is Firmware.BIOS:
        raise UnsupportedError("a BIOS has no variables")


# -- another firmware for a VM that exists ---------------------------------------------------


async def refuse_conversion(
    name: str, definition: Definition, folder: Path, wanted: Firmware
) -> None:
    """Raise RefusedError where a system is installed that the other kind of firmware can't start.

    A BIOS starts a disk's first sector, UEFI a file on a partition for that: systems are
    installed for one of them. Between UEFI with and without Secure Boot there is no such step.
    """
    if (definition.firmware is Firmware.BIOS) == (wanted is Firmware.BIOS):
        return
    disk = await _installed(definition, folder)
    if disk:
        raise RefusedError(
            f"{name} stays with {definition.firmware.value}",
            why=f"{disk} is not blank: the system on it was installed for "
            f"{'a BIOS' if definition.firmware is Firmware.BIOS else 'UEFI'}, and "
            f"{wanted.value} would not find its boot loader",
            hint=f"Make a new VM with {wanted.value} and install into it, or convert the system "
            "by its own tools first (such as mbr2gpt) and attach its disk to a new VM.",
        )


async def _installed(definition: Definition, folder: Path) -> str:
    """The first disk that has something on it; "" if none does."""
    for disk in definition.disk:
        if disk.kind is not DiskKind.DISK:
            continue
        if disk.base or definition.boot is BootKind.DISK:
            return disk.file
        command = limited(
            *("qemu-img", "map", "-U", "--output=json", "-f", disk.format),
            str(folder / disk.file),
            memory_bytes=LOOK_MEMORY_BYTES,
        )
        try:
            ranges = json.loads(await run(*command, timeout_s=LOOK_TIMEOUT_S))
        except (VmtuiError, ValueError):
            return disk.file  # what can't be looked at is not known to be blank
        if any(part.get("data") for part in ranges):
            return disk.file
    return ""
