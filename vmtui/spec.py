"""What to create: the specification of a new VM, and everything that is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from vmtui.model import Accel, Firmware
from vmtui.parts import CloudInit, DiskSpec, NicSpec, SharedFolder, Topology
from vmtui.units import GIB, MIB, TIB, plain, size

NAME_LIMIT = 63
MEMORY_MINIMUM_BYTES = 96 * MIB
"""The micro guest gives no prompt with 64."""
MEMORY_MAXIMUM_BYTES = 16 * TIB
DISK_MINIMUM_BYTES = MIB
DISK_MAXIMUM_BYTES = 512 * TIB
VCPUS_MAXIMUM = 255

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class BootKind(StrEnum):
    """Where a new VM's system comes from."""

    MICRO = "micro"  # the embedded kernel and busybox
    DISK = "disk"  # a copy of a disk image
    ISO = "iso"  # an installer or live medium
    NONE = "none"  # an empty disk


@dataclass(frozen=True, slots=True)
class Boot:
    """A resolved image. `path` is absolute; `format` is what the content was found to be."""

    kind: BootKind
    path: Path | None = None
    format: str | None = None
    virtual_size_bytes: int | None = None
    image: str = ""
    """Its name in the library of images. What is there never changes: disks may lean on it."""

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


def problems(spec: VMSpec, limits: Limits | None = None) -> list[Problem]:
    """Everything wrong with `spec`, in the order of the form's fields; empty: it can be made."""
    limits = limits or Limits()
    found: list[Problem] = []
    name = name_problem(spec.name, limits.taken_names)
    if name:
        found.append(Problem("name", name))
    found += _cpu_problems(spec, limits)
    found += _memory_problems(spec, limits)
    found += _disk_problems(spec)
    return found


def _cpu_problems(spec: VMSpec, limits: Limits) -> Iterable[Problem]:
    if spec.vcpus < 1:
        yield Problem("vcpus", "A VM needs at least 1 vCPU.")
    elif spec.vcpus > VCPUS_MAXIMUM:
        yield Problem("vcpus", f"{VCPUS_MAXIMUM} vCPUs is the limit.")
    elif limits.host_cpus and spec.vcpus > 4 * limits.host_cpus:
        yield Problem(
            "vcpus",
            f"{spec.vcpus} vCPUs on {limits.host_cpus} host CPUs would mostly wait.",
            f"Use {4 * limits.host_cpus} or fewer.",
        )


def _memory_problems(spec: VMSpec, limits: Limits) -> Iterable[Problem]:
    if spec.memory_bytes < MEMORY_MINIMUM_BYTES:
        yield Problem("memory", f"{size(MEMORY_MINIMUM_BYTES)} of memory is the least that boots.")
    elif spec.memory_bytes > MEMORY_MAXIMUM_BYTES:
        yield Problem("memory", f"{size(MEMORY_MAXIMUM_BYTES)} of memory is the limit.")
    elif limits.host_memory_bytes and spec.memory_bytes > limits.host_memory_bytes:
        yield Problem(
            "memory",
            f"The host has {size(limits.host_memory_bytes)} of memory in all.",
            "Ask for less.",
        )


def _disk_problems(spec: VMSpec) -> Iterable[Problem]:
    if spec.boot.kind is BootKind.NONE and spec.disk_bytes is None:
        yield Problem("disk", "Without an image the VM needs a disk.", "Give a size, such as 20G.")
        return
    if spec.disk_bytes is not None:
        if spec.disk_bytes < DISK_MINIMUM_BYTES:
            yield Problem("disk", f"A disk has to have {size(DISK_MINIMUM_BYTES)} at least.")
        elif spec.disk_bytes > DISK_MAXIMUM_BYTES:
            yield Problem("disk", f"{size(DISK_MAXIMUM_BYTES)} is the limit of a disk.")
    image_bytes = spec.boot.virtual_size_bytes
    if spec.boot.kind is not BootKind.DISK or image_bytes is None:
        return
    if spec.disk_bytes is not None and spec.disk_bytes < image_bytes:
        yield Problem(
            "disk",
            f"The image's own disk has {size(image_bytes)}; a smaller one would cut it off.",
            f"Use {size(image_bytes)} or more.",
        )


def default_memory_bytes(boot: Boot) -> int:
    """What a VM of that kind needs to be pleasant."""
    return 256 * MIB if boot.kind is BootKind.MICRO else 2 * GIB


def default_disk_bytes(boot: Boot) -> int | None:
    """A disk for what has to be installed; none for micro, the image's own for a disk image."""
    return 20 * GIB if boot.kind in (BootKind.ISO, BootKind.NONE) else None
