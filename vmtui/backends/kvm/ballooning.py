"""Taking memory from a running VM and giving it back, by its balloon."""

from __future__ import annotations

from contextlib import suppress

import msgspec

from vmtui.backends.kvm import running
from vmtui.backends.kvm.machine import Machine
from vmtui.backends.kvm.memory import BALLOON, VIRTIO_MEM
from vmtui.backends.kvm.monitor import Monitor
from vmtui.errors import (
    InputError,
    OperationError,
    RefusedError,
    UnsupportedError,
    VmtuiError,
)
from vmtui.hardware.around import Balloon
from vmtui.units import MIB, parse_size_bytes, size
from vmtui.whole import whole_in_thread

_DEVICE = f"/machine/peripheral/{BALLOON}/virtio-backend"
_DRIVER_READY = "VIRTIO_CONFIG_S_DRIVER_OK"


async def look(machine: Machine) -> Balloon:
    """What it was asked for, and has, this moment. Raises UnsupportedError without a balloon."""
    async with machine.asked() as monitor:
        try:
            actual_bytes = int((await monitor.execute("query-balloon"))["actual"])
        except OperationError as error:
            raise _none(machine) from error
        answers = await _answers(monitor)
    ceiling_bytes = ceiling(machine)
    target_bytes = machine.running.balloon_target_bytes if machine.running else None
    return Balloon(ceiling_bytes or actual_bytes, actual_bytes, target_bytes, answers)


async def plugged_bytes(machine: Machine) -> int | None:
    """What the guest has taken of the memory that virtio-mem offers; None without that."""
    now = machine.current
    if now is None or not now.memory_max or now.memory_hotplug != "virtio-mem":
        return None
    asked = {"path": f"/machine/peripheral/{VIRTIO_MEM}", "property": "size"}
    with suppress(VmtuiError):
        async with machine.asked() as monitor:
            return int(await monitor.execute("qom-get", {**asked}))
    return None


def ceiling(machine: Machine) -> int:
    """What the guest has with the balloon empty; what virtio-mem gives is not the balloon's."""
    if machine.running is not None:
        return machine.running.balloon_ceiling_bytes
    return machine.definition.memory_bytes if machine.definition else 0


def check(machine: Machine, target_bytes: int) -> None:
    """Raise InputError or UnsupportedError where the guest can't be asked for that."""
    if machine.current is not None and not machine.current.balloon:
        raise _none(machine)
    if target_bytes < MIB:
        raise InputError(_not_asked(machine, target_bytes), why="that is less than 1 MiB")
    if target_bytes > (most := ceiling(machine)):
        raise InputError(
            _not_asked(machine, target_bytes),
            why=f"it has {size(most, digits=2)} with the balloon empty",
            hint="More takes another ceiling (memory), or memory that is plugged in.",
        )


def check_floor(machine: Machine, target_bytes: int) -> None:
    """Raise RefusedError below the VM's own floor."""
    floor = machine.definition.balloon_floor if machine.definition else ""
    if floor and target_bytes < (floor_bytes := parse_size_bytes(floor)):
        raise RefusedError(
            _not_asked(machine, target_bytes),
            why=f"its floor is {size(floor_bytes, digits=2)}",
            hint=f"Lower it first: vmtui set {machine.name} memory.floor=SIZE",
        )


def _not_asked(machine: Machine, target_bytes: int) -> str:
    return f"{machine.name} is not asked to leave itself {size(target_bytes, digits=2)}"


async def ask(machine: Machine, target_bytes: int) -> None:
    """Ask the guest to leave itself that much. Success means asked, not got.

    Whoever asks minds the floor, which a person may override.
    """
    check(machine, target_bytes)
    async with machine.asked() as monitor:
        try:
            await monitor.execute("balloon", {"value": target_bytes})
        except OperationError as error:
            if "No balloon" in error.why or "not been activated" in error.why:
                raise _none(machine) from error
            raise
    if machine.running is not None:
        asked = msgspec.structs.replace(machine.running, balloon_target_bytes=target_bytes)
        await whole_in_thread(running.write, machine.place.runtime, asked)
        machine.reload()


async def _answers(monitor: Monitor) -> bool | None:
    """Whether the guest's driver is there; None where this QEMU does not tell."""
    with suppress(OperationError):
        told = await monitor.execute("x-query-virtio-status", {"path": _DEVICE})
        words = told.get("status", {}).get("statuses", ())
        return any(str(word).startswith(_DRIVER_READY) for word in words)
    return None


def _none(machine: Machine) -> UnsupportedError:
    return UnsupportedError(
        f"{machine.name} has no balloon",
        hint=f"It can have one from its next boot on: vmtui set {machine.name} balloon=on",
    )
