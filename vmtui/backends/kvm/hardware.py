"""The parts of a VM that `vm.toml` tells of: drives, network cards, shared folders."""

from __future__ import annotations

import re
from typing import Annotated, Literal

import msgspec

from vmtui.model import DiskKind
from vmtui.parts import DiskBus, Forward, Topology

HERE = "127.0.0.1"

_INTERFACE = re.compile(r"[A-Za-z0-9_.-]{1,15}")
_TAG = re.compile(r"[A-Za-z0-9_.-]{1,31}")
_FORWARD = re.compile(r"(?:(\d{1,3}(?:\.\d{1,3}){3}):)?(\d{1,5}):(\d{1,5})")

Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]
Positive = Annotated[int, msgspec.Meta(ge=1, le=1024)]
CacheMode = Literal["", "none", "writeback", "writethrough", "directsync", "unsafe"]


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


class DiskDefinition(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A drive. `file` is relative to the VM's folder, or absolute (then it is not the VM's own).

    `base` is what it leans on, the nearest first; `image` is a medium's name in the library.
    """

    file: str
    format: str
    kind: DiskKind = DiskKind.DISK
    read_only: bool = False
    bus: DiskBus = DiskBus.VIRTIO
    cache: CacheMode = ""
    discard: bool = True
    image: str = ""
    base: tuple[BaseDefinition, ...] = ()


class NicDefinition(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A network card.

    `user` is QEMU's own NAT, the only network without root; `isolated` is the same with no way out.
    `bridge` is one of the host's, which `qemu-bridge-helper` has to allow; `bridge` names it. `tap`
    is an interface of the host that somebody has made for this user (`ip tuntap add IFNAME mode tap
    user NAME`); `tap` names it. `forward` is for the first two: TCP ports of this machine that lead
    to the guest's, such as `2222:22`, or `0.0.0.0:8080:80` for callers from anywhere. `found`
    are the guest's ports whose other end vmtui chose, and may choose anew when it is taken.
    """

    mac: str
    network: Literal["user", "isolated", "bridge", "tap"] = "user"
    tap: str = ""
    bridge: str = ""
    model: Literal["virtio", "e1000", "e1000e", "rtl8139", "vmxnet3"] = "virtio"
    forward: tuple[str, ...] = ()
    found: tuple[Port, ...] = ()

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
