"""What `vm.toml` says: a VM of the direct backend, hand-editable, with a version."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

import msgspec

from vmtui.model import Accel, DiskKind, Firmware, SshAccess
from vmtui.spec import BootKind
from vmtui.units import KIB, parse_size_bytes

VERSION = 1

_INTERFACE = re.compile(r"[A-Za-z0-9_.-]{1,15}")
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@-]{0,63}\$?")
_FORWARD = re.compile(r"([0-9]{1,5}):([0-9]{1,5})")

Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]
Positive = Annotated[int, msgspec.Meta(ge=1, le=1024)]


class DiskDefinition(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A drive. `file` is relative to the VM's folder, or absolute (then it is not the VM's own)."""

    file: str
    format: str
    kind: DiskKind = DiskKind.DISK
    read_only: bool = False


class NicDefinition(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A network card.

    `user` is QEMU's own NAT, the only network without root. `tap` is an interface of the host that
    somebody has made for this user (`ip tuntap add IFNAME mode tap user NAME`); `tap` names it.
    `forward` is for `user`: TCP ports of this machine that lead to the guest's, such as `2222:22`.
    """

    mac: str
    network: Literal["user", "tap"] = "user"
    tap: str = ""
    forward: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """How it is connected, for people."""
        return f"tap {self.tap}" if self.network == "tap" else self.network

    @property
    def forwarded(self) -> tuple[tuple[int, int], ...]:
        """Pairs of ports, this machine's and the guest's."""
        return tuple(
            (int(here), int(there))
            for here, _, there in (forward.partition(":") for forward in self.forward)
        )


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
    """One VM. `memory` is a size such as `256M`.

    `console` tells of which kind its text consoles are, the usual one first: `serial` (`ttyS0` and
    so on in the guest) or `virtio` (`hvc0` and so on).
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
        return 0 if self.boot is BootKind.MICRO else 1

    @property
    def ssh_access(self) -> SshAccess:
        """By the forwarded port, where there is one."""
        for nic in self.nic:
            for here, there in nic.forwarded:
                if there == self.ssh.port:
                    return SshAccess(self.ssh.user, here, host="127.0.0.1")
        return SshAccess(self.ssh.user, self.ssh.port)


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
        if (nic.network == "tap") != bool(_INTERFACE.fullmatch(nic.tap)):
            raise ValueError(
                f"nic: network = {nic.network!r} with tap = {nic.tap!r}; a tap needs the name of "
                "an interface, 1 to 15 characters, and a user network none"
            )
        _check_forwards(nic)
    if definition.ssh.user and not _USER.fullmatch(definition.ssh.user):
        raise ValueError(f"ssh: user = {definition.ssh.user!r} is not a user's name")
    return definition


def _check_forwards(nic: NicDefinition) -> None:
    if nic.forward and nic.network != "user":
        raise ValueError(f"nic: forward is for network = 'user', not {nic.network!r}")
    for forward in nic.forward:
        ports = _FORWARD.fullmatch(forward)
        if ports is None or not all(1 <= int(port) <= 65535 for port in ports.groups()):
            raise ValueError(
                f"nic: forward {forward!r} is not a port of this machine and one of the guest, "
                "such as '2222:22'"
            )


def memory_text(memory_bytes: int) -> str:
    """`memory_bytes` as `vm.toml` says it, exact to the KiB."""
    kib = memory_bytes // KIB
    return f"{kib // KIB}M" if kib % KIB == 0 else f"{kib}K"
