"""A VM's hardware as rows of text: parts, and below each its settings now and at next boot."""

from __future__ import annotations

from dataclasses import dataclass

from vmtui.hardware.settings import PartKind, setting
from vmtui.hardware.tree import Entry, Hardware, Part, Takes, is_pending
from vmtui.hardware.values import Kind, Value
from vmtui.units import plain

TAKES = {
    Takes.LIVE: "live",
    Takes.NEXT_BOOT: "next boot",
    Takes.BOTH: "both",
    Takes.NEVER: "–",
}
"""When a change takes effect, in a word."""


@dataclass(frozen=True, slots=True)
class HardwareRow:
    """One line: a part, or (with `entry`) one of its settings."""

    part: Part
    entry: Entry | None
    label: str
    now: str
    then: str  # at next boot, where that is something else
    takes: str
    pending: bool

    @property
    def id(self) -> str:
        """What stays the same when the values change; a part may be called like a setting."""
        return self.entry.key if self.entry else f"{self.part.id}:"


def rows(hardware: Hardware) -> list[HardwareRow]:
    """All lines, from the top."""
    found = []
    for part in hardware.parts:
        found.append(_part_row(part, active=hardware.active))
        found += [_entry_row(part, entry, active=hardware.active) for entry in part.entries]
    return found


def part_name(part: Part) -> str:
    """What a part is called; devices by kind and label."""
    label, kind = plain(part.label), part.kind.value
    return label if label.lower().startswith(kind.lower()) or _is_fixed(part) else f"{kind} {label}"


def _is_fixed(part: Part) -> bool:
    return part.kind in (PartKind.VM, PartKind.OTHER)


def _part_row(part: Part, *, active: bool) -> HardwareRow:
    then = ""
    if active and part.there_now != part.there_next:
        then = "there" if part.there_next else "gone"
    now = "" if part.there_now or not active else "not yet"
    takes = "" if part.detach is Takes.NEVER else TAKES[part.detach]
    return HardwareRow(part, None, part_name(part), now, then, takes, pending=bool(then))


def _entry_row(part: Part, entry: Entry, *, active: bool) -> HardwareRow:
    known = setting(entry.key)
    now = shown(entry.key, entry.now) if active and part.there_now else ""
    if entry.wanted is not None and entry.wanted != entry.now:
        now = f"{now}, asked {shown(entry.key, entry.wanted)}"
    pending = active and part.there_now and part.there_next and is_pending(entry)
    then = shown(entry.key, entry.next) if pending or not active or not part.there_now else ""
    return HardwareRow(part, entry, known.label, now, then, TAKES[entry.takes], pending)


def shown(key: str, value: Value) -> str:
    """A value as people read it."""
    return setting(key).form.shown(value)


SUMMARIES: dict[PartKind, tuple[str, ...]] = {
    PartKind.VM: ("protected", "autostart", "restart", "tags", "description"),
    PartKind.CPU: ("cpus", "cpus.max", "cpu.model", "cpu.profile", "cpu.pin", "cpu.quota"),
    PartKind.MEMORY: ("memory", "memory.target", "memory.floor", "balance", "memory.merge"),
    PartKind.FIRMWARE: ("firmware", "firmware.keys", "boot.order", "boot.once"),
    PartKind.TPM: ("tpm", "tpm.version", "tpm.encrypted"),
    PartKind.DISK: ("size", "source", "bus", "cache", "iops", "rate"),
    PartKind.NIC: ("link", "network", "model", "mac", "rate"),
    PartKind.DISPLAY: ("display",),
    PartKind.OTHER: ("rng", "watchdog", "sound", "agent", "vsock"),
}
"""The settings that say most of a part, the most wanted first."""

_ITSELF = {Kind.TEXT, Kind.CHOICE, Kind.SIZE, Kind.LIST}
"""Values of these kinds say what they are; a number or `on` needs its label."""


def summary(part: Part, *, active: bool) -> list[tuple[str, bool]]:
    """A part in a few pieces, each with whether the next boot takes it otherwise."""
    found: list[tuple[str, bool]] = []
    for word in SUMMARIES.get(part.kind, ()):
        entry = next((e for e in part.entries if e.key in (word, f"{part.id}.{word}")), None)
        if entry is None:
            continue
        pending = active and is_pending(entry)
        value = entry.now if active else entry.next
        if value in (None, "", (), "off", "no", False) and not pending:
            continue
        text = _piece(entry, value)
        if pending:
            text += f" → {shown(entry.key, entry.next)}"
        found.append((text, pending))
    if active and part.there_now != part.there_next:
        found.append(("there at next boot" if part.there_next else "gone at next boot", True))
    return found


def _piece(entry: Entry, value: Value) -> str:
    known = setting(entry.key)
    text = shown(entry.key, value)
    if value is True:
        return known.label
    plain_enough = known.form.kind in _ITSELF and value not in (None, False)
    first = entry.key.count(".") == 0 or entry.key.endswith((".size", ".source", ".network"))
    return text if plain_enough and first else f"{known.label} {text}"
