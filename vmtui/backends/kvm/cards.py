"""Network cards and shared folders as QEMU is told of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from vmtui.backends.kvm.definition import Definition
from vmtui.backends.kvm.drives import boot_options
from vmtui.backends.kvm.hardware import NicDefinition, ShareDefinition
from vmtui.backends.kvm.options import Options, escaped, options, written

FIRST_DESCRIPTOR = 20
"""QEMU inherits what its card N leads to under this number plus N, where it is made for it."""

_MODELS = {"virtio": "virtio-net-pci"}


def card_id(number: int) -> str:
    """What QEMU calls a card."""
    return f"nic{number}"


def netdev_id(number: int) -> str:
    """What QEMU calls the network that a card is in."""
    return f"net{number}"


def nics(definition: Definition) -> Iterator[str]:
    """All network cards of a VM."""
    for number, nic in enumerate(definition.nic):
        yield from ("-netdev", _netdev(number, nic))
        yield from ("-device", written(card(definition, nic, number)))


def card(definition: Definition, nic: NicDefinition, number: int) -> Options:
    """A card as the guest sees it."""
    found: Options = {
        "driver": _MODELS.get(nic.model, nic.model),
        "netdev": netdev_id(number),
        "mac": nic.mac,
        "id": card_id(number),
    }
    if nic.port:
        found["bus"] = f"port{nic.port}"
    return found | boot_options(definition, "network", number)


def netdev(nic: NicDefinition, number: int) -> Options:
    """The network of a card that comes while QEMU runs.

    A tap on a bridge has to be given before, under the name of this network.
    """
    name = netdev_id(number)
    if nic.network == "bridge":
        return {"type": "tap", "id": name, "fd": name}
    if nic.network == "tap":
        return {"type": "tap", "id": name, "ifname": nic.tap, "script": "no", "downscript": "no"}
    found: Options = {"type": "user", "id": name}
    if nic.network == "isolated":
        found["restrict"] = True
    if nic.forwards:
        found["hostfwd"] = [{"str": text} for text in _forwards(nic)]
    return found


def _netdev(number: int, nic: NicDefinition) -> str:
    name = netdev_id(number)
    if nic.network == "tap":
        # Made by somebody who may; no script of QEMU's own runs.
        names = {"id": name, "ifname": nic.tap, "script": "no", "downscript": "no"}
        return options("tap", **names)
    if nic.network == "bridge":
        # QEMU's sandbox lets it run no helper: it is handed the tap.
        return options("tap", id=name, fd=str(FIRST_DESCRIPTOR + number))
    closed = ["restrict=on"] if nic.network == "isolated" else []
    forwards = [f"hostfwd={text}" for text in _forwards(nic)]
    return ",".join(["user", f"id={name}", *closed, *forwards])


def _forwards(nic: NicDefinition) -> list[str]:
    return [
        f"tcp:{forward.host_address}:{forward.host_port}-:{forward.guest_port}"
        for forward in nic.forwards
    ]


def shares(definition: Definition, sockets: Mapping[str, Path]) -> Iterator[str]:
    """All shared folders; `sockets` has by their tags those that a virtiofsd serves."""
    for index, share in enumerate(definition.share):
        name = f"share{index}"
        if share.tag in sockets:
            path = escaped(sockets[share.tag])
            yield from ("-chardev", options("socket", id=name, path=path))
            yield from ("-device", options("vhost-user-fs-pci", chardev=name, tag=share.tag))
        else:
            yield from ("-fsdev", _fsdev(name, share))
            yield from ("-device", options("virtio-9p-pci", fsdev=name, mount_tag=share.tag))


def _fsdev(name: str, share: ShareDefinition) -> str:
    # Owners and modes that the guest sets go into attributes: no root is needed, and no file of
    # the guest's becomes one of root's here.
    mapped = {"security_model": "mapped-xattr", "multidevs": "remap"}
    read_only = {"readonly": "on"} if share.read_only else {}
    return options("local", id=name, path=escaped(share.path), **mapped, **read_only)
