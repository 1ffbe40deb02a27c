"""A VM's hardware as a tree: each value now and at the next boot, side by side."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from vmtui.hardware.settings import PartKind
from vmtui.hardware.values import Value
from vmtui.model import VMId


class Takes(Enum):
    """When a change takes effect. The value is the word that is shown."""

    LIVE = "live"  # and is gone with the power
    NEXT_BOOT = "next boot"
    BOTH = "live and next boot"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Entry:
    """One setting of a VM. `now` is None and `active` False while it is off."""

    key: str  # of `vmtui.hardware.settings`, with the part's own name in place of `*`
    now: Value
    next: Value
    takes: Takes = Takes.NEXT_BOOT  # a change of it, at the best
    why: str = ""  # why not live, or why never, and what it would take
    choices: tuple[str, ...] = ()  # that this host has; empty: those of the setting
    wanted: Value = None  # what was asked of the guest, where asking is not getting


@dataclass(frozen=True, slots=True)
class Part:
    """One part. A device that was attached live only is not there `at_next`, and so on."""

    id: str  # `memory`, `disk.vda`: what `detach` takes
    kind: PartKind
    label: str  # outside text may be in it
    entries: tuple[Entry, ...] = ()
    there_now: bool = True
    there_next: bool = True
    detach: Takes = Takes.NEVER
    detach_why: str = ""
    notes: tuple[str, ...] = ()  # facts that can't be set, such as the chosen firmware file


@dataclass(frozen=True, slots=True)
class Hardware:
    """All parts of one VM; `active`: there is a now."""

    vm: VMId
    name: str
    active: bool
    parts: tuple[Part, ...]

    def entry(self, key: str) -> Entry | None:
        """The entry of that key."""
        return next((e for part in self.parts for e in part.entries if e.key == key), None)

    def part(self, part_id: str) -> Part | None:
        """The part of that id."""
        return next((part for part in self.parts if part.id == part_id), None)

    @property
    def pending(self) -> tuple[str, ...]:
        """The keys, and ids of whole parts, that the next boot takes otherwise than they are."""
        if not self.active:
            return ()
        found = []
        for part in self.parts:
            if part.there_now != part.there_next:
                found.append(part.id)
            else:
                found += [e.key for e in part.entries if is_pending(e)]
        return tuple(found)


def is_pending(entry: Entry) -> bool:
    """Whether a running VM's entry will be another after a power cycle."""
    return entry.takes is not Takes.LIVE and entry.now != entry.next
