"""A VM of the demo fleet as it runs and as it is stored, side by side."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from vmtui.backends.demo_definition import FIXED_PARTS, Definition
from vmtui.backends.demo_refusals import Situation
from vmtui.backends.demo_rules import detaching, takes
from vmtui.backends.demo_text import text_of
from vmtui.hardware.devices import NewConsole, NewDisk
from vmtui.hardware.settings import SETTINGS, PartKind
from vmtui.hardware.tree import Entry, Hardware, Part, Takes
from vmtui.hardware.values import Value
from vmtui.model import VM, Balance, Disk, DiskKind, Firmware, Nic

UNWILLING = "router"
"""The one of the cast whose guest has no balloon driver, and lets no device go."""


@dataclass(frozen=True, slots=True)
class Machine:
    """A VM's hardware: as it runs (None: it is off), and as it is stored."""

    now: Definition | None
    stored: Definition


def tree(
    vm: VM, machine: Machine, situation: Situation, balloon: tuple[int, int | None]
) -> Hardware:
    """All parts; `balloon` is what it leaves the guest, and was asked to leave it."""
    both = [machine.stored, *([machine.now] if machine.now else [])]
    parts = [_part(machine, situation, kind, *fixed) for kind, fixed in FIXED_PARTS.items()]
    for part in dict.fromkeys(part for each in both for part in each.devices):
        fitted = next(each.devices[part] for each in both if part in each.devices)
        parts.append(_part(machine, situation, fitted.kind, part, fitted.label))
    order = list(PartKind)
    parts.sort(key=lambda part: order.index(part.kind))
    told = [_told(part, vm, machine, balloon) for part in parts]
    return Hardware(vm.id, vm.name, machine.now is not None, tuple(told))


def _part(machine: Machine, situation: Situation, kind: PartKind, part: str, label: str) -> Part:
    now = machine.now.of(part) if machine.now else {}
    then = machine.stored.of(part)
    going, why = detaching(part, machine.stored, active=situation.active)
    return Part(
        part,
        kind,
        label,
        tuple(
            Entry(key, now.get(key), then.get(key), *takes(key, situation))
            for key in sorted({**now, **then}, key=_place)
        ),
        there_now=machine.now is not None and _has(machine.now, part),
        there_next=_has(machine.stored, part),
        detach=going,
        detach_why=why,
    )


def _told(part: Part, vm: VM, machine: Machine, balloon: tuple[int, int | None]) -> Part:
    """The part with what else is known of it."""
    if part.kind is PartKind.FIRMWARE:
        return replace(part, notes=(f"code {firmware_files(vm.firmware or Firmware.BIOS)[0]}",))
    if part.kind is not PartKind.MEMORY or machine.now is None or not machine.now.values["balloon"]:
        return part
    actual, target = balloon
    wanted = target if target != actual else None
    entry = Entry("memory.target", actual, None, Takes.LIVE, wanted=wanted)
    notes = ("the guest has no balloon driver",) if vm.name == UNWILLING else ()
    return replace(part, entries=(part.entries[0], entry, *part.entries[1:]), notes=notes)


def described(vm: VM, machine: Machine) -> VM:
    """The VM with its fields as its hardware has them."""
    seen = machine.now or machine.stored
    values, stored = seen.values, machine.stored.values
    return replace(
        vm,
        name=str(stored["name"]),
        description=str(stored["description"]),
        notes=str(stored["notes"]),
        tags=_words(stored["tags"]),
        autostart=bool(stored["autostart"]),
        restart=stored["restart"] == "on-crash",
        protected=bool(stored["protected"]),
        balance=_balance(stored),
        vcpus=_int(values["cpus"]),
        memory_bytes=_int(values["memory"]) + _int(values["memory.plugged"]),
        firmware=Firmware(str(values["firmware"])),
        tpm=values["tpm"] != "off",
        displays=int(bool(values["display"])),
        disks=tuple(_disks(seen)),
        nics=tuple(_nics(seen)),
        consoles=tuple(
            part.removeprefix("console.")
            for part, fitted in seen.devices.items()
            if isinstance(fitted.device, NewConsole)
        ),
        pending=machine.now is not None and _differ(machine.now, machine.stored),
    )


def _place(key: str) -> int:
    """Where in the table of settings a key is."""
    return next((i for i, known in enumerate(SETTINGS) if known.matches(key)), len(SETTINGS))


def _has(definition: Definition, part: str) -> bool:
    return part in definition.devices or any(part == fixed for fixed, _ in FIXED_PARTS.values())


def firmware_files(firmware: Firmware) -> tuple[str, str]:
    """The firmware's code, and what its variables begin as."""
    if firmware is Firmware.BIOS:
        return "/usr/share/seabios/bios-256k.bin", ""
    stem = "/usr/share/OVMF/OVMF_{}_4M"
    secure = ".ms" if firmware is Firmware.SECURE_BOOT else ""
    return f"{stem.format('CODE')}{secure}.fd", f"{stem.format('VARS')}{secure}.fd"


def base_of(stored: Definition) -> str:
    """Which definition it is."""
    return hashlib.sha256(text_of(stored).encode()).hexdigest()[:16]


def diff_of(name: str, before: Definition, after: Definition) -> str:
    """What would change of the definition's text."""
    old, new = (text_of(each).splitlines(keepends=True) for each in (before, after))
    return "".join(difflib.unified_diff(old, new, name, f"{name} (changed)", n=1))


def _differ(now: Definition, stored: Definition) -> bool:
    return now.values != stored.values or now.devices.keys() != stored.devices.keys()


def _int(value: Value) -> int:
    return value if isinstance(value, int) else 0


def _words(value: Value) -> tuple[str, ...]:
    return value if isinstance(value, tuple) else ()


def _balance(values: Mapping[str, Value]) -> Balance | None:
    if not values["balance"]:
        return None
    return Balance(
        _int(values["balance.least"]) or None,
        _int(values["balance.most"]) or None,
        _int(values["balance.weight"]) or 100,
        _int(values["balance.reserve"]) or None,
    )


def _disks(definition: Definition) -> Iterator[Disk]:
    for part, fitted in definition.devices.items():
        device = fitted.device
        if not isinstance(device, NewDisk):
            continue
        target = part.removeprefix("disk.")
        source = str(device.path) if device.path else None
        if device.kind is DiskKind.CDROM:
            yield Disk(target, device.kind, source, read_only=True)
        else:
            size_bytes = _int(definition.values[f"{part}.size"])
            yield Disk(target, device.kind, source, "qcow2", size_bytes)


def _nics(definition: Definition) -> Iterator[Nic]:
    for part, fitted in definition.devices.items():
        if fitted.kind is PartKind.NIC:
            values = definition.of(part)
            network = str(values[f"{part}.network"]).replace(":", " ", 1)
            yield Nic(str(values[f"{part}.mac"]) or None, network)
