"""What a file holds, told by its content: a disk, an ISO, an archive, or something packed."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from vmtui.errors import InputError

SECTOR_BYTES = 512
ISO_OFFSET = 0x8001
ISO_MAGIC = b"CD001"
HEAD_BYTES = 0x8006

# QEMU's own probes (block/*.c), the magics.
_DISKS = (
    (b"QFI\xfb", "qcow2"),
    (b"KDMV", "vmdk"),
    (b"COWD", "vmdk"),
    (b"# Disk DescriptorFile", "vmdk"),
    (b"vhdxfile", "vhdx"),
    (b"conectix", "vpc"),
    (b"QED\0", "qed"),
)
_VDI_MAGIC = (0x40, b"\x7f\x10\xda\xbe")
_VHD_MAGIC = b"conectix"

PACKINGS = {b"\x1f\x8b": "gz", b"\xfd7zXZ\0": "xz", b"\x28\xb5\x2f\xfd": "zst"}
"""How a single file can be packed, by magic."""

_KERNELS = ((0x202, b"HdrS", "amd64"), (56, b"ARM\x64", "arm64"))
"""Where a kernel's image has its magic: the kernel's documentation, x86/boot and arm64/booting."""

_TAR_MAGIC = (257, b"ustar")
_ZIP_MAGIC = b"PK\x03\x04"

DISK_FORMATS = frozenset({"raw", "vdi", *(name for _, name in _DISKS)})
"""What `probe` calls disks, by QEMU's names. `vpc` is Microsoft's VHD."""


def open_plain(path: Path) -> int:
    """A descriptor to read a regular file; InputError for all else. Never waits for a FIFO."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise InputError(f"there is no file {str(path)!r}") from error
    except OSError as error:
        raise InputError(f"{path} can't be read", why=error.strerror or "") from error
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return descriptor
    os.close(descriptor)
    kind = "a folder" if stat.S_ISDIR(mode) else "not a file"
    raise InputError(f"{path} is {kind}", hint="Give a file.")


def read_piece(path: Path, offset_bytes: int, count_bytes: int) -> bytes:
    """Up to `count_bytes` of a regular file from `offset_bytes` on. Raises InputError."""
    descriptor = open_plain(path)
    try:
        return os.pread(descriptor, count_bytes, offset_bytes)
    except OSError as error:
        raise InputError(f"{path} can't be read", why=error.strerror or "") from error
    finally:
        os.close(descriptor)


def read_text(path: Path, limit_bytes: int) -> str:
    """A whole small text file, whatever its encoding makes of it. Raises InputError."""
    content = read_piece(path, 0, limit_bytes + 1)
    if len(content) > limit_bytes:
        raise InputError(
            f"{path.name} is too large for a definition", why=f"the limit is {limit_bytes} bytes"
        )
    return content.decode("utf-8-sig", errors="replace")


def kernel_arch(path: Path) -> str:
    """What a Linux kernel is for, `amd64` or `arm64`; "" for what is none. Raises InputError."""
    head = read_piece(path, 0, HEAD_BYTES)
    return next((arch for at, magic, arch in _KERNELS if head[at:].startswith(magic)), "")


def probe(path: Path, offset_bytes: int = 0, size_bytes: int | None = None) -> str:
    """The format of a file, or of a piece of it; "" for what has no sign of its own.

    What is "" may be a raw disk, or anything else. Raises InputError when it can't be read.
    """
    head = read_piece(path, offset_bytes, min(HEAD_BYTES, size_bytes or HEAD_BYTES))
    if head[ISO_OFFSET:].startswith(ISO_MAGIC):
        return "iso"
    for magic, name in (*PACKINGS.items(), (_ZIP_MAGIC, "zip"), *_DISKS):
        if head.startswith(magic):
            return name
    for (offset, magic), name in ((_VDI_MAGIC, "vdi"), (_TAR_MAGIC, "tar")):
        if head[offset:].startswith(magic):
            return name
    if _is_fixed_vhd(path, offset_bytes, size_bytes):
        return "vpc"
    return "raw" if head[510:512] == b"\x55\xaa" or head[512:520] == b"EFI PART" else ""


def _is_fixed_vhd(path: Path, offset_bytes: int, size_bytes: int | None) -> bool:
    """Whether this is a raw disk with a VHD's footer behind it."""
    end = offset_bytes + (path.stat().st_size if size_bytes is None else size_bytes)
    footer_at = end - SECTOR_BYTES
    if footer_at < offset_bytes:
        return False
    footer = read_piece(path, footer_at, SECTOR_BYTES)
    return footer.startswith(_VHD_MAGIC) and int.from_bytes(footer[60:64], "big") == 2


def is_vhd_difference(path: Path, offset_bytes: int = 0) -> bool:
    """Whether this VHD holds only what differs from another one; QEMU does not look."""
    head = read_piece(path, offset_bytes, 64)
    return head.startswith(_VHD_MAGIC) and int.from_bytes(head[60:64], "big") == 4
