"""Changing a VM while it runs: what QEMU is told, what the guest has to do, what is noted of it."""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import suppress
from typing import Any

from msgspec.structs import replace

from vmtui.backends.kvm import bridges, held, procfs, running
from vmtui.backends.kvm.cards import card, card_id, netdev, netdev_id
from vmtui.backends.kvm.devices import host_device, host_id
from vmtui.backends.kvm.drives import device, device_id, node_name, nodes
from vmtui.backends.kvm.hardware import DiskDefinition, HostDeviceDefinition, NicDefinition
from vmtui.backends.kvm.machine import Machine
from vmtui.backends.kvm.memory import VIRTIO_MEM, backend
from vmtui.backends.kvm.monitor import Monitor
from vmtui.backends.kvm.options import Options
from vmtui.backends.kvm.running import Running
from vmtui.errors import OperationError, StateError, VmtuiError
from vmtui.hardware.values import Form, Kind
from vmtui.model import DiskKind
from vmtui.units import size
from vmtui.whole import whole_in_thread

GUEST_LIMIT_S = 8.0
"""A guest that has not let a device go by then does not want to, or has no driver. Less than others
wait for the VM's lock, which is held meanwhile."""

CLOSE_LIMIT_S = 5.0
_LOOK_INTERVAL_S = 0.05
_PERIPHERALS = "/machine/peripheral"


def known(machine: Machine) -> Running:
    """What it has. Raises StateError if it ended meanwhile."""
    if machine.running is None:
        raise StateError(f"{machine.name} is not running any more")
    return machine.running


async def note(machine: Machine, now: Running) -> None:
    """Let all processes know what it has now."""
    await whole_in_thread(running.write, machine.place.runtime, now)
    machine.reload()


# -- drives ------------------------------------------------------------------------------------


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
                await _quietly(monitor, "blockdev-del", {"node-name": node})
            raise
    await note(machine, now)
    return ""


async def detach_disk(machine: Machine, name: str) -> str:
    """Ask the guest to let a drive go, and wait until it has."""
    disk, slot = known(machine).drive(name)
    await _unplug(machine, device_id(slot.number), name)
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
        await asyncio.sleep(_LOOK_INTERVAL_S)


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
    file = top["file"]
    if "cache" in top:
        file["cache"] = top["cache"]
    options = [{**top, "file": file["node-name"]}, file]
    async with machine.asked() as monitor:
        await monitor.execute("blockdev-reopen", {"options": options})
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
            await _quietly(monitor, "blockdev-close-tray", {**tray})
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
        await asyncio.sleep(_LOOK_INTERVAL_S)


# -- network cards -----------------------------------------------------------------------------


async def attach_nic(machine: Machine, name: str, nic: NicDefinition) -> str:
    """Plug a card in; whatever of that fails is taken back."""
    now = known(machine).with_card(name, nic)
    _, slot = now.card(name)
    async with machine.asked() as monitor:
        tap = await _add_network(monitor, machine, nic, slot.number)
        try:
            await monitor.execute("device_add", card(now.definition, nic, slot.number))
            if not nic.link:
                await held.plug(monitor, slot.number, link=False)
        except VmtuiError:
            await _quietly(monitor, "netdev_del", {"id": netdev_id(slot.number)})
            raise
    slots = tuple(replace(one, tap=tap) if one == slot else one for one in now.nics)
    await note(machine, replace(now, nics=slots))
    return ""


async def _add_network(monitor: Monitor, machine: Machine, nic: NicDefinition, number: int) -> str:
    """What a card leads to; the tap that it is, if it is one."""
    if nic.network != "bridge":
        await monitor.execute("netdev_add", netdev(nic, number))
        return nic.tap
    descriptor = await bridges.open_tap(machine.name, nic.bridge)
    try:
        await monitor.give(netdev_id(number), descriptor)
        try:
            await monitor.execute("netdev_add", netdev(nic, number))
        except VmtuiError:
            await _quietly(monitor, "closefd", {"fdname": netdev_id(number)})
            raise
        return procfs.tap(os.getpid(), str(descriptor))
    finally:
        os.close(descriptor)


async def detach_nic(machine: Machine, name: str) -> str:
    """Ask the guest to let a card go, and wait until it has."""
    _, slot = known(machine).card(name)
    await _unplug(machine, card_id(slot.number), name)
    async with machine.asked() as monitor:
        await monitor.execute("netdev_del", {"id": netdev_id(slot.number)})
    await note(machine, known(machine).with_card(name, None))
    return "the guest let it go"


async def plug_cable(machine: Machine, name: str, nic: NicDefinition) -> str:
    """Plug a card's cable in, or pull it."""
    _, slot = known(machine).card(name)
    async with machine.asked() as monitor:
        await held.plug(monitor, slot.number, link=nic.link)
    await note(machine, known(machine).with_card(name, nic))
    return ""


async def attach_host(machine: Machine, made: HostDeviceDefinition) -> str:
    """Pass a device of the host through."""
    async with machine.asked() as monitor:
        await monitor.execute("device_add", host_device(made))
    now = known(machine)
    await note(machine, now.saying(host_device=(*now.definition.host_device, made)))
    return ""


async def detach_host(machine: Machine, made: HostDeviceDefinition) -> str:
    """Give a device back to the host."""
    await _unplug(machine, host_id(made), made.address)
    now = known(machine)
    left = tuple(one for one in now.definition.host_device if one.address != made.address)
    await note(machine, now.saying(host_device=left))
    return "the host has it back"


# -- vCPUs and memory --------------------------------------------------------------------------


async def set_vcpus(machine: Machine, wanted: int) -> str:
    """Plug vCPUs in, or ask the guest to let the last ones go."""
    have = known(machine).definition.vcpus
    async with machine.asked() as monitor:
        slots = await monitor.execute("query-hotpluggable-cpus")
    # QEMU lists them from the last to the first.
    free = [slot for slot in reversed(slots) if "qom-path" not in slot]
    for number in range(have, wanted):
        slot = free[number - have]
        added = {"driver": slot["type"], "id": _vcpu_id(number), **slot["props"]}
        async with machine.asked() as monitor:
            await monitor.execute("device_add", added)
        await note(machine, known(machine).saying(vcpus=number + 1))
    for number in range(have - 1, wanted - 1, -1):
        await _unplug(machine, _vcpu_id(number), f"vCPU {number}")
        await note(machine, known(machine).saying(vcpus=number))
    return f"{wanted} are plugged in"


def _vcpu_id(number: int) -> str:
    return f"vcpu{number}"


async def plug_memory(machine: Machine, wanted_bytes: int) -> str:
    """Ask the guest to take that much beside what it was started with."""
    now = known(machine)
    text = Form(Kind.SIZE).text(wanted_bytes or None)
    if now.definition.memory_hotplug == "dimm":
        return await _plug_dimm(machine, now, wanted_bytes, text)
    asked = {"path": f"{_PERIPHERALS}/{VIRTIO_MEM}", "property": "requested-size"}
    async with machine.asked() as monitor:
        await monitor.execute("qom-set", {**asked, "value": wanted_bytes})
    await note(machine, now.saying(memory_plugged=text))
    return f"the guest was asked for {size(wanted_bytes, digits=2)}"


async def _plug_dimm(machine: Machine, now: Running, wanted_bytes: int, text: str) -> str:
    number, more_bytes = len(now.dimms), wanted_bytes - sum(now.dimms)
    room = f"dimm{number}-room"
    shared = "share=on" in " ".join(machine.record.argv if machine.record else ())
    made = backend(now.definition, room, more_bytes, shared=shared)
    dimm: Options = {"driver": "pc-dimm", "id": f"dimm{number}", "memdev": room}
    async with machine.asked() as monitor:
        await monitor.execute("object-add", made)
        try:
            await monitor.execute("device_add", dimm)
        except VmtuiError:
            await _quietly(monitor, "object-del", {"id": room})
            raise
    plugged = now.saying(memory_plugged=text)
    await note(machine, replace(plugged, dimms=(*now.dimms, more_bytes)))
    return f"a module of {size(more_bytes, digits=2)} is plugged in"


# -- all else ----------------------------------------------------------------------------------


async def set_watchdog_action(machine: Machine, action: str) -> str:
    """What happens once the guest has not fed its watchdog."""
    async with machine.asked() as monitor:
        await monitor.execute("set-action", {"watchdog": action})
    await note(machine, known(machine).saying(watchdog_action=action))
    return ""


async def _unplug(machine: Machine, device: str, label: str) -> None:
    """Ask the guest to let a device go, and wait. Raises OperationError if it does not."""
    async with machine.asked() as monitor:
        try:
            await monitor.execute("device_del", {"id": device})
        except OperationError as error:
            # One that was asked before may have let it go since.
            if "not found" in error.why:
                return
            if "already in the process" not in error.why:
                raise
    deadline_s = time.monotonic() + GUEST_LIMIT_S
    while True:
        # Not under one monitor for all the time: others may want to ask meanwhile.
        async with machine.asked() as monitor:
            there: list[dict[str, Any]] = await monitor.execute("qom-list", {"path": _PERIPHERALS})
        if device not in {child["name"] for child in there}:
            return
        if time.monotonic() > deadline_s:
            raise OperationError(
                f"{machine.name} keeps {label}",
                why=f"the guest did not let it go within {GUEST_LIMIT_S:.0f} s",
                hint="It may be in use, or the guest not be up: unmount it there, or shut it down.",
            )
        await asyncio.sleep(_LOOK_INTERVAL_S)


async def _quietly(monitor: Monitor, command: str, arguments: dict[str, object]) -> None:
    """Take something back, as far as that goes: what failed before is what counts."""
    with suppress(VmtuiError):
        await monitor.execute(command, arguments)
