"""Parts that a new VM can be given beside the plain ones: networks, disks, folders, cloud-init."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class NetworkKind(StrEnum):
    """What a network card is connected to."""

    USER = "user"  # NAT by a user's own program, no root; ports can be forwarded
    NETWORK = "network"  # one of libvirt's
    BRIDGE = "bridge"  # one of the host's
    ISOLATED = "isolated"  # a card that leads nowhere but to the host's forwards


@dataclass(frozen=True, slots=True)
class Forward:
    """A TCP port of this machine that leads to one of the guest's; 0: a free one is found."""

    guest_port: int
    host_port: int = 0
    host_address: str = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class NicSpec:
    """A network card. `source` names the bridge or libvirt's network."""

    network: NetworkKind = NetworkKind.USER
    source: str = ""
    forwards: tuple[Forward, ...] = ()
    mac: str = ""  # empty: a new one
    model: str = "virtio"


class DiskBus(StrEnum):
    """How the guest sees a disk."""

    VIRTIO = "virtio"
    SCSI = "scsi"
    SATA = "sata"
    NVME = "nvme"
    IDE = "ide"


@dataclass(frozen=True, slots=True)
class DiskSpec:
    """One more disk, empty."""

    size_bytes: int
    bus: DiskBus = DiskBus.VIRTIO
    cache: str = ""  # as QEMU calls it, such as `none` or `writeback`; empty: the default
    discard: bool = True


@dataclass(frozen=True, slots=True)
class SharedFolder:
    """A folder of this machine in the guest, mounted by its tag."""

    path: Path
    tag: str
    read_only: bool = False
    protocol: str = "auto"  # `virtiofs`, `9p`, or virtiofs where it is there


@dataclass(frozen=True, slots=True)
class Topology:
    """How the vCPUs are laid out; their product is their number."""

    sockets: int = 1
    cores: int = 1
    threads: int = 1


@dataclass(frozen=True, slots=True)
class CloudInit:
    """What cloud-init does at a guest's first start. `user_data`, if given, stands for all else."""

    hostname: str = ""  # empty: the VM's name
    user: str = ""  # empty: the image's own
    ssh_keys: tuple[str, ...] = ()
    password_hash: str = ""  # as crypt(5) has it; never a password
    packages: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    user_data: str = ""
    network_config: str = ""
