"""What a running VM is made of: what its QEMU was started with, and what was changed since."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import msgspec

from vmtui.backends.kvm.cards import netdev_id
from vmtui.backends.kvm.definition import Definition, SshDefinition
from vmtui.backends.kvm.hardware import BalanceDefinition, DiskDefinition, NicDefinition
from vmtui.backends.kvm.identity import drive_names
from vmtui.files import write_whole

T = TypeVar("T")

_FILE = "running.json"
NONE = (0, 0)
"""The stamp of what is not there."""

# What QEMU knows nothing of is as the stored definition says, at once.
_AT_ONCE: dict[str, object] = {
    "version": 0,
    "image": "",
    "throwaway": False,
    "boot_id": "",
    "description": "",
    "notes": "",
    "tags": (),
    "protected": False,
    "autostart": False,
    "restart": "no",
    "balloon_floor": "",
    "balance": BalanceDefinition(),
    "ssh": SshDefinition(),
}


class Slot(msgspec.Struct, frozen=True):
    """The number under which QEMU has a drive or a card, and what people call that.

    `tap` is the interface of this machine that a card was given while it ran.
    """

    number: int
    name: str
    tap: str = ""


class Running(msgspec.Struct, frozen=True):
    """Kept in the runtime folder, so that all processes see the same.

    `disks` and `nics` go with those of the definition, in its order. `dimms` are the sizes of the
    memory modules that were plugged in, one after the other. It began with `vcpus_begun` vCPUs.
    """

    definition: Definition
    disks: tuple[Slot, ...] = ()
    nics: tuple[Slot, ...] = ()
    dimms: tuple[int, ...] = ()
    vcpus_begun: int = 0
    balloon_target_bytes: int | None = None

    @classmethod
    def begun(cls, definition: Definition) -> Running:
        """As QEMU is about to be started with."""
        plugged = definition.plugged_bytes if definition.memory_hotplug == "dimm" else 0
        return cls(
            # The choice for one start is used up by this one.
            definition=msgspec.structs.replace(definition, boot_once=""),
            disks=tuple(Slot(n, name) for n, name in enumerate(drive_names(definition))),
            nics=tuple(Slot(n, netdev_id(n)) for n in range(len(definition.nic))),
            dimms=(plugged,) if plugged else (),
            vcpus_begun=definition.vcpus,
        )

    @property
    def balloon_ceiling_bytes(self) -> int:
        """What the guest has with the balloon empty; virtio-mem's is beside that."""
        return self.definition.memory_bytes + sum(self.dimms)

    def drive(self, name: str) -> tuple[DiskDefinition, Slot]:
        """A drive by its name; it is there."""
        at = next(at for at, slot in enumerate(self.disks) if slot.name == name)
        return self.definition.disk[at], self.disks[at]

    def card(self, name: str) -> tuple[NicDefinition, Slot]:
        """A network card by its name; it is there."""
        at = next(at for at, slot in enumerate(self.nics) if slot.name == name)
        return self.definition.nic[at], self.nics[at]

    def with_drive(self, name: str, disk: DiskDefinition | None) -> Running:
        """With another drive of that name, a new one, or (None) without it."""
        drives = dict(zip(self.disks, self.definition.disk, strict=True))
        slots, disks = _with(drives, name, disk)
        definition = msgspec.structs.replace(self.definition, disk=disks)
        return msgspec.structs.replace(self, definition=definition, disks=slots)

    def with_card(self, name: str, nic: NicDefinition | None) -> Running:
        """With another card of that name, a new one, or (None) without it."""
        slots, nics = _with(dict(zip(self.nics, self.definition.nic, strict=True)), name, nic)
        definition = msgspec.structs.replace(self.definition, nic=nics)
        return msgspec.structs.replace(self, definition=definition, nics=slots)

    def saying(self, **changes: object) -> Running:
        """With other values in the definition."""
        definition = msgspec.structs.replace(self.definition, **changes)
        return msgspec.structs.replace(self, definition=definition)

    def differs(self, stored: Definition) -> bool:
        """Whether the next boot takes anything otherwise than it is now."""
        return _essence(self.definition) != _essence(stored)

    def differing(self, stored: Definition) -> list[str]:
        """The keys of `vm.toml` that the next boot takes otherwise."""
        now, then = _essence(self.definition), _essence(stored)
        names = now.__struct_fields__
        return [name for name in names if getattr(now, name) != getattr(then, name)]


def _with(
    parts: dict[Slot, T], name: str, part: T | None
) -> tuple[tuple[Slot, ...], tuple[T, ...]]:
    """Numbers are those of QEMU, so a new part gets one that none has had beside it."""
    known = next((slot for slot in parts if slot.name == name), None)
    slot = known or Slot(max((slot.number for slot in parts), default=-1) + 1, name)
    if part is None:
        del parts[slot]
    else:
        parts[slot] = part
    return tuple(parts), tuple(parts.values())


def _essence(definition: Definition) -> Definition:
    """Without what counts at once, and without the order in which its parts came."""
    return msgspec.structs.replace(
        definition,
        disk=tuple(sorted(definition.disk, key=lambda disk: (disk.file, disk.kind))),
        nic=tuple(sorted(definition.nic, key=lambda nic: nic.mac)),
        **_AT_ONCE,
    )


def path(runtime: Path) -> Path:
    """Where it is kept."""
    return runtime / _FILE


def stamp(runtime: Path) -> tuple[int, int]:
    """Changes whenever it was rewritten."""
    try:
        status = path(runtime).stat()
    except OSError:
        return NONE
    return (status.st_ino, status.st_mtime_ns)


def read(runtime: Path) -> Running | None:
    """What runs; None where no vmtui that knows of this started it."""
    try:
        return msgspec.json.decode(path(runtime).read_bytes(), type=Running)
    except (OSError, msgspec.DecodeError):
        return None


def write(runtime: Path, running: Running) -> None:
    """Replace what is known of it. Blocks."""
    write_whole(path(runtime), msgspec.json.encode(running))
