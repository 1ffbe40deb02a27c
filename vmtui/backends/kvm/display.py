"""The screen, keyboard and pointer of a running QEMU, through its monitor."""

from __future__ import annotations

import asyncio
import os

from vmtui.backends.kvm.machine import Machine
from vmtui.backends.ways_in import Viewer
from vmtui.errors import OperationError, StateError, UnsupportedError
from vmtui.keyboards import Chord
from vmtui.model import State
from vmtui.picture import Picture, decoded

AXIS_MAXIMUM = 0x7FFF
"""QEMU's absolute axes go from 0 to this (INPUT_EVENT_ABS_MAX)."""

HELD_BUTTONS = ("left", "middle", "right")
WHEEL = ("wheel-up", "wheel-down")


async def picture(machine: Machine) -> Picture:
    """What is on the screen, by way of a file: QEMU gives it no other way.

    Those who ask at the same time take turns, so that QEMU never draws for two.
    """
    _check_shown(machine)
    path = machine.place.runtime / f"screen-{os.getpid()}.ppm"
    async with machine.drawing:
        try:
            async with machine.asked() as monitor:
                await monitor.execute("screendump", {"filename": str(path)})
            data = await asyncio.to_thread(path.read_bytes)
        except OSError as error:
            raise OperationError(
                f"the screen of {machine.name} can't be read", why=str(error)
            ) from error
        finally:
            path.unlink(missing_ok=True)
    return decoded(data)


async def press(machine: Machine, keys: Chord, hold_ms: int) -> None:
    """Hold the keys down together; returns when QEMU has let them go."""
    _check_listens(machine)
    values = [{"type": "qcode", "data": key} for key in keys]
    async with machine.asked() as monitor:
        await monitor.execute("send-key", {"keys": values, "hold-time": hold_ms})
    # QEMU waits after each key that goes down or up, and what comes meanwhile queues up behind it:
    # to be dropped once the queue is full.
    await asyncio.sleep(2 * len(keys) * hold_ms / 1000)


async def point(machine: Machine, x: float, y: float, buttons: frozenset[str]) -> None:
    """Move the tablet that every VM with a screen has."""
    _check_listens(machine)
    events = [_axis("x", x), _axis("y", y)]
    events += [_button(button, down=button in buttons) for button in HELD_BUTTONS]
    for button in WHEEL:
        if button in buttons:
            events += [_button(button, down=True), _button(button, down=False)]
    async with machine.asked() as monitor:
        await monitor.execute("input-send-event", {"events": events})


def viewer(machine: Machine) -> Viewer:
    """The socket that QEMU serves VNC on."""
    _check_shown(machine)
    return Viewer("vnc", socket=str(machine.place.vnc))


def _check_shown(machine: Machine) -> None:
    if machine.definition is not None and not machine.definition.displays:
        raise UnsupportedError(
            f"{machine.name} has no screen",
            why="the micro image needs none",
            hint=f"Use its console: vmtui console {machine.name}",
        )


def _check_listens(machine: Machine) -> None:
    _check_shown(machine)
    if machine.state is State.PAUSED:
        raise StateError(
            f"{machine.name} takes no input",
            why="it is paused",
            hint=f"Let it go on: vmtui resume {machine.name}",
        )


def _axis(axis: str, place: float) -> dict[str, object]:
    value = round(min(max(place, 0.0), 1.0) * AXIS_MAXIMUM)
    return {"type": "abs", "data": {"axis": axis, "value": value}}


def _button(button: str, *, down: bool) -> dict[str, object]:
    return {"type": "btn", "data": {"button": button, "down": down}}
