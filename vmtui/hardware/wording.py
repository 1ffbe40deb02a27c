"""Changes in words: what a person reads before saying yes."""

from __future__ import annotations

from collections.abc import Sequence

from vmtui.hardware.changes import ChangePlan, Done, When
from vmtui.hardware.devices import Device, HostDevice, NewConsole, NewDisk
from vmtui.hardware.settings import setting
from vmtui.hardware.tree import Part, Takes
from vmtui.hardware.values import Value
from vmtui.model import DiskKind
from vmtui.parts import NicSpec
from vmtui.units import plain, size

TAKES = {
    Takes.LIVE: "live, until it is off",
    Takes.NEXT_BOOT: "at next boot",
    Takes.BOTH: "live, and at next boot",
    Takes.NEVER: "never",
}
"""When something takes effect."""


def assigned(key: str, before: Value, after: Value) -> str:
    """A setting that gets a value, such as `vCPUs: 2 → 4`, or has it: `vCPUs: stays 2`."""
    one = setting(key)
    label = f"{part} {one.label}" if (part := one.part_of(key)) else one.label
    if before == after:
        return f"{plain(label)}: stays {one.form.shown(after)}"
    return f"{plain(label)}: {one.form.shown(before)} → {one.form.shown(after)}"


def attached(device: Device) -> str:
    """A device that comes, such as `+ disk of 10 GiB (scsi)`."""
    return f"+ {_described(device)}"


def detached(part: Part) -> str:
    """A part that goes, such as `− disk vda`."""
    return f"− {plain(part.label or part.id)}"


def _described(device: Device) -> str:
    match device:
        case NewDisk():
            text = _disk(device)
        case NicSpec(network=network, source=source, model=model):
            text = f"network card on {network}{source and ':'}{source} ({model})"
        case HostDevice(bus=bus, address=address, label=label):
            text = f"{bus.upper()} device {address}" + (f" ({label})" if label else "")
        case NewConsole(kind=kind):
            text = f"{kind} console"
        case folder:
            read_only = ", read-only" if folder.read_only else ""
            text = f"shared folder {folder.path} ({folder.tag}{read_only})"
    return plain(text)


def _disk(disk: NewDisk) -> str:
    if disk.kind is DiskKind.CDROM:
        return f"CD drive with {disk.path}" if disk.path else "CD drive, empty"
    what = str(disk.path) if disk.path else f"of {size(disk.size_bytes)}"
    return f"disk {what} ({disk.bus}{', read-only' if disk.read_only else ''})"


def told(plan: ChangePlan) -> list[str]:
    """A plan in lines, the definition's difference left out."""
    lines = []
    for step in plan.steps:
        note = f" ({step.note})" if step.note else ""
        lines.append(f"{plain(step.text)}  [{TAKES[step.takes]}]{plain(note)}")
    return lines + [f"Warning: {plain(lost)}" for lost in plan.loses]


def outcome(done: Sequence[Done], when: When) -> list[str]:
    """What came of it, in lines."""
    lines = []
    for one in done:
        takes = Takes.NEXT_BOOT if one.problem and when is not When.LIVE else one.step.takes
        line = f"{plain(one.step.text)}  [{TAKES[takes]}]"
        if one.reached:
            line += f" {plain(one.reached)}"
        if one.problem:
            line += f": not live, {plain(one.problem)}"
        lines.append(line)
    return lines
