"""The library of images: a folder for each, whose content never changes once it is there."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import platformdirs

from vmtui.model import Firmware


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
    arch: str = ""
    user: str = ""  # whom cloud-init makes
    firmware: Firmware | None = None
    serial_console: bool | None = None
    disk_minimum_bytes: int | None = None
    memory_minimum_bytes: int | None = None
    added_at_s: float = 0.0  # Unix time


def default_root() -> Path:
    """Where this user's images are."""
    return platformdirs.user_data_path("vmtui") / "images"
