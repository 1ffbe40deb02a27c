"""What `vm.toml` says: a VM of the direct backend, hand-editable, with a version."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

import msgspec

from vmtui.model import Accel, DiskKind, Firmware
from vmtui.spec import BootKind
from vmtui.units import KIB, parse_size_bytes

VERSION = 1

_INTERFACE = re.compile(r"[A-Za-z0-9_.-]{1,15}")

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
    """

    mac: str
    network: Literal["user", "tap"] = "user"
    tap: str = ""

    @property
    def label(self) -> str:
        """How it is connected, for people."""
        return f"tap {self.tap}" if self.network == "tap" else self.network


class Definition(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True
):
    """One VM. `memory` is a size such as `256M`."""

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

    @property
    def memory_bytes(self) -> int:
        """The guest's memory."""
        return parse_size_bytes(self.memory)


def convert(content: dict[str, Any]) -> Definition:
    """A checked definition. Raises msgspec.ValidationError or ValueError with key and reason."""
    version = content.get("version")
    if version != VERSION:
        raise ValueError(f"version is {version!r}; this vmtui reads version {VERSION}")
    definition = msgspec.convert(content, Definition)
    if definition.memory_bytes < KIB * KIB:
        raise ValueError("memory is less than 1M")
    for nic in definition.nic:
        if (nic.network == "tap") != bool(_INTERFACE.fullmatch(nic.tap)):
            raise ValueError(
                f"nic: network = {nic.network!r} with tap = {nic.tap!r}; a tap needs the name of "
                "an interface, 1 to 15 characters, and a user network none"
            )
    return definition


def memory_text(memory_bytes: int) -> str:
    """`memory_bytes` as `vm.toml` says it, exact to the KiB."""
    kib = memory_bytes // KIB
    return f"{kib // KIB}M" if kib % KIB == 0 else f"{kib}K"
