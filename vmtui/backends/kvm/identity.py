"""What the drives and cards of a VM are called, and which of now is which at the next boot."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterator, Sequence
from typing import TypeVar

from vmtui.backends.kvm.definition import Definition
from vmtui.backends.kvm.hardware import DiskDefinition, NicDefinition
from vmtui.model import DiskKind
from vmtui.parts import DiskBus

T = TypeVar("T")
Key = Callable[[T], Hashable | None]
"""What tells a part from others; None: it can't be told by that."""
Pair = tuple[int | None, int | None]
"""The places of a part in two lists; None where it is not."""

_PREFIXES = {
    DiskBus.VIRTIO: "vd",
    DiskBus.SCSI: "sd",
    DiskBus.SATA: "sd",
    DiskBus.IDE: "sd",
    DiskBus.NVME: "nvme",
}


def drive_names(definition: Definition) -> tuple[str, ...]:
    """What Linux in the guest calls the drives, as far as that can be told from here."""
    used: Counter[str] = Counter()
    names = []
    for disk in definition.disk:
        prefix = _prefix(disk)
        names.append(_drive_name(prefix, used[prefix]))
        used[prefix] += 1
    return tuple(names)


def new_drive_name(disk: DiskDefinition, taken: Collection[str]) -> str:
    """What one more drive is called beside those of the names `taken`."""
    return next(name for name in _names(_prefix(disk)) if name not in taken)


def new_card_name(taken: Collection[str]) -> str:
    """What one more network card is called beside those of the names `taken`."""
    return next(f"net{n}" for n in range(len(taken) + 1) if f"net{n}" not in taken)


def _names(prefix: str) -> Iterator[str]:
    number = 0
    while True:
        yield _drive_name(prefix, number)
        number += 1


def _prefix(disk: DiskDefinition) -> str:
    return "sr" if disk.kind is DiskKind.CDROM else _PREFIXES[disk.bus]


def _drive_name(prefix: str, number: int) -> str:
    if prefix == "nvme":
        return f"nvme{number}n1"
    if prefix == "sr":
        return f"sr{number}"
    letters = ""
    while number >= 0:  # a to z, then aa
        number, letter = divmod(number, 26)
        letters = chr(ord("a") + letter) + letters
        number -= 1
    return prefix + letters


def pairs(now: Sequence[T], then: Sequence[T], *keys: Key[T]) -> list[Pair]:
    """Which of `now` is which of `then`, told by the first key that does; those new come last."""
    found: dict[int, int] = {}
    for key in keys:
        left = [place for place in range(len(then)) if place not in found.values()]
        for at, part in enumerate(now):
            mark = None if at in found else key(part)
            match = next((p for p in left if mark is not None and key(then[p]) == mark), None)
            if match is not None:
                found[at] = match
                left.remove(match)
    known = [(at, found.get(at)) for at in range(len(now))]
    return known + [(None, p) for p in range(len(then)) if p not in found.values()]


def _by_file(disk: DiskDefinition) -> Hashable | None:
    return (disk.kind, disk.file) if disk.file else None


def _by_tray(disk: DiskDefinition) -> Hashable | None:
    # A medium comes and goes; the tray stays.
    return disk.kind if disk.kind is DiskKind.CDROM else None


def _by_mac(nic: NicDefinition) -> Hashable | None:
    return nic.mac.lower()


def _by_port(nic: NicDefinition) -> Hashable | None:
    return nic.port or None


DRIVE_KEYS: tuple[Key[DiskDefinition], ...] = (_by_file, _by_tray)
CARD_KEYS: tuple[Key[NicDefinition], ...] = (_by_mac, _by_port)
