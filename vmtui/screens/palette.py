"""The palette's commands on hardware: every setting by its plain name, every device to attach."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from textual.app import SystemCommand

from vmtui.backends.base import Feature
from vmtui.hardware.settings import SETTINGS
from vmtui.screens.attaching import KINDS, Kind
from vmtui.screens.base import FleetScreen
from vmtui.screens.configuring import show_hardware
from vmtui.screens.hardware import attach
from vmtui.units import plain
from vmtui.views import VMView

PLAIN_NAMES = (("Page sharing of the host", "ksm"),)
"""What some actions are called elsewhere."""

OTHER_NAMES = (
    ("Secure Boot", "firmware"),
    ("UEFI or BIOS", "firmware"),
    ("KSM of this VM", "memory.merge"),
    ("memory hotplug", "memory.max"),
    ("virtio-mem", "memory.plugged"),
    ("CD or ISO, change or eject", "disk.*.source"),
    ("grow a disk", "disk.*.size"),
    ("limits of a disk", "disk.*.iops"),
    ("limits of a network card", "nic.*.rate"),
    ("unplug the network cable", "nic.*.link"),
    ("CPU features and model", "cpu.model"),
    ("guest agent", "agent"),
    ("protect from deletion", "protected"),
    ("restart after a crash", "restart"),
)
"""What some settings are called elsewhere."""


def hardware_commands(screen: FleetScreen) -> Iterable[SystemCommand]:
    """For the VM that is acted on, where it can be configured."""
    rows = screen.targets()
    connection = screen.view.connection(rows[0].ref.uri) if rows else None
    if connection is None or Feature.CONFIGURE not in connection.features:
        return
    row = rows[0]
    for known in SETTINGS:
        title = f"{known.label[:1].upper()}{known.label[1:]} · {known.part.value}"
        yield SystemCommand(title, known.help, partial(show_hardware, screen, row.ref, known.key))
    for name, key in OTHER_NAMES:
        about = f"{name[:1].upper()}{name[1:]}"
        yield SystemCommand(
            about, f"The setting {key}.", partial(show_hardware, screen, row.ref, key)
        )
    if not connection.read_only:
        for kind in KINDS:
            about = f"To {plain(row.vm.name)}; {kind.note}" if kind.note else plain(row.vm.name)
            yield SystemCommand(f"Attach {kind.name}", about, partial(_attach, screen, row, kind))


def _attach(screen: FleetScreen, row: VMView, kind: Kind) -> None:
    screen.bring(partial(attach, screen, row, kind), "configuring")
