"""From what a user names as an image to what it really is: micro, ISO or a disk, by its content."""

from __future__ import annotations

import asyncio
import os
import re
import stat
from pathlib import Path
from typing import Any

import msgspec

from vmtui.command import run
from vmtui.errors import InputError, OperationError
from vmtui.spec import BLANK, MICRO, Boot, BootKind

QEMU_IMG_TIMEOUT_S = 20.0

ISO_OFFSET = 0x8001
ISO_MAGIC = b"CD001"
HEAD_BYTES = 0x8006

# What the start of a file says about its format: QEMU's own probes (block/*.c), the magics.
_MAGICS = (
    (b"QFI\xfb", "qcow2"),
    (b"KDMV", "vmdk"),
    (b"# Disk DescriptorFile", "vmdk"),
    (b"vhdxfile", "vhdx"),
    (b"conectix", "vpc"),
    (b"QED\0", "qed"),
)
_VDI_MAGIC = (0x40, b"\x7f\x10\xda\xbe")
_COMPRESSED = ((b"\x1f\x8b", "gzip"), (b"\xfd7zXZ\0", "xz"), (b"\x28\xb5\x2f\xfd", "zstd"))

# What an ending promises. `.img` promises nothing: cloud images under it are raw or qcow2.
_PROMISES = {
    ".qcow2": "qcow2",
    ".raw": "raw",
    ".vmdk": "vmdk",
    ".vdi": "vdi",
    ".vhdx": "vhdx",
    ".vhd": "vpc",
    ".iso": "iso",
}


async def resolve(image: str) -> Boot:
    """The image called `image`: `micro`, `none`, or a path to a disk image or an ISO.

    Raises InputError when it is missing, unreadable, no image, of a format that its name denies,
    or leans on other files; MissingError without qemu-img.
    """
    if image in ("", BootKind.MICRO.value):
        return MICRO
    if image == BootKind.NONE.value:
        return BLANK
    path = _absolute(image)
    # In a thread: a file on a network mount that hangs must not hold up the interface.
    head, file_bytes = await asyncio.to_thread(_head, path)
    format_found = _format(path, head, file_bytes)
    _check_promise(path, format_found)
    if format_found == "iso":
        return Boot(BootKind.ISO, path, "raw", file_bytes)
    if format_found == "raw":
        return Boot(BootKind.DISK, path, "raw", file_bytes)
    info = await _qemu_img_info(path, format_found)
    _check_leans_on_nothing(path, info)
    virtual_bytes = info.get("virtual-size")
    if not isinstance(virtual_bytes, int) or virtual_bytes <= 0:
        raise InputError(f"{path} is not a usable {format_found} image", why="it has no size")
    return Boot(BootKind.DISK, path, format_found, virtual_bytes)


def _absolute(image: str) -> Path:
    return Path(image).expanduser().absolute()


def _head(path: Path) -> tuple[bytes, int]:
    try:
        # Non-blocking: opening a FIFO must not wait for its writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise InputError(
            f"there is no image {str(path)!r}",
            hint="Give micro, none, or the path of a disk image or ISO.",
        ) from error
    except OSError as error:
        raise InputError(f"the image {path} can't be read", why=error.strerror or "") from error
    try:
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            raise InputError(f"{path} is a folder", hint="Give a disk image or ISO in it.")
        if not stat.S_ISREG(status.st_mode):
            raise InputError(f"{path} is not a file", hint="Give a disk image or an ISO.")
        return os.pread(descriptor, HEAD_BYTES, 0), status.st_size
    finally:
        os.close(descriptor)


def _format(path: Path, head: bytes, file_bytes: int) -> str:
    if file_bytes == 0:
        raise InputError(f"{path} is empty", hint="Was the download cut off?")
    if head[ISO_OFFSET:].startswith(ISO_MAGIC):
        return "iso"
    for magic, name in _COMPRESSED:
        if head.startswith(magic):
            raise InputError(
                f"{path} is compressed with {name}", hint="Unpack it first, then use the result."
            )
    for magic, name in _MAGICS:
        if head.startswith(magic):
            return name
    offset, magic = _VDI_MAGIC
    if head[offset:].startswith(magic):
        return "vdi"
    # What carries no magic is raw only if it can be a disk: whole sectors, with a boot signature,
    # a GPT, or at least a file name that says so.
    if file_bytes % 512 == 0 and (
        head[510:512] == b"\x55\xaa"
        or head[512:520] == b"EFI PART"
        or path.suffix.lower() in (".raw", ".img")
    ):
        return "raw"
    promised = _PROMISES.get(path.suffix.lower())
    if promised:
        raise InputError(
            f"{path} is not a {promised} image",
            why="its content does not start like one, whatever its name says",
            hint="Was the download cut off, or is it an error page?",
        )
    raise InputError(
        f"{path} is not a disk image",
        why="it has no image header, partition table or boot sector",
        hint="A raw disk without them has to be named .raw or .img.",
    )


def _check_promise(path: Path, found: str) -> None:
    promised = _PROMISES.get(path.suffix.lower())
    if promised is None or promised == found or (promised == "raw" and found == "iso"):
        return
    raise InputError(
        f"{path} is named {path.suffix} but its content is {found}",
        why="a guest that owned the file as a raw disk could have written that header",
        hint=f"If you trust it, rename it to end in .{found}.",
    )


async def _qemu_img_info(path: Path, format_found: str) -> dict[str, Any]:
    # --backing-chain is left out: only the file itself is opened (-U: also while in use).
    argv = ("qemu-img", "info", "-U", "--output=json", "-f", format_found, "--", str(path))
    try:
        info = msgspec.json.decode(await run(*argv, timeout_s=QEMU_IMG_TIMEOUT_S))
    except OperationError as error:
        why = error.why.removeprefix("qemu-img: ")
        raise InputError(f"{path} is not a usable {format_found} image", why=why) from error
    except msgspec.DecodeError as error:
        raise InputError(f"{path} can't be read", why=f"qemu-img's answer: {error}") from error
    return info if isinstance(info, dict) else {}


def _check_leans_on_nothing(path: Path, info: dict[str, Any]) -> None:
    specific = info.get("format-specific")
    data = specific.get("data") if isinstance(specific, dict) else None
    data_file = data.get("data-file") if isinstance(data, dict) else None
    other = info.get("full-backing-filename") or info.get("backing-filename") or data_file
    if other:
        raise InputError(
            f"{path} leans on another file, {str(other)!r}",
            why="an image from outside could name any file of this machine there",
            hint="If you trust it, make it whole first: qemu-img convert -O qcow2 OLD NEW.",
        )
    if re.search(r"json:|://", str(info.get("filename", ""))):
        raise InputError(f"{path} points to another place", why="that is not followed")
