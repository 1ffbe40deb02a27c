"""The tree of a VM's hardware: every setting that it has, now and at its next boot."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from vmtui.backends.kvm import disks
from vmtui.backends.kvm.configuring import reach
from vmtui.backends.kvm.configuring.bindings import DISK, NIC, VM, Effect
from vmtui.backends.kvm.configuring.situation import Named, Situation
from vmtui.backends.kvm.definition import Definition
from vmtui.hardware.around import Balloon
from vmtui.hardware.settings import SETTINGS, PartKind, Setting
from vmtui.hardware.tree import Entry, Hardware, Part, Takes
from vmtui.model import DiskKind, Firmware
from vmtui.units import size

WHOLE = {
    PartKind.VM: "vm",
    PartKind.CPU: "cpu",
    PartKind.MEMORY: "memory",
    PartKind.FIRMWARE: "firmware",
    PartKind.TPM: "tpm",
    PartKind.DISPLAY: "display",
    PartKind.OTHER: "other",
}
"""The ids of the parts that every VM has once."""

_NO_RATE = "QEMU has no limit for a user's network; a tap's is root's to set (tc)"


@dataclass(frozen=True, slots=True)
class Seen:
    """What was looked up for the tree, beside what is noted."""

    balloon: Balloon | None = None
    why_no_balloon: str = ""
    plugged_bytes: int | None = None  # that the guest has taken of virtio-mem's
    notes: tuple[tuple[PartKind, str], ...] = ()


def hardware(here: Situation, seen: Seen) -> Hardware:
    """All of it, in the order of the settings."""
    parts = [
        _whole(here, seen, PartKind.VM),
        _whole(here, seen, PartKind.CPU),
        _whole(here, seen, PartKind.MEMORY),
        _whole(here, seen, PartKind.FIRMWARE),
        _whole(here, seen, PartKind.TPM),
        *(_disk(here, named) for named in here.drives),
        *(_nic(here, named) for named in here.cards),
        *_listed(here),
        _whole(here, seen, PartKind.DISPLAY),
        *_consoles(here),
        _whole(here, seen, PartKind.OTHER),
    ]
    made = Hardware(here.vm, here.name, here.active, tuple(parts))
    unseen = here.running.differing(here.stored) if here.running and not made.pending else []
    if not unseen:
        return made
    # What no setting is for was edited by hand.
    note = f"vm.toml waits for the next boot: {', '.join(unseen)}"
    parts[0] = replace(parts[0], notes=(*parts[0].notes, note))
    return replace(made, parts=tuple(parts))


def _of(kind: PartKind) -> Iterator[Setting]:
    return (setting for setting in SETTINGS if setting.part is kind)


def _whole(here: Situation, seen: Seen, kind: PartKind) -> Part:
    entries = [entry for one in _of(kind) if (entry := _entry(here, seen, one)) is not None]
    notes = [text for of, text in seen.notes if of is kind]
    if kind is PartKind.VM and here.active and here.running is None:
        notes.append(f"{reach.UNKNOWN_START}: now is shown as what is stored")
    label = here.name if kind is PartKind.VM else kind.value
    if kind is PartKind.MEMORY and seen.plugged_bytes is not None:
        notes.append(f"the guest has taken {size(seen.plugged_bytes)} of what is plugged in")
    return Part(WHOLE[kind], kind, label, tuple(entries), notes=tuple(notes))


def _entry(here: Situation, seen: Seen, one: Setting) -> Entry | None:
    key = one.key
    firmware = (here.now.firmware, here.stored.firmware)
    if key == "firmware.keys" and Firmware.SECURE_BOOT not in firmware:
        return None  # nothing asks for them
    if key in VM:
        return _plain(here, key)
    if key == "name":
        why = "its folder bears it: only while it is off" if here.active else ""
        takes = Takes.NEVER if why else Takes.NEXT_BOOT
        return Entry(key, here.name if here.active else None, here.name, takes, why)
    if key == "memory.target":
        return _target(here, seen)
    if key == "tpm.encrypted":
        now, then = (bool(of.tpm_key) for of in (here.now, here.stored))
        return Entry(key, now if here.active else None, then, why="chosen before it has a state")
    return None


def _plain(here: Situation, key: str) -> Entry:
    binding = VM[key]
    then = binding.read(here.stored)
    takes, why = reach.of_vm(here, key)
    now = None
    if here.active:
        # What QEMU knows nothing of is as it is stored, at once.
        at_once = takes is Takes.BOTH and binding.effect is Effect.AT_ONCE
        now = then if at_once else binding.read(here.now)
    return Entry(key, now, then, takes, why)


def _target(here: Situation, seen: Seen) -> Entry:
    if seen.balloon is None:
        why = seen.why_no_balloon if here.active else "a target is for a VM that runs"
        return Entry("memory.target", None, here.stored.memory_bytes, Takes.LIVE, why)
    actual_bytes, wanted = seen.balloon.actual_bytes, seen.balloon.target_bytes
    return Entry("memory.target", actual_bytes, here.stored.memory_bytes, Takes.LIVE, wanted=wanted)


# -- drives and cards --------------------------------------------------------------------------


def _disk(here: Situation, named: Named) -> Part:
    now, then = here.disk_now(named), here.disk_then(named)
    shown = then or now
    assert shown is not None
    entries = []
    for one in _of(PartKind.DISK):
        key = one.key.removeprefix("disk.*.")
        full = f"disk.{named.name}.{key}"
        if key == "size":
            if shown.file and shown.kind is DiskKind.DISK:
                entries.append(_size(here, named, full))
        elif key in DISK:
            values = (DISK[key].read(of) if of is not None else None for of in (now, then))
            entries.append(_part_entry(here, full, values, reach.of_disk(here, named.name, key)))
    notes = [f"leans on {base.file}" for base in shown.base]
    if shown.file:
        notes.append(shown.format)
    if shown.port:
        notes.append(f"in PCIe port {shown.port}")
    return Part(
        f"disk.{named.name}",
        PartKind.DISK,
        f"{shown.kind.value} {named.name}",
        tuple(entries),
        notes=tuple(notes),
        **_goes(here, named, reach.disk_goes(here, named.name)),
    )


def _size(here: Situation, named: Named, key: str) -> Entry:
    disk = here.disk_now(named) or here.disk_then(named)
    assert disk is not None
    size_bytes = disks.capacity_bytes(here.folder / disk.file, disk.format)
    why = reach.UNKNOWN_START if here.active and here.running is None else ""
    takes = Takes.NEVER if why else Takes.BOTH if here.active else Takes.NEXT_BOOT
    return Entry(key, size_bytes if here.active else None, size_bytes, takes, why)


def _nic(here: Situation, named: Named) -> Part:
    now, then = here.nic_now(named), here.nic_then(named)
    shown = then or now
    assert shown is not None
    entries = []
    for one in _of(PartKind.NIC):
        key = one.key.removeprefix("nic.*.")
        full = f"nic.{named.name}.{key}"
        if key in NIC:
            values = (NIC[key].read(of) if of is not None else None for of in (now, then))
            entries.append(_part_entry(here, full, values, reach.of_nic(here, named.name, key)))
        else:
            entries.append(Entry(full, None, None, Takes.NEVER, _NO_RATE))
    notes = [
        f"port {one.host_port} of {one.host_address} leads to {one.guest_port}"
        for one in shown.forwards
    ]
    return Part(
        f"nic.{named.name}",
        PartKind.NIC,
        f"network card {named.name}",
        tuple(entries),
        notes=tuple(notes),
        **_goes(here, named, reach.nic_goes(here, named.name)),
    )


def _part_entry(
    here: Situation, key: str, values: Iterable[Any], reached: tuple[Takes, str]
) -> Entry:
    now, then = values
    return Entry(key, now if here.active else None, then, *reached)


def _goes(here: Situation, named: Named, why_stays: str) -> dict[str, Any]:
    """Where a part is, and when it can go."""
    there_now = here.active and named.now is not None
    return {
        "there_now": there_now,
        "there_next": named.then is not None,
        "detach": Takes.BOTH if there_now and not why_stays else Takes.NEXT_BOOT,
        "detach_why": why_stays,
    }


# -- parts that QEMU is told of when it starts -------------------------------------------------


def _listed(here: Situation) -> Iterator[Part]:
    now, then = (_named_parts(of) for of in (here.now, here.stored))
    for part in dict.fromkeys((*now, *then)):
        kind, label, note = then.get(part) or now[part]
        why = _why_stays(here, part)
        live = here.active and part in now and not why
        yield Part(
            part,
            kind,
            label,
            there_now=here.active and part in now,
            there_next=part in then,
            detach=Takes.BOTH if live else Takes.NEXT_BOOT,
            detach_why=why,
            notes=(note,) if note else (),
        )


def _why_stays(here: Situation, part: str) -> str:
    for device in here.now.host_device:
        if part == f"host.{device.address}":
            return reach.host_device(here, device)
    return reach.AT_START if here.active else ""


def _named_parts(of: Definition) -> dict[str, tuple[PartKind, str, str]]:
    found = {
        f"share.{share.tag}": (
            PartKind.SHARE,
            f"shared folder {share.tag}",
            f"{share.path}{', read-only' if share.read_only else ''}",
        )
        for share in of.share
    }
    for device in of.host_device:
        label = f"{device.bus.upper()} device {device.address}"
        found[f"host.{device.address}"] = (PartKind.HOST_DEVICE, label, device.label)
    return found


def _consoles(here: Situation) -> Iterator[Part]:
    now, then = here.now.consoles, here.stored.consoles
    for name in dict.fromkeys((*now, *then)):
        yield Part(
            f"console.{name}",
            PartKind.CONSOLE,
            f"console {name}",
            there_now=here.active and name in now,
            there_next=name in then,
            detach=Takes.NEXT_BOOT,
            detach_why=reach.AT_START if here.active else "",
        )
