"""One image of the library, and `image.toml`: what is written down about it beside its file."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import tomli_w

from vmtui import toml
from vmtui.deferred import deferred
from vmtui.errors import InputError
from vmtui.files import is_file, write_whole
from vmtui.model import Firmware
from vmtui.progress import ProgressSink

if TYPE_CHECKING:
    from vmtui.images import checksums
else:
    (checksums,) = deferred("vmtui.images", "checksums")

VERSION = 1
RECORD = "image.toml"
INITRD = "initrd"


class ImageKind(StrEnum):
    """What an image is for."""

    CLOUD = "cloud"  # a disk with cloud-init in it
    ISO = "iso"
    DISK = "disk"
    KERNEL = "kernel"  # with its initrd
    MICRO = "micro"


@dataclass(frozen=True, slots=True)
class Image:
    """One image of the library. What is empty or None is not known."""

    name: str
    kind: ImageKind
    path: Path
    format: str
    virtual_size_bytes: int
    sha256: str
    title: str = ""
    source: str = ""  # the address or file that it came from
    checked: str = ""  # how it was verified when it came, and what was not
    arch: str = ""
    user: str = ""  # whom cloud-init makes
    firmware: Firmware | None = None
    serial_console: bool | None = None
    disk_minimum_bytes: int | None = None
    memory_minimum_bytes: int | None = None
    added_at_s: float = 0.0  # Unix time
    initrd: Path | None = None  # of a kernel
    initrd_sha256: str = ""
    append: str = ""  # a kernel's command line


class _Record(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    version: int = 0
    kind: ImageKind
    file: str
    format: str
    virtual_size_bytes: int
    sha256: str
    title: str = ""
    source: str = ""
    checked: str = ""
    arch: str = ""
    user: str = ""
    firmware: Firmware | None = None
    serial_console: bool | None = None
    disk_minimum_bytes: int | None = None
    memory_minimum_bytes: int | None = None
    added_at_s: float = 0.0
    initrd: str = ""
    initrd_sha256: str = ""
    append: str = ""


def file_name(kind: ImageKind, image_format: str) -> str:
    """What an image's file is called in its folder."""
    match kind:
        case ImageKind.ISO:
            return "image.iso"
        case ImageKind.KERNEL:
            return "kernel"
        case _:
            return f"disk.{image_format}"


def read(folder: Path) -> Image:
    """The image in `folder`. Raises InputError with file and reason."""
    path = folder / RECORD
    try:
        content = toml.tables(path.read_text("utf-8"))
        version = content.get("version")
        if isinstance(version, int) and version > VERSION:
            raise _broken(folder, "a later vmtui has written it")
        record = msgspec.convert(content, _Record)
    except (OSError, ValueError) as error:  # TOML's, msgspec's and Unicode's errors are ValueErrors
        raise _broken(folder, f"{path.name}: {error}") from error
    known = {key: getattr(record, key) for key in _Record.__struct_fields__}
    del known["version"], known["file"]
    known["initrd"] = _file(folder, record.initrd) if record.initrd else None
    return Image(name=folder.name, path=_file(folder, record.file), **known)


def _file(folder: Path, name: str) -> Path:
    file = folder / name
    if file.parent != folder or not is_file(file) or file.is_symlink():
        raise _broken(folder, f"its file {name!r} is not there")
    return file


def write(folder: Path, image: Image) -> None:
    """Write down what is known of the image whose file is in `folder`. Blocks."""
    known = {key: getattr(image, key) for key in _Record.__struct_fields__ if hasattr(image, key)}
    known["initrd"] = image.initrd.name if image.initrd else ""
    record = _Record(version=VERSION, file=image.path.name, **known)
    write_whole(folder / RECORD, tomli_w.dumps(msgspec.to_builtins(record)).encode())


async def summed(image: Image, progress: ProgressSink) -> Image:
    """With the sums of its files that are not known yet."""
    sum_ = image.sha256 or await checksums.digest(image.path, "sha256", progress)
    initrd_sum = image.initrd_sha256
    if image.initrd and not initrd_sum:
        initrd_sum = await checksums.digest(image.initrd, "sha256", progress)
    return replace(image, sha256=sum_, initrd_sha256=initrd_sum)


def _broken(folder: Path, why: str) -> InputError:
    return InputError(
        f"the image {folder.name} can't be used",
        why=why,
        hint=f"Remove it and get it again: vmtui images remove {folder.name}",
    )


def no_such_image(name: str, known: Sequence[str]) -> InputError:
    """The error for a name that nobody knows, with those that are like it."""
    near = difflib.get_close_matches(name, known, n=4, cutoff=0.5)
    shown = ", ".join(near or known[:8]) + ("" if near or len(known) <= 8 else " …")
    told = f"Did you mean {shown}?" if near else f"There is: {shown}."
    return InputError(
        f"there is no image {name!r}",
        hint=told if known else "See: vmtui images list",
    )
