import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmtui.model import Firmware
from vmtui.parts import (
    CloudInit,
    DiskSpec,
    Forward,
    NetworkKind,
    NicSpec,
    SharedFolder,
    Topology,
)
from vmtui.spec import BLANK, MICRO, Boot, BootKind, Limits, VMSpec, name_problem
from vmtui.spec_problems import problems, warnings
from vmtui.units import GIB, MIB, TIB

GOOD = VMSpec("web")


@pytest.mark.parametrize("name", ["web", "web-01", "a", "9front", "a.b_c", "x" * 63])
def test_good_names(name: str) -> None:
    assert name_problem(name) is None


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "needs a name"),
        ("a/b", "a slash"),
        ("..", "start with a letter"),
        ("../x", "a slash"),
        ("a b", "a space"),
        ("-rf", "dash"),
        ("a;reboot", "';'"),
        ("$(id)", "'\\$'"),
        ("[red]x", "'\\['"),
        ("a\x1b[31m", "an escape"),
        ("a\n", "' '"),
        ("ünicode", "ü"),
        ("x" * 64, "64 characters; 63 is the limit"),
    ],
)
def test_bad_names_say_what_is_wrong(name: str, reason: str) -> None:
    problem = name_problem(name)
    assert problem is not None
    assert re.search(reason, problem), problem
    assert "\x1b" not in problem


def test_a_name_is_taken_in_any_case_of_letters() -> None:
    assert "already exists" in (name_problem("web", ["web"]) or "")
    assert "only in case" in (name_problem("Web", ["web"]) or "")


@given(st.text())
def test_a_name_without_problem_is_one_safe_path_component(name: str) -> None:
    if name_problem(name) is None:
        assert Path(name).name == name
        assert not name.startswith((".", "-"))
        assert name.isascii()


def test_a_good_spec_has_no_problems() -> None:
    assert problems(GOOD) == []


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        (replace(GOOD, name="a b"), "name"),
        (replace(GOOD, vcpus=0), "vcpus"),
        (replace(GOOD, vcpus=-3), "vcpus"),
        (replace(GOOD, vcpus=1000), "vcpus"),
        (replace(GOOD, memory_bytes=MIB), "memory"),
        (replace(GOOD, memory_bytes=9999 * TIB), "memory"),
        (replace(GOOD, boot=BLANK), "disk"),
        (replace(GOOD, disk_bytes=12), "disk"),
        (replace(GOOD, disk_bytes=9999 * TIB), "disk"),
        (
            replace(
                GOOD,
                boot=Boot(BootKind.DISK, Path("/i.qcow2"), "qcow2", 10 * GIB),
                disk_bytes=GIB,
            ),
            "disk",
        ),
    ],
)
def test_each_problem_names_its_field(spec: VMSpec, field: str) -> None:
    assert [problem.field for problem in problems(spec)] == [field]


def test_the_host_sets_limits() -> None:
    limits = Limits(host_cpus=2, host_memory_bytes=GIB)
    found = problems(replace(GOOD, vcpus=9, memory_bytes=2 * GIB), limits)
    assert [problem.field for problem in found] == ["vcpus", "memory"]


def test_all_problems_are_told_at_once() -> None:
    found = problems(VMSpec("", vcpus=0, memory_bytes=0))
    assert [problem.field for problem in found] == ["name", "vcpus", "memory"]


NIC = NicSpec(forwards=(Forward(22, 2222),))


@pytest.mark.parametrize(
    ("spec", "field", "reason"),
    [
        (replace(GOOD, topology=Topology(1, 2, 2)), "topology", "is 4, not 1 vCPUs"),
        (replace(GOOD, topology=Topology(0, 1, 1)), "topology", "1 or more"),
        (replace(GOOD, balloon_floor_bytes=MIB), "balloon", "left to it"),
        (replace(GOOD, balloon_floor_bytes=257 * MIB), "balloon", "above the memory of 256 MiB"),
        (replace(GOOD, disks=(DiskSpec(1),)), "disks", "at least"),
        (replace(GOOD, disks=(DiskSpec(GIB, cache="x"),)), "disks", "no cache mode"),
        (replace(GOOD, disks=(DiskSpec(GIB),) * 21), "disks", "is the limit"),
        (replace(GOOD, nics=(NicSpec(NetworkKind.BRIDGE),)), "network", "name of its bridge"),
        (replace(GOOD, nics=(NicSpec(source="br0"),)), "network", "has no 'br0'"),
        (replace(GOOD, nics=(NicSpec(mac="ff:ff:ff:ff:ff:ff"),)), "network", "MAC of one machine"),
        (replace(GOOD, nics=(NIC, NIC)), "forward", "2222 of this machine is given away twice"),
        (replace(GOOD, nics=(NicSpec(forwards=(Forward(0),)),)), "forward", "no port 0"),
        (
            replace(GOOD, nics=(replace(NIC, network=NetworkKind.NETWORK, source="default"),)),
            "forward",
            "can't be forwarded",
        ),
        (replace(GOOD, shares=(SharedFolder(Path("a"), "a"),)), "share", "whole path"),
        (replace(GOOD, shares=(SharedFolder(Path("/a"), "a b"),)), "share", "folder's tag"),
        (replace(GOOD, shares=(SharedFolder(Path("/a"), "a"),) * 2), "share", "have the tag a"),
        (
            replace(GOOD, shares=(SharedFolder(Path("/a"), "a", protocol="nfs"),)),
            "share",
            "not virtiofs",
        ),
        (replace(GOOD, tags=("a", "a")), "tags", "there twice"),
        (replace(GOOD, tags=("a b",)), "tags", "can't be a tag"),
        (replace(GOOD, boot_order=("disk", "disk")), "boot_order", "there twice"),
        (replace(GOOD, cloud_init=CloudInit(hostname="-a")), "hostname", "not a host's name"),
        (replace(GOOD, cloud_init=CloudInit(user="Root")), "user", "not a user's name"),
        (replace(GOOD, cloud_init=CloudInit(ssh_keys=("x",))), "ssh_keys", "not a public SSH key"),
        (
            replace(GOOD, cloud_init=CloudInit(password_hash="secret")),
            "password_hash",
            "not a hash",
        ),
        (replace(GOOD, cloud_init=CloudInit(user_data="a: b")), "user_data", "starts with"),
        (replace(GOOD, throwaway=True, autostart=True), "autostart", "can't start by itself"),
        (
            replace(GOOD, throwaway=True, shares=(SharedFolder(Path("/a"), "a"),)),
            "share",
            "can't write",
        ),
        (
            replace(
                GOOD,
                boot=Boot(BootKind.DISK, image="old", firmware=Firmware.BIOS),
                firmware=Firmware.SECURE_BOOT,
            ),
            "firmware",
            "old starts from BIOS only. Choose BIOS.",
        ),
        (
            replace(GOOD, boot=MICRO, firmware=Firmware.SECURE_BOOT),
            "firmware",
            "Secure Boot does not check a kernel that QEMU boots itself. Choose UEFI, or",
        ),
        (
            replace(GOOD, boot=Boot(BootKind.DISK, image="new", firmware=Firmware.UEFI)),
            "firmware",
            "UEFI only",
        ),
    ],
)
def test_parts_have_problems_of_their_own(spec: VMSpec, field: str, reason: str) -> None:
    (problem,) = problems(spec)
    assert problem.field == field
    assert reason in str(problem)


def test_what_the_connection_lacks_is_told_with_what_mends_it() -> None:
    limits = Limits(missing={"tpm": "Install swtpm.", "uefi": "Install OVMF.", "virtiofs": ""})
    share = SharedFolder(Path("/a"), "a", protocol="virtiofs")
    spec = replace(GOOD, tpm=True, firmware=Firmware.UEFI, shares=(share,))
    found = problems(spec, limits)
    assert [problem.field for problem in found] == ["firmware", "tpm", "share"]
    assert "Install swtpm." in str(found[1])
    limits = Limits(missing={"bridge": "Install a helper.", "autostart": "", "forward": ""})
    nics = (NicSpec(NetworkKind.BRIDGE, "br0"), NicSpec(forwards=(Forward(22),)))
    spec = replace(GOOD, nics=nics, autostart=True)
    assert [p.field for p in problems(spec, limits)] == ["network", "forward", "autostart"]


def test_what_is_written_at_once_has_to_have_room() -> None:
    limits = Limits(free_bytes=GIB)
    image = Boot(BootKind.DISK, Path("/i.qcow2"), "qcow2", 3 * GIB, "debian")
    overlay = replace(GOOD, boot=image, disk_bytes=100 * GIB)
    assert problems(overlay, limits) == []
    (problem,) = problems(replace(overlay, full_copy=True), limits)
    assert problem.field == "disk"
    assert "1 GiB are free" in problem.text
    assert problems(replace(overlay, boot=replace(image, image="")), limits) != []


def test_less_than_an_image_asks_for_is_a_warning() -> None:
    image = Boot(
        BootKind.DISK,
        image="big",
        disk_minimum_bytes=20 * GIB,
        memory_minimum_bytes=4 * GIB,
    )
    spec = replace(GOOD, boot=image, memory_bytes=GIB, disk_bytes=10 * GIB)
    assert problems(spec) == []
    assert [str(warning) for warning in warnings(spec)] == [
        "big asks for 4 GiB or more.",
        "big asks for 20 GiB or more.",
    ]
    assert warnings(replace(spec, memory_bytes=4 * GIB, disk_bytes=20 * GIB)) == []
