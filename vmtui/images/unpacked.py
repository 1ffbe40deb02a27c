"""The kernel inside a packed one: QEMU can start that itself, and nothing is unpacked at boot."""

from __future__ import annotations

import re
import shutil
import struct
import subprocess

from vmtui.images.unpack import DAMAGED, first_stream

UNPACK_TIMEOUT_S = 60.0

# The header of a bzImage: Documentation/arch/x86/boot.rst of Linux.
_SECTOR_BYTES = 512
_SETUP_SECTORS, _MAGIC, _VERSION, _PAYLOAD = 0x1F1, 0x202, 0x206, 0x248
_WITH_PAYLOAD = 0x0208
_SIZE_BYTES = 4
"""The payload ends with what it unpacks to: behind the stream, but in it with gzip."""

_PVH_ENTRY = re.compile(rb"\x04\0\0\0[\x04\x08]\0\0\0\x12\0\0\0Xen\0", re.DOTALL)
"""The ELF note with the entry that QEMU needs: elfnote.h of Xen, XEN_ELFNOTE_PHYS32_ENTRY."""


def unpacked(kernel: bytes) -> bytes | None:
    """The ELF file in a bzImage; None if there is none that QEMU can start, or nothing unpacks it.

    One packed with LZ4, as Debian's, is unpacked by the program `lz4`.
    """
    try:
        payload = _payload(kernel)
        found = _unpack(payload)
        (size_bytes,) = struct.unpack("<I", payload[-_SIZE_BYTES:])
    except (struct.error, ValueError, OSError, subprocess.SubprocessError, *DAMAGED):
        return None
    whole = len(found) == size_bytes and found.startswith(b"\x7fELF")
    return found if whole and _PVH_ENTRY.search(found) else None


def _payload(kernel: bytes) -> bytes:
    (version,) = struct.unpack_from("<H", kernel, _VERSION)
    if kernel[_MAGIC : _MAGIC + 4] != b"HdrS" or version < _WITH_PAYLOAD:
        raise ValueError("it is no bzImage")
    offset, length = struct.unpack_from("<II", kernel, _PAYLOAD)
    begin = ((kernel[_SETUP_SECTORS] or 4) + 1) * _SECTOR_BYTES + offset
    return kernel[begin : begin + length]


def _unpack(payload: bytes) -> bytes:
    if payload.startswith(b"\x02\x21\x4c\x18") and (lz4 := shutil.which("lz4")):
        return subprocess.run(
            [lz4, "-dc"],
            input=payload[:-_SIZE_BYTES],
            capture_output=True,
            timeout=UNPACK_TIMEOUT_S,
            check=True,
        ).stdout
    return first_stream(payload)
