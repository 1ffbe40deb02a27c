"""One image of the library, and `image.toml`: what is written down about it beside its file."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import msgspec
import tomli_w

from vmtui import toml
from vmtui.errors import InputError
from vmtui.files import is_file, write_whole
from vmtui.model import Firmware

VERSION = 1
RECORD = "image.toml"


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


def file_name(kind: ImageKind, image_format: str) -> str:
    """What an image's file is called in its folder."""
    return "image.iso" if kind is ImageKind.ISO else f"disk.{image_format}"


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
    file = folder / record.file
    if file.parent != folder or not is_file(file) or file.is_symlink():
        raise _broken(folder, f"its file {record.file!r} is not there")
    known = {key: getattr(record, key) for key in _Record.__struct_fields__}
    del known["version"], known["file"]
    return Image(name=folder.name, path=file, **known)


def write(folder: Path, image: Image) -> None:
    """Write down what is known of the image whose file is in `folder`. Blocks."""
    known = {key: getattr(image, key) for key in _Record.__struct_fields__ if hasattr(image, key)}
    record = _Record(version=VERSION, file=image.path.name, **known)
    write_whole(folder / RECORD, tomli_w.dumps(msgspec.to_builtins(record)).encode())


def _broken(folder: Path, why: str) -> InputError:
    return InputError(
        f"the image {folder.name} can't be used",
        why=why,
        hint=f"Remove it and get it again: vmtui images remove {folder.name}",
    )
