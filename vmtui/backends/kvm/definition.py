"""What `vm.toml` says: a VM of the direct backend, hand-editable, with a version."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

import msgspec

from vmtui.backends.kvm.hardware import (
    HERE,
    DiskDefinition,
    NicDefinition,
    Port,
    Positive,
    ShareDefinition,
    TopologyDefinition,
    check_nic,
    check_share,
)
from vmtui.model import Accel, DiskKind, Firmware, SshAccess
from vmtui.parts import DiskBus
from vmtui.spec import BootKind
from vmtui.units import KIB, parse_size_bytes

VERSION = 1

_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@-]{0,63}\$?")
_CPU = re.compile(r"[A-Za-z0-9_.+-]+(,[A-Za-z0-9_.+=-]+)*")
SATA_PORTS = 6
"""Of the machine; disks and media share them."""
IDE_DISKS = 4
"""Of one controller: two channels of two."""

BootDevice = Literal["disk", "cdrom", "network"]


class SshDefinition(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How ssh gets in: as whom, and to which port of the guest."""

    user: str = ""
    port: Port = 22


ConsoleKind = Literal["serial", "virtio"]

SERIAL_PORTS = 4
"""What a PC has; virtio consoles are not limited like that."""


class Definition(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True
):
    """One VM. `memory` and `balloon_floor` are sizes such as `256M`.

    `graphics` says whether it has a screen; without it, all but the micro image have one.
    `throwaway` VMs are removed with all their files once they are off, and those made in another
    boot of this machine than `boot_id` even if they never ran. `console` tells of which kind its
    text consoles are, the usual one first: `serial` (`ttyS0` and so on in the guest) or `virtio`
    (`hvc0` and so on).
    """

    version: int
    uuid: str
    vcpus: Positive
    memory: str
    boot: BootKind
    image: str = ""
    firmware: Firmware = Firmware.BIOS
    tpm: bool = False
    accel: Accel = Accel.AUTO
    description: str = ""
    disk: tuple[DiskDefinition, ...] = ()
    nic: tuple[NicDefinition, ...] = ()
    ssh: SshDefinition = SshDefinition()
    console: Annotated[tuple[ConsoleKind, ...], msgspec.Meta(max_length=8)] = ("serial",)
    topology: TopologyDefinition | None = None
    cpu: str = ""
    balloon_floor: str = ""
    share: tuple[ShareDefinition, ...] = ()
    graphics: bool | None = None
    boot_order: tuple[BootDevice, ...] = ()
    hyperv: bool = False
    tags: tuple[str, ...] = ()
    throwaway: bool = False
    boot_id: str = ""

    @property
    def consoles(self) -> tuple[str, ...]:
        """The names of its consoles: their kind and number, such as `serial0`."""
        return tuple(
            f"{kind}{self.console[:place].count(kind)}" for place, kind in enumerate(self.console)
        )

    @property
    def memory_bytes(self) -> int:
        """The guest's memory."""
        return parse_size_bytes(self.memory)

    @property
    def displays(self) -> int:
        """Screens of the guest: the micro image has a serial console instead."""
        wanted = self.boot is not BootKind.MICRO if self.graphics is None else self.graphics
        return int(wanted)

    @property
    def ssh_access(self) -> SshAccess:
        """By the forwarded port, where there is one."""
        for nic in self.nic:
            for forward in nic.forwards:
                if forward.guest_port == self.ssh.port:
                    anywhere = forward.host_address == "0.0.0.0"  # noqa: S104
                    host = HERE if anywhere else forward.host_address
                    return SshAccess(self.ssh.user, forward.host_port, host)
        return SshAccess(self.ssh.user, self.ssh.port)

    @property
    def images(self) -> frozenset[str]:
        """The images of the library that it can't be without."""
        media = {disk.image for disk in self.disk}
        return frozenset(media | {base.image for disk in self.disk for base in disk.base}) - {""}

    def leans_on(self, uuid: str) -> bool:
        """Whether a disk of the VM with that UUID is below one of its own."""
        return any(base.vm == uuid for disk in self.disk for base in disk.base)


def convert(content: dict[str, Any]) -> Definition:
    """A checked definition. Raises msgspec.ValidationError or ValueError with key and reason."""
    version = content.get("version")
    if version != VERSION:
        raise ValueError(f"version is {version!r}; this vmtui reads version {VERSION}")
    definition = msgspec.convert(content, Definition)
    if definition.memory_bytes < KIB * KIB:
        raise ValueError("memory is less than 1M")
    if definition.console.count("serial") > SERIAL_PORTS:
        raise ValueError(f"console: there are {SERIAL_PORTS} serial ports at most")
    for nic in definition.nic:
        check_nic(nic)
    for share in definition.share:
        check_share(share)
    if len({share.tag for share in definition.share}) < len(definition.share):
        raise ValueError("share: two folders have the same tag")
    if definition.ssh.user and not _USER.fullmatch(definition.ssh.user):
        raise ValueError(f"ssh: user = {definition.ssh.user!r} is not a user's name")
    _check_machine(definition)
    return definition


def _check_machine(definition: Definition) -> None:
    topology = definition.topology
    if topology and topology.vcpus != definition.vcpus:
        raise ValueError(
            f"topology: {topology.sockets} sockets, {topology.cores} cores and "
            f"{topology.threads} threads are {topology.vcpus} vCPUs, not {definition.vcpus}"
        )
    if definition.cpu and not _CPU.fullmatch(definition.cpu):
        raise ValueError(f"cpu = {definition.cpu!r} is not a model, with or without features")
    if definition.balloon_floor:
        parse_size_bytes(definition.balloon_floor)
    on_sata = sum(
        disk.bus is DiskBus.SATA or (disk.kind is DiskKind.CDROM and disk.bus is not DiskBus.SCSI)
        for disk in definition.disk
    )
    if on_sata > SATA_PORTS:
        raise ValueError(f"disk: {on_sata} on SATA; the machine has {SATA_PORTS} ports")
    on_ide = sum(disk.kind is DiskKind.DISK and disk.bus is DiskBus.IDE for disk in definition.disk)
    if on_ide > IDE_DISKS:
        raise ValueError(f"disk: {on_ide} on IDE; its controller takes {IDE_DISKS}")


def memory_text(memory_bytes: int) -> str:
    """`memory_bytes` as `vm.toml` says it, exact to the KiB."""
    kib = memory_bytes // KIB
    return f"{kib // KIB}M" if kib % KIB == 0 else f"{kib}K"
