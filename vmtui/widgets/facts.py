"""What there is to know about one VM, in words, the most asked for first."""

from __future__ import annotations

from dataclasses import dataclass

from rich.style import Style

from vmtui.model import VM, Accel, Disk, DiskKind, Firmware
from vmtui.theming import Ink
from vmtui.units import duration, plain, size
from vmtui.views import ConnectionView, VMView
from vmtui.widgets.clock import Clock
from vmtui.widgets.columns import uptime_s
from vmtui.widgets.states import accel_badge, vm_state

FIRMWARE = {Firmware.BIOS: "BIOS", Firmware.UEFI: "UEFI", Firmware.SECURE_BOOT: "UEFI, Secure Boot"}


_ORIGINS = {"agent": "its agent", "lease": "its lease", "ARP": "ARP", "forward": "a forwarded port"}
"""How the address of a VM is known."""


@dataclass(frozen=True, slots=True)
class Fact:
    """One line: a label, what it is, and how it is drawn."""

    label: str
    text: str
    style: Style
    path: str = ""  # follows the text; its end says more than its start where room is short


def facts(row: VMView, connection: ConnectionView | None, ink: Ink, clock: Clock) -> list[Fact]:
    """All facts; texts are plain."""
    vm = row.vm
    state, state_style = vm_state(row, ink, clock.monotonic_s())
    found = [Fact("state", state, state_style)]
    if vm.problem:
        found.append(Fact("problem", plain(vm.problem), ink.bad))
    if row.stalled:
        found.append(Fact("stalled", plain(row.stalled), ink.bad))
    found.append(Fact("uptime", duration(uptime_s(row, clock)), ink.text))
    found.append(Fact("vCPUs", str(vm.vcpus), ink.text))
    found.append(Fact("memory", _memory(row), ink.text))
    found.append(Fact("address", _addresses(vm), ink.text))
    found += [_disk("" if i else "disk", d, ink) for i, d in enumerate(vm.disks)]
    found += [
        Fact(
            "network" if not i else "",
            plain(" · ".join(filter(None, (n.network, n.mac, n.model)))),
            ink.text,
        )
        for i, n in enumerate(vm.nics)
    ]
    found.append(_accel(vm, connection, ink))
    found.append(Fact("firmware", FIRMWARE[vm.firmware] if vm.firmware else "–", ink.text))
    found.append(Fact("TPM", "2.0" if vm.tpm else "none", ink.text))
    if vm.image:
        found.append(Fact("image", plain(vm.image), ink.text))
    if connection is not None:
        found.append(Fact("on", plain(connection.label), ink.text))
    found.append(Fact("UUID", plain(vm.uuid), ink.quiet))
    if vm.throwaway or not vm.persistent:
        found.append(Fact("kept", "no: it vanishes when it stops", ink.warn))
    if vm.autostart:
        found.append(Fact("autostart", "yes", ink.text))
    if vm.tags:
        found.append(Fact("tags", plain(" · ".join(vm.tags)), ink.text))
    if vm.description:
        found.append(Fact("about", plain(vm.description), ink.quiet))
    return found


def _addresses(vm: VM) -> str:
    if not vm.addresses:
        return "–"
    origin = f", by {_ORIGINS.get(vm.address_origin, plain(vm.address_origin))}"
    return ", ".join(map(plain, vm.addresses)) + (origin if vm.address_origin else "")


def _memory(row: VMView) -> str:
    text = size(row.vm.memory_bytes)
    actual, rss = row.memory_actual_bytes, row.memory_rss_bytes
    if actual is not None and actual != row.vm.memory_bytes:
        text += f", {size(actual)} now"
    if rss is not None:
        text += f", {size(rss)} on the host"
    return text


def _accel(vm: VM, connection: ConnectionView | None, ink: Ink) -> Fact:
    badge, style = accel_badge(vm.accel, ink)
    host = connection.host if connection else None
    if vm.accel is Accel.TCG and host and host.accel_reason:
        badge += f": {plain(host.accel_reason)}"
    return Fact("accel", badge, style if vm.accel is Accel.TCG else ink.text)


def _disk(label: str, disk: Disk, ink: Ink) -> Fact:
    target = plain(disk.target)
    if disk.source is None:
        kind = "tray" if disk.kind is DiskKind.CDROM else "slot"
        return Fact(label, f"{target}  empty {kind}", ink.quiet)
    parts = [target]
    if disk.capacity_bytes is not None:
        parts.append(size(disk.capacity_bytes))
    if disk.read_only:
        parts.append("read-only")
    return Fact(label, "  ".join(parts), ink.text, plain(disk.source))
