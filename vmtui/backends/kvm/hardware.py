"""The parts of a VM that `vm.toml` tells of, such as drives, network cards and shared folders."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from vmtui.model import DiskKind
from vmtui.parts import DiskBus, Forward, Topology
from vmtui.units import parse_size_bytes

HERE = "127.0.0.1"

_INTERFACE = re.compile(r"[A-Za-z0-9_.-]{1,15}")
_TAG = re.compile(r"[A-Za-z0-9_.-]{1,31}")
_USB = re.compile(r"[0-9a-f]{4}:[0-9a-f]{4}")
_PCI = re.compile(r"[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]")
_FORWARD = re.compile(r"(?:(\d{1,3}(?:\.\d{1,3}){3}):)?(\d{1,5}):(\d{1,5})")

Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]
Positive = Annotated[int, msgspec.Meta(ge=1, le=1024)]
CacheMode = Literal["", "none", "writeback", "writethrough", "directsync", "unsafe"]
Limit = Annotated[int, msgspec.Meta(ge=0)]

PORTS = 8
"""PCIe ports of the machine into which cards are plugged, numbered from 1."""

PortNumber = Annotated[int, msgspec.Meta(ge=0, le=PORTS)]
PLUGGABLE = frozenset({DiskBus.VIRTIO, DiskBus.NVME})
"""Disks that are a card of their own."""
PCIE_MODELS = frozenset({"virtio", "e1000e", "vmxnet3"})
"""Network cards that go into a PCIe port; the others are for slots of old."""


class BaseDefinition(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A file that a disk leans on, with what it was like when that began: it may never change.

    `image` is its name in the library of images, `vm` the UUID of the VM whose own disk it is.
    """

    file: str
    format: str
    size_bytes: int
    modified_ns: int
    image: str = ""
    vm: str = ""


class KernelDefinition(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A kernel that QEMU boots itself, with whole paths; `append` is its command line.

    `image` is its name in the library of images.
    """

    file: str
    initrd: str = ""
    append: str = ""
    image: str = ""


class DiskDefinition(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A drive. `file` is relative to the VM's folder, or absolute (then it is not the VM's own).

    `base` is what it leans on, the nearest first; `image` is a medium's name in the library. A
    tray is empty if `file` is. `port` is the PCIe port that its card is in, so that it can go and
    come while the VM runs, and stays where the guest found it; 0: it is on the board. `iops` are
    requests and `rate` bytes a second at most, 0 and "" unlimited; the bursts are for a second.
    """

    file: str = ""
    format: str = "raw"
    kind: DiskKind = DiskKind.DISK
    read_only: bool = False
    bus: DiskBus = DiskBus.VIRTIO
    cache: CacheMode = ""
    discard: bool = True
    image: str = ""
    base: tuple[BaseDefinition, ...] = ()
    port: PortNumber = 0
    iops: Limit = 0
    iops_burst: Limit = 0
    rate: str = ""
    rate_burst: str = ""

    @property
    def limited(self) -> bool:
        """Whether it may not take all that the host's disk gives."""
        return bool(self.iops or self.rate)

    @property
    def guest_bus(self) -> DiskBus:
        """Where the guest finds it: a tray that is not on SCSI is on SATA, whatever `bus` says."""
        is_tray = self.kind is DiskKind.CDROM and self.bus is not DiskBus.SCSI
        return DiskBus.SATA if is_tray else self.bus


class NicDefinition(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A network card.

    `user` is QEMU's own NAT, the only network without root; `isolated` is the same with no way out.
    `bridge` is one of the host's, which `qemu-bridge-helper` has to allow; `bridge` names it. `tap`
    is an interface of the host that somebody has made for this user (`ip tuntap add IFNAME mode tap
    user NAME`); `tap` names it. `forward` is for the first two: TCP ports of this machine that lead
    to the guest's, such as `2222:22`, or `0.0.0.0:8080:80` for callers from anywhere. `found`
    are the guest's ports whose other end vmtui chose, and may choose anew when it is taken.
    Without `link` its cable is not plugged in. `port` is as of a disk.
    """

    mac: str
    network: Literal["user", "isolated", "bridge", "tap"] = "user"
    tap: str = ""
    bridge: str = ""
    model: Literal["virtio", "e1000", "e1000e", "rtl8139", "vmxnet3"] = "virtio"
    forward: tuple[str, ...] = ()
    found: tuple[Port, ...] = ()
    link: bool = True
    port: PortNumber = 0

    @property
    def label(self) -> str:
        """How it is connected, for people."""
        return f"{self.network} {self.tap or self.bridge}".strip()

    @property
    def forwards(self) -> tuple[Forward, ...]:
        """What `forward` says, each taken apart."""
        return tuple(_parsed(text) for text in self.forward)


class ShareDefinition(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A folder of this machine that the guest mounts by its tag."""

    path: str
    tag: str
    read_only: bool = False
    protocol: Literal["auto", "virtiofs", "9p"] = "auto"


class HostDeviceDefinition(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True
):
    """A device of the host that is passed through; `address` as in `vmtui.hardware.devices`."""

    bus: Literal["usb", "pci"]
    address: str
    label: str = ""


class TuningDefinition(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What of the host's CPUs the VM gets; 0 and "" are the host's own default.

    `quota` is percent of one CPU, `period_us` the time in which it is counted. `pin` gives vCPUs
    host CPUs (`0=0-3 1=4`, `all=0-3`), `emulator` all other threads.
    """

    profile: Literal["", "low", "normal", "high", "dedicated"] = ""
    weight: Annotated[int, msgspec.Meta(ge=0, le=10000)] = 0
    quota: Limit = 0
    period_us: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 0
    pin: str = ""
    emulator: str = ""
    iothreads: Annotated[int, msgspec.Meta(ge=0, le=64)] = 0


class BalanceDefinition(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True
):
    """How vmtui may move the VM's memory by itself; sizes as in `memory`, weight 0 the usual."""

    on: bool = False
    least: str = ""
    most: str = ""
    weight: Annotated[int, msgspec.Meta(ge=0, le=1000)] = 0
    reserve: str = ""


class TopologyDefinition(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the vCPUs are laid out; their product is their number."""

    sockets: Positive = 1
    cores: Positive = 1
    threads: Positive = 1

    @classmethod
    def of(cls, topology: Topology | None) -> TopologyDefinition | None:
        """The same as `vm.toml` says it."""
        if topology is None:
            return None
        return cls(topology.sockets, topology.cores, topology.threads)

    @property
    def vcpus(self) -> int:
        """How many that makes."""
        return self.sockets * self.cores * self.threads


def forward_text(forward: Forward) -> str:
    """A forward as `vm.toml` says it."""
    address = "" if forward.host_address == HERE else f"{forward.host_address}:"
    return f"{address}{forward.host_port}:{forward.guest_port}"


def _parsed(text: str) -> Forward:
    found = _FORWARD.fullmatch(text)
    if found is None:
        return Forward(0)  # `check_nic` refuses it
    address, here, there = found.groups()
    return Forward(int(there), int(here), address or HERE)


def check_nic(nic: NicDefinition) -> None:
    """Raise ValueError where what a card says makes no sense."""
    for network in ("tap", "bridge"):
        named = str(getattr(nic, network))
        if (nic.network == network) != bool(_INTERFACE.fullmatch(named)):
            raise ValueError(
                f"nic: network = {nic.network!r} with {network} = {named!r}; a {network} needs the "
                "name of an interface, 1 to 15 characters, and other networks none"
            )
    if nic.forward and nic.network not in ("user", "isolated"):
        raise ValueError(f"nic: forward is for network = 'user', not {nic.network!r}")
    for text, forward in zip(nic.forward, nic.forwards, strict=True):
        octets = forward.host_address.split(".")
        ports = (forward.host_port, forward.guest_port)
        if not all(1 <= port <= 65535 for port in ports) or any(int(o) > 255 for o in octets):
            raise ValueError(
                f"nic: forward {text!r} is not a port of this machine and one of the guest, "
                "such as '2222:22'"
            )


def check_share(share: ShareDefinition) -> None:
    """Raise ValueError where what a shared folder says makes no sense."""
    if not share.path.startswith("/"):
        raise ValueError(f"share: path = {share.path!r} does not start with /")
    if not _TAG.fullmatch(share.tag):
        raise ValueError(
            f"share: tag = {share.tag!r}; use 1 to 31 letters, digits, '.', '_' and '-'"
        )


def check_size(key: str, text: str) -> None:
    """Raise ValueError, with the key, where `text` is no size."""
    try:
        parse_size_bytes(text)
    except ValueError as error:
        raise ValueError(f"{key} = {text!r}: {error}") from error


def check_kernel(kernel: KernelDefinition) -> None:
    """Raise ValueError for what QEMU could not be told."""
    for path in filter(None, (kernel.file, kernel.initrd)):
        if not Path(path).is_absolute():
            raise ValueError(f"kernel: {path!r} is not a whole path")
    if not kernel.append.isprintable():
        raise ValueError(f"kernel: append = {kernel.append!r} is not one plain line")


def check_disk(disk: DiskDefinition) -> None:
    """Raise ValueError where what a drive says makes no sense."""
    if not disk.file and disk.kind is not DiskKind.CDROM:
        raise ValueError("disk: file is empty, which only a tray can be (kind = 'cdrom')")
    if disk.port and (disk.bus not in PLUGGABLE or disk.kind is DiskKind.CDROM):
        raise ValueError(f"disk: port = {disk.port}, but a drive on {disk.bus} is no card")
    for key, size_text in (("rate", disk.rate), ("rate_burst", disk.rate_burst)):
        if size_text:
            check_size(f"disk: {key}", size_text)
    for burst, limit, name in (
        (disk.iops_burst, disk.iops, "iops"),
        (disk.rate_burst, disk.rate, "rate"),
    ):
        if burst and not limit:
            raise ValueError(f"disk: {name}_burst without {name}")


def check_host_device(device: HostDeviceDefinition) -> None:
    """Raise ValueError where the address can't be one of that bus."""
    wanted, such = (_USB, "1d6b:0002") if device.bus == "usb" else (_PCI, "0000:00:1f.2")
    if not wanted.fullmatch(device.address):
        raise ValueError(f"host_device: address = {device.address!r}; write it like {such!r}")
