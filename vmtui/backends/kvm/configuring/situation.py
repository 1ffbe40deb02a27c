"""What a change starts from: the VM as it is stored and as it runs, its parts by their names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from vmtui.backends.kvm.definition import Definition
from vmtui.backends.kvm.hardware import DiskDefinition, NicDefinition
from vmtui.backends.kvm.identity import (
    CARD_KEYS,
    DRIVE_KEYS,
    drive_names,
    new_card_name,
    new_drive_name,
    pairs,
)
from vmtui.backends.kvm.running import Running
from vmtui.errors import InputError
from vmtui.model import VMId


@dataclass(frozen=True, slots=True)
class Named:
    """A drive or a card: its places in what runs and in what is stored, None where it is not."""

    name: str
    now: int | None
    then: int | None


@dataclass(frozen=True)
class Situation:
    """One VM. `running` is None while it is off, or where nobody knows what it was started with."""

    vm: VMId
    name: str
    folder: Path
    active: bool
    emulated: bool  # it runs without KVM
    running: Running | None
    stored: Definition

    @property
    def now(self) -> Definition:
        """What it is made of now."""
        return self.running.definition if self.running else self.stored

    @cached_property
    def drives(self) -> tuple[Named, ...]:
        """All drives, those that run first."""
        then = self.stored.disk
        if self.running is None:
            return _all(drive_names(self.stored), active=self.active)
        names = [slot.name for slot in self.running.disks]
        found: list[Named] = []
        for at, there in pairs(self.now.disk, then, *DRIVE_KEYS):
            if at is None and there is not None:
                names.append(new_drive_name(then[there], names))
            found.append(Named(names[len(found)], at, there))
        return tuple(found)

    @cached_property
    def cards(self) -> tuple[Named, ...]:
        """All network cards, those that run first."""
        if self.running is None:
            count = len(self.stored.nic)
            names: list[str] = []
            for _ in range(count):
                names.append(new_card_name(names))
            return _all(names, active=self.active)
        names = [slot.name for slot in self.running.nics]
        found: list[Named] = []
        for at, there in pairs(self.now.nic, self.stored.nic, *CARD_KEYS):
            if at is None:
                names.append(new_card_name(names))
            found.append(Named(names[len(found)], at, there))
        return tuple(found)

    def drive(self, name: str) -> Named:
        """The drive of that name. Raises InputError."""
        return _named(self.drives, name, f"{self.name} has no disk {name!r}")

    def card(self, name: str) -> Named:
        """The network card of that name. Raises InputError."""
        return _named(self.cards, name, f"{self.name} has no network card {name!r}")

    def disk_now(self, named: Named) -> DiskDefinition | None:
        """What a drive is now; None: it is not there."""
        return self.now.disk[named.now] if named.now is not None else None

    def disk_then(self, named: Named) -> DiskDefinition | None:
        """What a drive will be; None: it will not be there."""
        return self.stored.disk[named.then] if named.then is not None else None

    def nic_now(self, named: Named) -> NicDefinition | None:
        """What a card is now; None: it is not there."""
        return self.now.nic[named.now] if named.now is not None else None

    def nic_then(self, named: Named) -> NicDefinition | None:
        """What a card will be; None: it will not be there."""
        return self.stored.nic[named.then] if named.then is not None else None


def _all(names: Sequence[str], *, active: bool) -> tuple[Named, ...]:
    return tuple(Named(name, at if active else None, at) for at, name in enumerate(names))


def _named(parts: Sequence[Named], name: str, what: str) -> Named:
    for part in parts:
        if part.name == name:
            return part
    there = ", ".join(part.name for part in parts)
    raise InputError(what, hint=f"There is: {there}." if there else "")
