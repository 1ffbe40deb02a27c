"""Which key of `vm.toml` each setting is: read from a definition, and put into one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

import msgspec

from vmtui.backends.kvm.definition import Definition
from vmtui.backends.kvm.hardware import DiskDefinition, NicDefinition, TopologyDefinition
from vmtui.hardware.values import Form, Kind, Value
from vmtui.model import Firmware
from vmtui.part_texts import network, topology
from vmtui.parts import DiskBus, NetworkKind
from vmtui.units import parse_size_bytes

_SIZES = Form(Kind.SIZE)


class Effect(Enum):
    """What a change of a setting has to reach before it counts."""

    AT_ONCE = auto()  # vmtui alone
    LIVE = auto()  # QEMU, which can be told while it runs
    START = auto()  # QEMU, when it is started


@dataclass(frozen=True, slots=True)
class Binding:
    """One setting of a part: how it is read and put, and what it has to reach."""

    read: Callable[[Any], Value]
    put: Callable[[Any, Value], Any]
    effect: Effect = Effect.START


def _plain(path: str, effect: Effect = Effect.START) -> Binding:
    """A value that is written as it is."""
    return Binding(lambda part: _get(part, path), lambda part, v: _set(part, path, v), effect)


def _optional(path: str, effect: Effect = Effect.START) -> Binding:
    """A word or number that is not set if it is empty, or 0."""
    empty = {"": None, 0: None}

    def put(part: Any, value: Value) -> Any:
        default = type(_get(part, path))()
        return _set(part, path, default if value is None else value)

    return Binding(lambda part: empty.get(_get(part, path), _get(part, path)), put, effect)


def _size(path: str, effect: Effect = Effect.START) -> Binding:
    """A size, in bytes as a value; "" is unset."""

    def read(part: Any) -> Value:
        text = _get(part, path)
        return parse_size_bytes(text) if text else None

    return Binding(read, lambda part, v: _set(part, path, _SIZES.text(v)), effect)


def _get(part: Any, path: str) -> Any:
    for name in path.split("."):
        part = getattr(part, name)
    return part


def _set(part: Any, path: str, value: Any) -> Any:
    name, _, rest = path.partition(".")
    return msgspec.structs.replace(
        part, **{name: _set(getattr(part, name), rest, value) if rest else value}
    )


# -- those that are more than one key, or written otherwise ------------------------------------


def _topology_text(definition: Definition) -> Value:
    found = definition.topology
    return f"{found.sockets}x{found.cores}x{found.threads}" if found else ""


def _with_topology(definition: Definition, value: Value) -> Definition:
    made = TopologyDefinition.of(topology(str(value))) if value else None
    return msgspec.structs.replace(definition, topology=made)


def _with_vcpus_max(definition: Definition, value: Value) -> Definition:
    most = value if isinstance(value, int) else 0
    return msgspec.structs.replace(definition, vcpus_max=0 if most == definition.vcpus else most)


def _with_tpm(definition: Definition, value: Value) -> Definition:
    if value == (definition.tpm_model or "off"):
        return definition
    return msgspec.structs.replace(definition, tpm=False if value == "off" else value)


def _with_display(definition: Definition, value: Value) -> Definition:
    if bool(definition.displays) == value:
        return definition
    return msgspec.structs.replace(definition, graphics=value)


def _network_text(nic: NicDefinition) -> Value:
    named = nic.bridge or nic.tap
    return f"{nic.network}:{named}" if named else nic.network


def _with_network(nic: NicDefinition, value: Value) -> NicDefinition:
    """A card elsewhere keeps its forwards where there can be some."""
    text = str(value)
    if text.startswith("tap:"):
        return msgspec.structs.replace(
            nic, network="tap", tap=text[4:], bridge="", forward=(), found=()
        )
    wanted = network(text)
    bridged = wanted.network is NetworkKind.BRIDGE
    return msgspec.structs.replace(
        nic,
        network=wanted.network.value,
        bridge=wanted.source if bridged else "",
        tap="",
        forward=() if bridged else nic.forward,
        found=() if bridged else nic.found,
    )


def _with_bus(disk: DiskDefinition, value: Value) -> DiskDefinition:
    if disk.guest_bus.value == value:
        return disk
    # On another bus it is another card, or none.
    return msgspec.structs.replace(disk, bus=DiskBus(str(value)), port=0)


def _with_medium(disk: DiskDefinition, value: Value) -> DiskDefinition:
    """What was known of the one before is not of this one."""
    if value == disk.file:
        return disk
    return msgspec.structs.replace(
        disk, file=value or "", format="raw", image="", base=(), read_only=True
    )


VM: Mapping[str, Binding] = {
    "description": _plain("description", Effect.AT_ONCE),
    "notes": _plain("notes", Effect.AT_ONCE),
    "tags": _plain("tags", Effect.AT_ONCE),
    "autostart": _plain("autostart", Effect.AT_ONCE),
    "restart": _plain("restart", Effect.AT_ONCE),
    "protected": _plain("protected", Effect.AT_ONCE),
    "cpus": _plain("vcpus", Effect.LIVE),
    "cpus.max": Binding(lambda d: d.vcpus_limit, _with_vcpus_max),
    "cpu.model": _plain("cpu"),
    "cpu.topology": Binding(_topology_text, _with_topology),
    "cpu.profile": _optional("tuning.profile", Effect.LIVE),
    "cpu.weight": _optional("tuning.weight", Effect.LIVE),
    "cpu.quota": _optional("tuning.quota", Effect.LIVE),
    "cpu.period": _optional("tuning.period_us", Effect.LIVE),
    "cpu.pin": _plain("tuning.pin", Effect.LIVE),
    "cpu.emulator": _plain("tuning.emulator", Effect.LIVE),
    "cpu.iothreads": _plain("tuning.iothreads"),
    "memory": _size("memory"),
    "memory.floor": _size("balloon_floor", Effect.AT_ONCE),
    "memory.max": _size("memory_max"),
    "memory.plugged": _size("memory_plugged", Effect.LIVE),
    "memory.pages": _optional("huge_pages"),
    "memory.merge": _plain("merge"),
    "balloon": _plain("balloon"),
    "balloon.reporting": _plain("free_page_reporting"),
    "balloon.deflate": _plain("deflate_on_oom"),
    "balance": _plain("balance.on", Effect.AT_ONCE),
    "balance.least": _size("balance.least", Effect.AT_ONCE),
    "balance.most": _size("balance.most", Effect.AT_ONCE),
    "balance.weight": _optional("balance.weight", Effect.AT_ONCE),
    "balance.reserve": _size("balance.reserve", Effect.AT_ONCE),
    "firmware": Binding(
        lambda d: d.firmware.value,
        lambda d, v: msgspec.structs.replace(d, firmware=Firmware(str(v))),
    ),
    "firmware.keys": _plain("firmware_keys"),
    "boot.order": _plain("boot_order"),
    "boot.menu": _plain("boot_menu"),
    "boot.once": _optional("boot_once"),
    "tpm": Binding(lambda d: d.tpm_model or "off", _with_tpm),
    "tpm.version": _plain("tpm_version"),
    "display": Binding(lambda d: bool(d.displays), _with_display),
    "rng": _plain("rng"),
    "watchdog": _plain("watchdog"),
    "watchdog.action": _plain("watchdog_action", Effect.LIVE),
    "sound": _plain("sound"),
    "agent": _plain("agent"),
    "vsock": _optional("vsock"),
}
"""Of the VM as a whole. The name, the balloon's target and what a TPM's key is are not in here."""

DISK: Mapping[str, Binding] = {
    "source": Binding(lambda disk: disk.file, _with_medium, Effect.LIVE),
    "bus": Binding(lambda disk: disk.guest_bus.value, _with_bus),
    "cache": _optional("cache", Effect.LIVE),
    "discard": _plain("discard", Effect.LIVE),
    "iops": _optional("iops", Effect.LIVE),
    "iops-burst": _optional("iops_burst", Effect.LIVE),
    "rate": _size("rate", Effect.LIVE),
    "rate-burst": _size("rate_burst", Effect.LIVE),
}
"""Of a drive; its size is that of its file."""

NIC: Mapping[str, Binding] = {
    "link": _plain("link", Effect.LIVE),
    "network": Binding(_network_text, _with_network),
    "model": _plain("model"),
    "mac": _plain("mac"),
}
"""Of a network card."""
