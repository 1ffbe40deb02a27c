"""What to create: the specification of a new VM, and what it has to fit into."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from vmtui.model import Accel, Firmware
from vmtui.parts import CloudInit, DiskSpec, NicSpec, SharedFolder, Topology
from vmtui.units import GIB, MIB, plain

NAME_LIMIT = 63

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class BootKind(StrEnum):
    """Where a new VM's system comes from."""

    MICRO = "micro"  # the embedded kernel and busybox
    DISK = "disk"  # a copy of a disk image
    ISO = "iso"  # an installer or live medium
    NONE = "none"  # an empty disk
    KERNEL = "kernel"  # of the library, with its initrd


@dataclass(frozen=True, slots=True)
class Boot:
    """A resolved image. `path` is absolute; `format` is what the content was found to be."""

    kind: BootKind
    path: Path | None = None
    format: str | None = None
    virtual_size_bytes: int | None = None
    image: str = ""
    """Its name in the library of images. What is there never changes: disks may lean on it.

    With a name and no `path` it is one of the catalogue that has yet to be pulled.
    """
    cloud: bool = False  # cloud-init is in it
    user: str = ""  # whom cloud-init makes in it, if not told otherwise
    firmware: Firmware | None = None  # the only one that starts it; None: any, or not known
    disk_minimum_bytes: int | None = None
    memory_minimum_bytes: int | None = None
    initrd: Path | None = None  # of a kernel
    append: str = ""  # a kernel's command line

    @property
    def label(self) -> str:
        """How a user names it: `micro`, `none`, the name in the library, or the file."""
        return self.image or (self.kind.value if self.path is None else str(self.path))


MICRO = Boot(BootKind.MICRO)
BLANK = Boot(BootKind.NONE)


@dataclass(frozen=True, slots=True)
class VMSpec:
    """A VM to make. `disk_bytes` None: no disk, or with a disk image the image's own size.

    What is empty or None from `full_copy` on is left to the connection's own good default.
    """

    name: str
    boot: Boot = MICRO
    vcpus: int = 1
    memory_bytes: int = 256 * MIB
    disk_bytes: int | None = None
    firmware: Firmware = Firmware.BIOS
    tpm: bool = False
    accel: Accel = Accel.AUTO
    description: str = ""
    full_copy: bool = False  # of an image of the library; else its disk is an overlay on that
    topology: Topology | None = None
    cpu_model: str = ""
    balloon_floor_bytes: int | None = None  # the ceiling is `memory_bytes`
    disks: tuple[DiskSpec, ...] = ()  # beside the one of the image
    media: tuple[Path, ...] = ()  # more ISOs in trays, such as one with drivers
    nics: tuple[NicSpec, ...] | None = None
    shares: tuple[SharedFolder, ...] = ()
    graphics: bool | None = None
    boot_order: tuple[str, ...] = ()  # of `disk`, `cdrom`, `network`
    hyperv: bool = False  # what Windows likes to find, and no HPET
    cloud_init: CloudInit | None = None
    ssh_user: str = ""
    tags: tuple[str, ...] = ()
    autostart: bool = False
    throwaway: bool = False  # gone with all its files once it is off


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong with one field of a VMSpec; `hint` says how to mend it."""

    field: str
    text: str
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.text} {self.hint}".strip()


@dataclass(frozen=True, slots=True)
class Limits:
    """What the target connection has, as far as known; None is unknown."""

    taken_names: frozenset[str] = field(default_factory=frozenset)
    host_cpus: int | None = None
    host_memory_bytes: int | None = None
    free_bytes: int | None = None  # in the folder or pool for disks
    missing: Mapping[str, str] = field(default_factory=dict)
    """By what VMs can't have there (a key of `spec_problems.WHAT_MISSING`), what it would take,
    such as `Install swtpm.`"""


def name_problem(name: str, taken: Iterable[str] = ()) -> str | None:
    """Why `name` can't be a new VM's name, or None.

    A name becomes a folder, a hostname and a word on a command line, so it is kept to letters,
    digits, dot, dash and underscore on every backend.
    """
    if not name:
        return "A VM needs a name."
    if len(name) > NAME_LIMIT:
        return f"The name has {len(name)} characters; {NAME_LIMIT} is the limit."
    if name.startswith("-"):
        return "A name can't start with a dash: commands would take it for an option."
    if _NAME.fullmatch(name) is None:
        bad = next((c for c in name if not re.fullmatch(r"[A-Za-z0-9._-]", c)), name[0])
        shown = {" ": "a space", "/": "a slash", "\x1b": "an escape"}.get(bad, repr(plain(bad)))
        return (
            f"The name has {shown} in it; use letters, digits, '.', '-' and '_', "
            "and start with a letter or digit."
        )
    lowered = name.lower()
    for other in taken:
        if other.lower() == lowered:
            same = "already exists" if other == name else "differs only in case"
            return (
                f"A VM named {plain(other)} {same}."
                if other == name
                else (f"The name {same} from the existing VM {plain(other)}.")
            )
    return None


def default_memory_bytes(boot: Boot) -> int:
    """What a VM of that kind needs to be pleasant."""
    return (
        256 * MIB if boot.kind is BootKind.MICRO else max(2 * GIB, boot.memory_minimum_bytes or 0)
    )


def default_disk_bytes(boot: Boot) -> int | None:
    """A disk for what has to be installed; none for micro, the image's own for a disk image.

    Cloud images are as small as can be and grow into what they are given.
    """
    if boot.kind in (BootKind.ISO, BootKind.NONE):
        return max(20 * GIB, boot.disk_minimum_bytes or 0)
    if not boot.cloud:
        return None
    return max(10 * GIB, boot.disk_minimum_bytes or 0, boot.virtual_size_bytes or 0)
