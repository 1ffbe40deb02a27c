"""The part of QEMU's command line that leads out of the VM: network cards and shared folders."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from vmtui.backends.kvm.definition import Definition
from vmtui.backends.kvm.drives import boot_index
from vmtui.backends.kvm.hardware import NicDefinition, ShareDefinition
from vmtui.backends.kvm.options import escaped, options

FIRST_DESCRIPTOR = 20
"""QEMU inherits what its card N leads to under this number plus N, where it is made for it."""

_MODELS = {"virtio": "virtio-net-pci"}


def nics(definition: Definition) -> Iterator[str]:
    """All network cards of a VM."""
    for index, nic in enumerate(definition.nic):
        yield from ("-netdev", _netdev(index, nic))
        model = _MODELS.get(nic.model, nic.model)
        boots = boot_index(definition, "network", index)
        yield from ("-device", f"{model},netdev=net{index},mac={nic.mac}{boots}")


def _netdev(index: int, nic: NicDefinition) -> str:
    if nic.network == "tap":
        # Made by somebody who may; no script of QEMU's own runs.
        names = {"id": f"net{index}", "ifname": nic.tap, "script": "no", "downscript": "no"}
        return options("tap", **names)
    if nic.network == "bridge":
        # QEMU's sandbox lets it run no helper: it is handed the tap.
        return options("tap", id=f"net{index}", fd=str(FIRST_DESCRIPTOR + index))
    forwards = [
        f"hostfwd=tcp:{forward.host_address}:{forward.host_port}-:{forward.guest_port}"
        for forward in nic.forwards
    ]
    closed = ["restrict=on"] if nic.network == "isolated" else []
    return ",".join(["user", f"id=net{index}", *closed, *forwards])


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
