"""A running VM's network cards and devices of the host: plugged in, and let go by the guest."""

from __future__ import annotations

import os

from msgspec.structs import replace

from vmtui.backends.kvm import bridges, held, procfs
from vmtui.backends.kvm.cards import card, card_id, netdev, netdev_id
from vmtui.backends.kvm.configuring.live import known, note, quietly, unplug
from vmtui.backends.kvm.devices import host_device, host_id
from vmtui.backends.kvm.hardware import HostDeviceDefinition, NicDefinition
from vmtui.backends.kvm.machine import Machine
from vmtui.backends.kvm.monitor import Monitor
from vmtui.errors import VmtuiError


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
            await quietly(monitor, "netdev_del", {"id": netdev_id(slot.number)})
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
            await quietly(monitor, "closefd", {"fdname": netdev_id(number)})
            raise
        return procfs.tap(os.getpid(), str(descriptor))
    finally:
        os.close(descriptor)


async def detach_nic(machine: Machine, name: str) -> str:
    """Ask the guest to let a card go, and wait until it has."""
    _, slot = known(machine).card(name)
    await unplug(machine, card_id(slot.number), name)
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
    await unplug(machine, host_id(made), made.address)
    now = known(machine)
    left = tuple(one for one in now.definition.host_device if one.address != made.address)
    await note(machine, now.saying(host_device=left))
    return "the host has it back"
