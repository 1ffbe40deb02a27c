import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from vmtui.backends.kvm import cloud, ports, virtiofsd
from vmtui.backends.kvm.checked import convert
from vmtui.backends.kvm.creating import designed
from vmtui.backends.kvm.definition import VERSION, Definition
from vmtui.backends.kvm.disks import base_of
from vmtui.backends.kvm.hardware import BaseDefinition, DiskDefinition, NicDefinition
from vmtui.errors import InputError, OperationError, UnsupportedError, VmtuiError
from vmtui.model import DiskKind
from vmtui.parts import (
    CloudInit,
    DiskBus,
    DiskSpec,
    Forward,
    NetworkKind,
    NicSpec,
    SharedFolder,
    Topology,
)
from vmtui.spec import BLANK, Boot, BootKind, VMSpec
from vmtui.units import MIB


@pytest.fixture
def cloud_image(tmp_path: Path) -> Boot:
    path = tmp_path / "disk.qcow2"
    path.write_bytes(b"QFI\xfb")
    return Boot(BootKind.DISK, path, "qcow2", 8 * MIB, image="debian", cloud=True, user="debian")


def forwards(definition: Definition) -> list[tuple[int, ...]]:
    """The guest's ports that are forwarded, of each card."""
    return [tuple(f.guest_port for f in nic.forwards) for nic in definition.nic]


def test_an_image_with_a_user_can_be_reached_by_ssh(cloud_image: Boot) -> None:
    spec = VMSpec("web", cloud_image)
    made = designed(spec, set())
    assert forwards(made) == [(22,)]
    assert made.nic[0].found == (22,)
    assert made.ssh.user == "debian"
    for nics, there in (
        ((), []),
        ((NicSpec(forwards=(Forward(80),)),), [(80, 22)]),
        ((NicSpec(forwards=(Forward(22, 2222),)),), [(22,)]),
        ((NicSpec(NetworkKind.ISOLATED),), [()]),
        ((NicSpec(NetworkKind.BRIDGE, "br0"), NicSpec()), [(), (22,)]),
    ):
        assert forwards(designed(replace(spec, nics=nics), set())) == there
    assert forwards(designed(replace(spec, boot=BLANK, disk_bytes=MIB), set())) == [()]
    assert forwards(designed(replace(spec, throwaway=True), set())) == []


def test_whom_ssh_logs_in_as(cloud_image: Boot) -> None:
    for chosen, ordered, user in (
        ("", None, "debian"),
        ("", CloudInit(user="me"), "me"),
        ("root", CloudInit(user="me"), "root"),
    ):
        spec = VMSpec("web", cloud_image, ssh_user=chosen, cloud_init=ordered)
        assert designed(spec, set()).ssh.user == user


def test_no_two_vms_get_one_port(cloud_image: Boot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "CHOICE", range(22001, 22003))
    monkeypatch.setattr(ports, "TRIES", 2)
    monkeypatch.setattr(ports, "is_free", lambda *_: True)
    taken: set[int] = set()
    for _ in range(2):
        designed(VMSpec("web", cloud_image), taken)
    assert taken == {22001, 22002}
    with pytest.raises(OperationError, match="no port of this machine is free"):
        designed(VMSpec("web", cloud_image), taken)


def test_everything_asked_for_is_in_the_definition(cloud_image: Boot, tmp_path: Path) -> None:
    spec = VMSpec(
        "web",
        cloud_image,
        vcpus=4,
        topology=Topology(1, 2, 2),
        cpu_model="Nehalem",
        balloon_floor_bytes=128 * MIB,
        disks=(DiskSpec(MIB, DiskBus.NVME, "none", discard=False),),
        media=(tmp_path / "drivers.iso",),
        nics=(NicSpec(mac="52:54:00:00:00:09", model="e1000"),),
        shares=(SharedFolder(tmp_path, "work", read_only=True),),
        graphics=False,
        boot_order=("cdrom", "disk"),
        hyperv=True,
        cloud_init=CloudInit(),
        tags=("a",),
    )
    assert cloud_image.path is not None
    made = designed(spec, set(), base_of(cloud_image.path, "qcow2", image="debian"))
    assert convert(msgspec.to_builtins(made)) == made
    assert [(disk.file, disk.kind) for disk in made.disk] == [
        ("disk.qcow2", DiskKind.DISK),
        ("disk1.qcow2", DiskKind.DISK),
        (str(tmp_path / "drivers.iso"), DiskKind.CDROM),
        ("seed.iso", DiskKind.CDROM),
    ]
    assert made.disk[0].base[0].image == "debian"
    assert made.images == {"debian"}
    assert (made.nic[0].mac, made.nic[0].model) == ("52:54:00:00:00:09", "e1000")
    assert (made.displays, made.tags, made.boot_order) == (0, ("a",), ("cdrom", "disk"))


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"topology": Topology(2, 2, 2)}, "8 vCPUs, not 1"),
        ({"cpu_model": "a b"}, "not a model"),
        ({"nics": (NicSpec(NetworkKind.NETWORK, "default"),)}, "no networks by name"),
        ({"nics": (NicSpec(NetworkKind.BRIDGE, "a,b"),)}, "bridge"),
        ({"nics": (NicSpec(model="ne2k"),)}, "ne2k"),
        ({"nics": (NicSpec(forwards=(Forward(22, 2222, "::1"),)),)}, "not a port"),
        ({"nics": (NicSpec(forwards=(Forward(22, 2222, "300.0.0.1"),)),)}, "not a port"),
        ({"disks": (DiskSpec(MIB, cache="quick"),)}, "quick"),
        ({"disks": (DiskSpec(MIB, DiskBus.SATA),) * 7}, "6 ports"),
        ({"disks": (DiskSpec(MIB, DiskBus.IDE),) * 5}, "takes 4"),
        ({"boot_order": ("floppy",)}, "floppy"),
        ({"shares": (SharedFolder(Path("/a"), "x,readonly=off"),)}, "tag"),
        ({"shares": (SharedFolder(Path("/a"), "x"), SharedFolder(Path("/b"), "x"))}, "same tag"),
        ({"shares": (SharedFolder(Path("/a"), "x"),), "throwaway": True}, "read-only"),
    ],
)
def test_what_can_not_be_is_refused(wrong: dict[str, Any], told: str) -> None:
    with pytest.raises((InputError, UnsupportedError)) as caught:
        designed(replace(VMSpec("web", BLANK, disk_bytes=MIB), **wrong), set())
    assert told in str(caught.value)


def test_who_leans_on_whom() -> None:
    image = BaseDefinition("/images/a", "raw", 1, 1, image="a")
    other = BaseDefinition("/vms/b/disk.qcow2", "qcow2", 1, 1, vm="u-b")
    medium = DiskDefinition("/images/c", "raw", DiskKind.CDROM, read_only=True, image="c")
    definition = Definition(
        version=VERSION,
        uuid="u-1",
        vcpus=1,
        memory="256M",
        boot=BootKind.DISK,
        disk=(DiskDefinition("disk.qcow2", "qcow2", base=(other, image)), medium),
    )
    assert definition.images == {"a", "c"}
    assert definition.leans_on("u-b")
    assert not definition.leans_on("u-1")


def test_an_address_for_all_is_reached_here() -> None:
    nic = NicDefinition("52:54:00:00:00:01", forward=("0.0.0.0:2222:22",))
    definition = Definition(
        version=VERSION, uuid="u", vcpus=1, memory="1G", boot=BootKind.DISK, nic=(nic,)
    )
    assert (definition.ssh_access.host, definition.ssh_access.port) == ("127.0.0.1", 2222)


async def test_cloud_inits_orders_are_kept_private(tmp_path: Path) -> None:
    orders = CloudInit(user="me", password_hash="$6$", user_data="#cloud-config\n")
    await cloud.write(tmp_path, orders, name="web", instance_id="u-1", image_user="debian")
    assert cloud.read(tmp_path) == (orders, "debian")
    assert all(path.stat().st_mode & 0o077 == 0 for path in tmp_path.iterdir())
    (tmp_path / cloud.KEPT).write_text("{")
    assert cloud.read(tmp_path) == (None, "")


async def test_without_virtiofsd_folders_are_shared_by_9p(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(virtiofsd, "program", lambda: "")
    spec = VMSpec("web", BLANK, disk_bytes=MIB, shares=(SharedFolder(Path("/a"), "x"),))
    assert await virtiofsd.served(designed(spec, set())) == ()
    only = (SharedFolder(Path("/a"), "x", protocol="virtiofs"),)
    with pytest.raises(VmtuiError, match="can't be shared by virtiofs"):
        await virtiofsd.served(designed(replace(spec, shares=only), set()))


async def test_virtiofsd_is_used_where_it_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(virtiofsd, "program", lambda: "/usr/libexec/virtiofsd")
    monkeypatch.setattr(os, "getuid", lambda: 0)
    folders = (
        SharedFolder(Path("/a"), "plain"),
        SharedFolder(Path("/a"), "read-only", read_only=True),
        SharedFolder(Path("/a, b"), "comma"),
        SharedFolder(Path("/a"), "old", protocol="9p"),
    )
    spec = VMSpec("web", BLANK, disk_bytes=MIB, shares=folders)
    assert await virtiofsd.served(designed(spec, set())) == ("plain",)
