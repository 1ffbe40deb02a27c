"""What is typed into the form for a new VM, and what that comes to."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from vmtui.errors import VmtuiError
from vmtui.model import Firmware
from vmtui.spec import (
    BLANK,
    MICRO,
    NAME_LIMIT,
    Boot,
    BootKind,
    Limits,
    Problem,
    VMSpec,
    default_disk_bytes,
    default_memory_bytes,
    problems,
)
from vmtui.units import parse_size_bytes, size

FIELDS = ("name", "connection", "image", "vcpus", "memory", "disk", "firmware", "tpm", "then")
"""In the order of the form."""


@dataclass(frozen=True, slots=True)
class Draft:
    """The fields as text. `boot` is what the image turned out to be, None while that is open."""

    name: str
    image: str
    vcpus: str
    memory: str
    disk: str
    boot: Boot | None = MICRO
    image_error: VmtuiError | None = None
    firmware: Firmware = Firmware.BIOS
    tpm: bool = False

    def read(self, limits: Limits) -> tuple[VMSpec | None, list[Problem]]:
        """The VM to make, or None and every problem, in the order of the fields."""
        found: list[Problem] = []
        if self.image_error is not None:
            why = f": {self.image_error.why}" if self.image_error.why else ""
            found.append(Problem("image", f"{self.image_error.what}{why}.", self.image_error.hint))
        vcpus = _number(self.vcpus, found)
        memory_bytes = _size("memory", self.memory, found)
        disk_bytes = _size("disk", self.disk, found) if self.disk.strip() else None
        unread = {problem.field for problem in found}
        # With what can't be read replaced by what is fine, the rest is still checked.
        spec = VMSpec(
            name=self.name.strip(),
            boot=self.boot or MICRO,
            vcpus=1 if vcpus is None else vcpus,
            memory_bytes=memory_bytes or default_memory_bytes(MICRO),
            disk_bytes=disk_bytes,
            firmware=self.firmware,
            tpm=self.tpm,
        )
        found += [problem for problem in problems(spec, limits) if problem.field not in unread]
        found.sort(key=lambda problem: _place(problem.field))
        return (None if found or self.boot is None else spec), found


def _place(name: str) -> int:
    return FIELDS.index(name) if name in FIELDS else len(FIELDS)


def _number(text: str, found: list[Problem]) -> int | None:
    if re.fullmatch(r"\s*\d{1,6}\s*", text):
        return int(text)
    found.append(Problem("vcpus", "A whole number, such as 2."))
    return None


def _size(name: str, text: str, found: list[Problem]) -> int | None:
    try:
        return parse_size_bytes(text)
    except ValueError as error:
        found.append(Problem(name, f"{str(error)[:1].upper()}{str(error)[1:]}."))
        return None


def free_name(image: str, boot: Boot | None, taken: Iterable[str]) -> str:
    """A name for a VM of that image that no other has: `micro-1`."""
    stem = boot.path.stem if boot is not None and boot.path is not None else image
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-._")[: NAME_LIMIT - 5]
    if boot is BLANK or not stem or not stem[0].isalnum():
        stem = "vm"
    used = {name.lower() for name in taken}
    return next(
        name for i in range(1, len(used) + 2) if (name := f"{stem}-{i}").lower() not in used
    )


def default_memory(boot: Boot) -> str:
    """The memory that is filled in."""
    return _short(default_memory_bytes(boot))


def default_disk(boot: Boot) -> str:
    """The disk that is filled in; empty: none, or the image's own size."""
    disk_bytes = default_disk_bytes(boot)
    return "" if disk_bytes is None else _short(disk_bytes)


def _short(size_bytes: int) -> str:
    return size(size_bytes).replace(" ", "").replace("iB", "")


def described(boot: Boot | None) -> str:
    """What an image was found to be."""
    if boot is None:
        return "looking …"
    match boot.kind:
        case BootKind.MICRO:
            return "or the path of an ISO or disk image, or none"
        case BootKind.NONE:
            return "an empty disk"
        case BootKind.ISO:
            return f"an ISO of {size(boot.virtual_size_bytes)}"
        case BootKind.DISK:
            return f"a {boot.format} disk of {size(boot.virtual_size_bytes)}, copied"
