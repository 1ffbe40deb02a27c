"""A running VM's drives: plugged in, let go by the guest, and whatever else QEMU does with them."""

from __future__ import annotations

import asyncio
import time

from vmtui.backends.kvm import held
from vmtui.backends.kvm.configuring.live import (
    GUEST_LIMIT_S,
    LOOK_INTERVAL_S,
    known,
    note,
    quietly,
    unplug,
)
from vmtui.backends.kvm.drives import device, device_id, node_name, nodes
from vmtui.backends.kvm.hardware import DiskDefinition
from vmtui.backends.kvm.machine import Machine
from vmtui.backends.kvm.monitor import Monitor
from vmtui.errors import OperationError, VmtuiError
from vmtui.model import DiskKind
from vmtui.units import size

CLOSE_LIMIT_S = 5.0


async def attach_disk(machine: Machine, name: str, disk: DiskDefinition) -> str:
    """Plug a drive in; whatever of that fails is taken back."""
    now = known(machine).with_drive(name, disk)
    _, slot = now.drive(name)
    made: list[str] = []
    async with machine.asked() as monitor:
        try:
            for block in nodes(disk, slot.number, machine.folder):
                await monitor.execute("blockdev-add", block)
                made.append(block["node-name"])
            # Numbers differ, and so do their places in the order of booting.
            made_of = device(now.definition, disk, slot.number, slot.number)
            await monitor.execute("device_add", made_of)
            if disk.limited:
                await held.limit(monitor, disk, slot.number)
        except VmtuiError:
            for node in reversed(made):
                await quietly(monitor, "blockdev-del", {"node-name": node})
            raise
    await note(machine, now)
    return ""


async def detach_disk(machine: Machine, name: str) -> str:
    """Ask the guest to let a drive go, and wait until it has."""
    disk, slot = known(machine).drive(name)
    await unplug(machine, device_id(slot.number), name)
    for block in reversed(nodes(disk, slot.number, machine.folder)):
        await _close(machine, block["node-name"])
    await note(machine, known(machine).with_drive(name, None))
    return "the guest let it go"


async def _close(machine: Machine, node: str) -> None:
    """Close what a drive was; QEMU lets go of it a moment after the guest has."""
    deadline_s = time.monotonic() + CLOSE_LIMIT_S
    while True:
        try:
            async with machine.asked() as monitor:
                await monitor.execute("blockdev-del", {"node-name": node})
        except OperationError as error:
            if "in use" not in error.why or time.monotonic() > deadline_s:
                raise
        else:
            return
        await asyncio.sleep(LOOK_INTERVAL_S)


async def limit_disk(machine: Machine, name: str, disk: DiskDefinition) -> str:
    """Other limits for a drive."""
    _, slot = known(machine).drive(name)
    async with machine.asked() as monitor:
        await held.limit(monitor, disk, slot.number)
    await note(machine, known(machine).with_drive(name, disk))
    return ""


async def reopen_disk(machine: Machine, name: str, disk: DiskDefinition) -> str:
    """Another way of caching, or of discarding, under a guest that goes on."""
    _, slot = known(machine).drive(name)
    top = nodes(disk, slot.number, machine.folder)[-1]
    if "cache" in top:
        top["file"]["cache"] = top["cache"]
    # The file within its format: where both are named side by side, the drive of QEMU 10 stands
    # still from then on.
    async with machine.asked() as monitor:
        await monitor.execute("blockdev-reopen", {"options": [top]})
    await note(machine, known(machine).with_drive(name, disk))
    return ""


async def resize_disk(machine: Machine, name: str, size_bytes: int) -> str:
    """Make a drive larger, and tell the guest."""
    _, slot = known(machine).drive(name)
    arguments: dict[str, object] = {"node-name": node_name(slot.number), "size": size_bytes}
    async with machine.asked() as monitor:
        await monitor.execute("block_resize", arguments)
    await note(machine, known(machine))
    return f"the guest was told of {size(size_bytes, digits=2)}"


async def change_medium(machine: Machine, name: str, disk: DiskDefinition) -> str:
    """Take out what is in a tray and put in another medium, or none."""
    before, slot = known(machine).drive(name)
    tray = {"id": device_id(slot.number)}
    fresh = nodes(disk, slot.number, machine.folder)
    async with machine.asked() as monitor:
        await _open_tray(monitor, machine, name, tray)
        if before.file:
            await monitor.execute("blockdev-remove-medium", {**tray})
            await monitor.execute("blockdev-del", {"node-name": node_name(slot.number)})
        now = known(machine).with_drive(name, _emptied(disk))
        try:
            for block in fresh:
                await monitor.execute("blockdev-add", block)
                medium = {**tray, "node-name": block["node-name"]}
                await monitor.execute("blockdev-insert-medium", medium)
                now = known(machine).with_drive(name, disk)
        finally:
            await quietly(monitor, "blockdev-close-tray", {**tray})
            await note(machine, now)
    return ""


def _emptied(disk: DiskDefinition) -> DiskDefinition:
    return DiskDefinition(kind=DiskKind.CDROM, bus=disk.bus, read_only=True)


async def _open_tray(monitor: Monitor, machine: Machine, name: str, tray: dict[str, str]) -> None:
    """Open it; a guest that has mounted the medium is asked, and may refuse."""
    deadline_s = time.monotonic() + GUEST_LIMIT_S
    asked = False
    while True:
        try:
            await monitor.execute("blockdev-open-tray", {**tray})
        except OperationError as error:
            if "locked" not in error.why:
                raise
            if asked and time.monotonic() > deadline_s:
                raise OperationError(
                    f"the tray {name} of {machine.name} does not open",
                    why="the guest holds its medium",
                    hint="Unmount or eject it in the guest.",
                ) from error
        else:
            return
        asked = True
        await asyncio.sleep(LOOK_INTERVAL_S)
