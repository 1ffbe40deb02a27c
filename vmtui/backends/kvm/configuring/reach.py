"""When a change takes effect: whether QEMU can be told of it while it runs, and why not."""

from __future__ import annotations

from vmtui.backends.kvm import autostart, cgroups
from vmtui.backends.kvm.configuring.bindings import DISK, NIC, VM, Effect
from vmtui.backends.kvm.configuring.situation import Situation
from vmtui.backends.kvm.drives import same_write_cache
from vmtui.backends.kvm.hardware import (
    PLUGGABLE,
    DiskDefinition,
    HostDeviceDefinition,
    NicDefinition,
)
from vmtui.hardware.tree import Takes
from vmtui.hardware.values import Value
from vmtui.model import DiskKind
from vmtui.parts import DiskBus
from vmtui.units import size

UNKNOWN_START = "an older vmtui started it, and did not note with what"
SHARES = ("cpu.weight", "cpu.quota", "cpu.period")
AT_START = "QEMU is told of it when it starts"


def takes(effect: Effect, why_not_live: str, *, active: bool) -> Takes:
    """When a change at its best takes effect."""
    if effect is Effect.AT_ONCE and active:
        return Takes.BOTH
    if not active or effect is Effect.START or why_not_live:
        return Takes.NEXT_BOOT
    return Takes.BOTH


def of_vm(here: Situation, key: str, value: Value = None) -> tuple[Takes, str]:
    """When a setting of the VM as a whole takes effect, and why not sooner.

    With no `value`: any that is best.
    """
    if value is None and (absent := _absent(here, key)):
        return Takes.NEVER, absent
    effect = VM[key].effect
    why = "" if effect is Effect.AT_ONCE else _why(here, effect)
    if not why and here.active:
        if key == "cpus":
            why = _vcpus(here, value)
        elif key == "memory.plugged":
            why = _plugged(here, value)
        elif key == "watchdog.action" and here.now.watchdog == "off":
            why = "it has no watchdog yet"
    return takes(effect, why, active=here.active), why


def _absent(here: Situation, key: str) -> str:
    """Why this machine has no such setting; "" if it has, or the VM has it already."""
    if VM[key].read(here.stored):
        return ""
    if key == "autostart":
        return autostart.obstacle()
    tree = cgroups.find() if key in SHARES else ""
    return tree if isinstance(tree, str) else ""


def of_disk(
    here: Situation, name: str, key: str, wanted: DiskDefinition | None = None
) -> tuple[Takes, str]:
    """The same of a setting of a drive, which is to be as `wanted`."""
    named = here.drive(name)
    effect, now = DISK[key].effect, here.disk_now(named)
    shown = now or here.disk_then(named)
    if key == "source" and shown is not None and shown.kind is not DiskKind.CDROM:
        return Takes.NEVER, "only a tray's medium is changed: detach it, and attach another"
    why = _why(here, effect)
    if not why and here.active:
        if now is None:
            why = "it is not there before the next boot"
        elif wanted is not None and not same_write_cache(now, wanted):
            why = "the guest would find another kind of write cache under it"
        elif key in ("cache", "discard") and not now.file:
            why = "its tray is empty"
    return takes(effect, why, active=here.active), why


def of_nic(here: Situation, name: str, key: str) -> tuple[Takes, str]:
    """The same of a setting of a network card."""
    effect = NIC[key].effect
    why = _why(here, effect)
    if not why and here.active and here.nic_now(here.card(name)) is None:
        why = "it is not there before the next boot"
    return takes(effect, why, active=here.active), why


def _why(here: Situation, effect: Effect) -> str:
    if not here.active:
        return ""
    if effect is Effect.START:
        return AT_START
    return UNKNOWN_START if here.running is None else ""


def _vcpus(here: Situation, value: Value) -> str:
    now = here.now
    begun = here.running.vcpus_begun if here.running else now.vcpus
    if value is None:
        value = now.vcpus_limit if now.vcpus_limit > begun else now.vcpus + 1
    assert isinstance(value, int)
    if value > now.vcpus_limit:
        return f"it was started with a maximum of {now.vcpus_limit} (cpus.max)"
    if value < now.vcpus and here.emulated:
        # Each vCPU that is added takes one of QEMU's contexts, and never gives it back: it aborts
        # when they are used up.
        return "QEMU's emulation can't take vCPUs away"
    if value < begun:
        return f"only what was added to the {begun} of its start can be taken away"
    return ""


def _plugged(here: Situation, value: Value) -> str:
    now = here.now
    room_bytes = now.memory_max_bytes - now.memory_bytes
    if not room_bytes:
        return "it was started without room for more (memory.max)"
    asked_bytes = value if isinstance(value, int) else 0
    if asked_bytes > room_bytes:
        return f"it was started with room for {size(room_bytes)} (memory.max)"
    if value is not None and now.memory_hotplug == "dimm" and asked_bytes < now.plugged_bytes:
        return "guests rarely let a memory module go"
    return ""


# -- devices that come and go ------------------------------------------------------------------


def disk_comes(here: Situation, disk: DiskDefinition) -> str:
    """Why a drive can't be given to the VM while it runs."""
    if here.running is None:
        return UNKNOWN_START if here.active else ""
    return _plugs(here, disk)


def disk_goes(here: Situation, name: str) -> str:
    """Why a drive can't be taken from the VM while it runs."""
    if here.running is None:
        return UNKNOWN_START if here.active else ""
    now = here.disk_now(here.drive(name))
    return _plugs(here, now) if now is not None else ""


def _plugs(here: Situation, disk: DiskDefinition) -> str:
    if disk.kind is DiskKind.CDROM:
        return "trays are built in; their media come and go"
    if disk.bus is DiskBus.SCSI:
        has_one = any(other.bus is DiskBus.SCSI for other in here.now.disk)
        return "" if has_one else "it was started without a SCSI controller"
    if disk.bus not in PLUGGABLE:
        return f"{disk.bus.value.upper()} disks are built in"
    return _port(disk)


def nic_comes(here: Situation, nic: NicDefinition) -> str:
    """Why a card can't be given to the VM while it runs."""
    if here.running is None:
        return UNKNOWN_START if here.active else ""
    return _port(nic)


def nic_goes(here: Situation, name: str) -> str:
    """Why a card can't be taken from the VM while it runs."""
    if here.running is None:
        return UNKNOWN_START if here.active else ""
    now = here.nic_now(here.card(name))
    return _port(now) if now is not None else ""


def host_device(here: Situation, device: HostDeviceDefinition) -> str:
    """Why a device of the host can't come or go while the VM runs."""
    if here.running is None:
        return UNKNOWN_START if here.active else ""
    if device.bus == "pci":
        return "PCI devices are passed through when QEMU starts"
    now = here.now
    has_controller = now.displays or any(other.bus == "usb" for other in now.host_device)
    return "" if has_controller else "it was started without a USB controller"


def _port(card: DiskDefinition | NicDefinition) -> str:
    return "" if card.port else "its card is on the board, not in a port (see `port` in vm.toml)"
