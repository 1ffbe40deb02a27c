"""What QEMU is told before the guest runs, because its command line has no words for it."""

from __future__ import annotations

from vmtui.backends.kvm.cards import card_id
from vmtui.backends.kvm.drives import device_path
from vmtui.backends.kvm.hardware import DiskDefinition
from vmtui.backends.kvm.machine import Machine
from vmtui.backends.kvm.monitor import Monitor
from vmtui.units import parse_size_bytes

RUN_STATE = "prelaunch"
"""Of a QEMU that was started with -S, until it is let go."""


async def let_go(machine: Machine) -> None:
    """Tell QEMU of limits and of cables that are not plugged in, then let the guest run."""
    async with machine.asked() as monitor:
        if machine.running is not None:
            current = machine.running.definition
            for disk, slot in zip(current.disk, machine.running.disks, strict=True):
                if disk.limited:
                    await limit(monitor, disk, slot.number)
            for nic, slot in zip(current.nic, machine.running.nics, strict=True):
                if not nic.link:
                    await plug(monitor, slot.number, link=False)
        await monitor.execute("cont")
    await machine.refresh_state()


async def limit(monitor: Monitor, disk: DiskDefinition, number: int) -> None:
    """Let a drive do no more than its definition says."""
    rate, burst = (parse_size_bytes(text) if text else 0 for text in (disk.rate, disk.rate_burst))
    limits: dict[str, object] = {"bps": rate, "iops": disk.iops}
    limits |= {f"{kind}_{way}": 0 for kind in ("bps", "iops") for way in ("rd", "wr")}
    if burst:
        limits["bps_max"] = burst
    if disk.iops_burst:
        limits["iops_max"] = disk.iops_burst
    await monitor.execute("block_set_io_throttle", {"id": device_path(disk, number), **limits})


async def plug(monitor: Monitor, number: int, *, link: bool) -> None:
    """Plug a card's cable in, or pull it."""
    await monitor.execute("set_link", {"name": card_id(number), "up": link})
