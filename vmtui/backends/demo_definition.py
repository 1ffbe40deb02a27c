"""What a VM of the demo fleet is made of: values by key, and devices by the id of their part."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from vmtui.errors import InputError
from vmtui.hardware.changes import Assign, Attach, Change, Detach
from vmtui.hardware.devices import ConsoleKind, Device, HostDevice, NewConsole, NewDisk
from vmtui.hardware.settings import PartKind, setting
from vmtui.hardware.values import Value
from vmtui.model import VM, Disk, DiskKind, Firmware, Nic
from vmtui.parts import DiskBus, NetworkKind, NicSpec, SharedFolder
from vmtui.units import GIB

DEMO_MAX_CPUS = 16
FIRST_SIZE_BYTES = 20 * GIB
LETTERS = "abcdefghijklmnopqrstuvwxyz"

PINS = {"postgres": "0=2 1=3", "k3s-a": "all=8-11"}
"""Some of the cast are pinned."""

FIXED_PARTS: Mapping[PartKind, tuple[str, str]] = {
    PartKind.VM: ("vm", "VM"),
    PartKind.CPU: ("cpu", "CPU"),
    PartKind.MEMORY: ("memory", "memory"),
    PartKind.FIRMWARE: ("firmware", "firmware"),
    PartKind.TPM: ("tpm", "TPM"),
    PartKind.DISPLAY: ("display", "display"),
    PartKind.OTHER: ("other", "other devices"),
}
"""Parts that every VM has once: id and label."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """A device that a VM has; `device` would bring it back."""

    kind: PartKind
    label: str
    device: Device


@dataclass(frozen=True, slots=True)
class Definition:
    """A VM's parts at one time: as it runs, or as it is stored."""

    values: Mapping[str, Value]
    devices: Mapping[str, Fitted]

    def of(self, part_id: str) -> dict[str, Value]:
        """The values of one part."""
        return {key: value for key, value in self.values.items() if part_of(key) == part_id}


def part_of(key: str) -> str:
    """The id of the part that a key belongs to."""
    if key.startswith(("disk.", "nic.")):
        return ".".join(key.split(".")[:2])
    return FIXED_PARTS[setting(key).part][0]


def defined(vm: VM) -> Definition:
    """What a VM of the cast is made of."""
    values: dict[str, Value] = {
        "name": vm.name,
        "description": vm.description,
        "notes": vm.notes,
        "tags": vm.tags,
        "autostart": vm.autostart,
        "restart": "on-crash" if vm.restart else "no",
        "protected": vm.protected,
        "cpus": vm.vcpus,
        "cpus.max": max(vm.vcpus, min(DEMO_MAX_CPUS, 2 * vm.vcpus)),
        "cpu.model": "host",
        "cpu.topology": "",
        "cpu.profile": "dedicated" if vm.name in PINS else "normal",
        "cpu.weight": 100,
        "cpu.quota": None,
        "cpu.period": None,
        "cpu.pin": PINS.get(vm.name, ""),
        "cpu.emulator": "",
        "cpu.iothreads": 0,
        "memory": vm.memory_bytes,
        "memory.floor": None,
        "memory.max": None,
        "memory.plugged": None,
        "memory.pages": None,
        "memory.merge": True,
        "balloon": True,
        "balloon.reporting": False,
        "balloon.deflate": True,
        "balance": vm.balance is not None,
        "balance.least": None,
        "balance.most": None,
        "balance.weight": None,
        "balance.reserve": None,
        "firmware": (vm.firmware or Firmware.BIOS).value,
        "boot.order": ("disk", "cdrom"),
        "boot.menu": False,
        "boot.once": None,
        "tpm": "crb" if vm.tpm else "off",
        "display": bool(vm.displays),
        "rng": True,
        "watchdog": "off",
        "watchdog.action": "reset",
        "sound": "off",
        "agent": True,
        "vsock": None,
    }
    if vm.firmware is Firmware.SECURE_BOOT:
        values["firmware.keys"] = True
    if vm.tpm:
        values |= {"tpm.version": "2.0", "tpm.encrypted": False}
    definition = Definition(values, {})
    for disk in vm.disks:
        definition = _with_disk(definition, disk.target, _as_device(disk), disk.capacity_bytes)
    for place, nic in enumerate(vm.nics):
        definition = _with_nic(definition, f"net{place}", _as_card(nic), nic.mac or "")
    for name in vm.consoles:
        kind = ConsoleKind.VIRTIO if name.startswith("virtio") else ConsoleKind.SERIAL
        definition = _with(definition, f"console.{name}", PartKind.CONSOLE, name, NewConsole(kind))
    return definition


def _as_device(disk: Disk) -> NewDisk:
    bus = DiskBus.SATA if disk.kind is DiskKind.CDROM else DiskBus.VIRTIO
    path = Path(disk.source) if disk.source else None
    return NewDisk(path=path, kind=disk.kind, bus=bus, read_only=disk.read_only)


def _as_card(nic: Nic) -> NicSpec:
    word, _, source = nic.network.partition(" ")
    known = NetworkKind(word) if word in {*NetworkKind} else NetworkKind.USER
    return NicSpec(known, source, mac=nic.mac or "")


# -- changes ---------------------------------------------------------------------------------


def applied(definition: Definition, change: Change) -> Definition:
    """The definition with a change that is known to be possible."""
    if isinstance(change, Assign):
        return _assigned(definition, change.key, change.value)
    if isinstance(change, Detach):
        return Definition(
            {k: v for k, v in definition.values.items() if part_of(k) != change.part},
            {part: d for part, d in definition.devices.items() if part != change.part},
        )
    return attached(definition, change.device)[0]


def _assigned(definition: Definition, key: str, value: Value) -> Definition:
    if key == "memory.target":  # asked of the guest, not stored
        return definition
    values = {**definition.values, key: value}
    if key == "tpm":
        values = {k: v for k, v in values.items() if not k.startswith("tpm.")}
        if value != "off":
            values |= {"tpm.version": "2.0", "tpm.encrypted": False}
    if key == "firmware":
        values.pop("firmware.keys", None)
        if value == Firmware.SECURE_BOOT.value:
            values["firmware.keys"] = True
    devices = dict(definition.devices)
    if key.startswith("disk.") and key.endswith(".source"):
        part = part_of(key)
        old = devices[part]
        assert isinstance(old.device, NewDisk)
        path = Path(str(value)) if value else None
        devices[part] = replace(old, device=replace(old.device, path=path))
    return Definition(values, devices)


def attached(definition: Definition, device: Device) -> tuple[Definition, str]:
    """The definition with one device more, and the id of its part."""
    if isinstance(device, NewDisk):
        prefix = "vd" if device.bus is DiskBus.VIRTIO else "sd"
        target = _free(definition, "disk.", (prefix + letter for letter in LETTERS))
        return _with_disk(definition, target, device, device.size_bytes), f"disk.{target}"
    if isinstance(device, NicSpec):
        name = _free(definition, "nic.", (f"net{i}" for i in range(64)))
        mac = device.mac or _mac(str(definition.values["name"]), name)
        return _with_nic(definition, name, device, mac), f"nic.{name}"
    if isinstance(device, SharedFolder):
        part, kind, label = f"share.{device.tag}", PartKind.SHARE, f"{device.path}"
    elif isinstance(device, HostDevice):
        part, kind = f"{device.bus.value}.{device.address}", PartKind.HOST_DEVICE
        label = f"{device.label or device.address} ({device.bus.value.upper()})"
    else:
        stem = device.kind.value
        label = _free(definition, "console.", (f"{stem}{i}" for i in range(8)))
        part, kind = f"console.{label}", PartKind.CONSOLE
    return _with(definition, part, kind, label, device), part


def undoing(before: Definition, change: Change) -> tuple[Change, ...]:
    """What brings back the definition that a change is made to."""
    if isinstance(change, Assign):
        return (Assign(change.key, before.values.get(change.key)),)
    if isinstance(change, Attach):
        return (Detach(attached(before, change.device)[1]),)
    fitted = before.devices[change.part]
    back = applied(before, change)
    again, part = attached(back, fitted.device)
    lost = {k: v for k, v in before.of(change.part).items() if again.values.get(k) != v}
    sets = [Assign(k.replace(change.part, part, 1), v) for k, v in lost.items()]
    return (Attach(fitted.device), *sets)


def _free(definition: Definition, prefix: str, names: Iterable[str]) -> str:
    for name in names:
        if prefix + name not in definition.devices:
            return name
    raise InputError("there is no room for one more of these")


def _with(
    definition: Definition, part: str, kind: PartKind, label: str, device: Device
) -> Definition:
    return replace(definition, devices={**definition.devices, part: Fitted(kind, label, device)})


def _with_disk(
    definition: Definition, target: str, device: NewDisk, size_bytes: int | None
) -> Definition:
    part = f"disk.{target}"
    name = str(definition.values["name"])
    tray = device.kind is DiskKind.CDROM
    if not tray and device.path is None:
        device = replace(device, path=Path(f"/vms/{name}/{target}.qcow2"))
    values: dict[str, Value] = {}
    if tray:
        values["source"] = str(device.path or "")
    else:
        values["size"] = size_bytes or FIRST_SIZE_BYTES
    values["bus"] = device.bus.value
    if not tray:
        values |= {"cache": device.cache or None, "discard": device.discard}
        values |= dict.fromkeys(("iops", "iops-burst", "rate", "rate-burst"))
    label = f"{target} · {'CD' if tray else device.path}"
    definition = _with(definition, part, PartKind.DISK, label, device)
    own = {f"{part}.{word}": value for word, value in values.items()}
    return replace(definition, values={**definition.values, **own})


def _with_nic(definition: Definition, name: str, card: NicSpec, mac: str) -> Definition:
    part = f"nic.{name}"
    network = f"{card.network.value}:{card.source}" if card.source else card.network.value
    values: dict[str, Value] = {
        "link": True,
        "network": network,
        "model": card.model,
        "mac": mac,
        "rate": None,
    }
    definition = _with(definition, part, PartKind.NIC, name, replace(card, mac=mac))
    own = {f"{part}.{word}": value for word, value in values.items()}
    return replace(definition, values={**definition.values, **own})


def _mac(vm_name: str, card: str) -> str:
    digits = uuid.uuid5(uuid.NAMESPACE_DNS, f"{vm_name}/{card}").hex[:6]
    return f"52:54:00:{digits[:2]}:{digits[2:4]}:{digits[4:]}"
