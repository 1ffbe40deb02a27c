"""Changing a VM while it runs: what is noted of it, and its vCPUs, memory and watchdog."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import Any

from msgspec.structs import replace

from vmtui.backends.kvm import running
from vmtui.backends.kvm.machine import Machine
from vmtui.backends.kvm.memory import VIRTIO_MEM, backend
from vmtui.backends.kvm.monitor import Monitor
from vmtui.backends.kvm.options import Options
from vmtui.backends.kvm.running import Running
from vmtui.errors import OperationError, StateError, VmtuiError
from vmtui.hardware.values import Form, Kind
from vmtui.units import size
from vmtui.whole import whole_in_thread

GUEST_LIMIT_S = 8.0
"""A guest that has not let a device go by then does not want to, or has no driver. Less than others
wait for the VM's lock, which is held meanwhile."""

LOOK_INTERVAL_S = 0.05
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


async def unplug(machine: Machine, device: str, label: str) -> None:
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
        await asyncio.sleep(LOOK_INTERVAL_S)


async def quietly(monitor: Monitor, command: str, arguments: dict[str, object]) -> None:
    """Take something back, as far as that goes: what failed before is what counts."""
    with suppress(VmtuiError):
        await monitor.execute(command, arguments)


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
        await unplug(machine, _vcpu_id(number), f"vCPU {number}")
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
            await quietly(monitor, "object-del", {"id": room})
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
