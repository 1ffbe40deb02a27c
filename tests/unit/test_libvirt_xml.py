"""The XML that vmtui gives to libvirt, and what it makes of XML that others wrote."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmtui.backends.libvirt import domain_facts, metadata
from vmtui.backends.libvirt.devices_xml import Card, Drive, Medium, Share
from vmtui.backends.libvirt.domain_xml import Kernel, Parts, domain_element, text_of
from vmtui.model import Accel, DiskKind, Firmware, State, VMId
from vmtui.parts import CloudInit, DiskBus, Forward, Topology
from vmtui.spec import BLANK, MICRO, Boot, BootKind, VMSpec
from vmtui.units import GIB, MIB

GOLDEN = Path(__file__).parent.parent / "golden" / "libvirt"
UUID = VMId("6b1c6f0e-7d1f-4f52-9d8c-5a0f6ce2b2f1")
PARTS = Parts(UUID, Accel.TCG)
DISK = Drive(Medium("/var/lib/libvirt/images/web.qcow2", "qcow2"), boot_order=1)
TRAY = Drive(Medium("/srv/debian.iso", "raw"), cdrom=True, bus=DiskBus.SATA, boot_order=2)
SEED = Drive(Medium("/images/web-seed.iso", "raw"), cdrom=True, bus=DiskBus.SCSI)
BASE = Medium("/images/vmtui-image-debian-13-0123456789ab.qcow2", "qcow2")
ISO = Boot(BootKind.ISO, Path("/srv/debian.iso"), "raw")

CASES = {
    "micro": (
        VMSpec("web", boot=MICRO),
        replace(
            PARTS,
            kernel=Kernel("/images/m.kernel", "/images/m.initrd", "console=ttyS0"),
            console_log="/var/log/libvirt/qemu/web-console.log",
        ),
    ),
    "kernel-alone": (
        VMSpec("web", boot=Boot(BootKind.KERNEL, Path("/i/k/kernel"), "raw", image="k")),
        replace(PARTS, kernel=Kernel("/images/vmtui-image-k-0123456789ab.kernel", None, "")),
    ),
    "disk": (
        VMSpec("web", boot=BLANK, vcpus=4, memory_bytes=4 * GIB, description="a < b & c > d"),
        replace(
            PARTS,
            accel=Accel.KVM,
            drives=(DISK,),
            cards=(Card("network", "default"),),
            screen=True,
        ),
    ),
    "secure-boot-tpm": (
        VMSpec("web", boot=ISO, firmware=Firmware.SECURE_BOOT, tpm=True),
        replace(PARTS, drives=(DISK, TRAY), screen=True),
    ),
    "uefi": (VMSpec("web", boot=BLANK, firmware=Firmware.UEFI), replace(PARTS, drives=(DISK,))),
    "test-driver": (
        VMSpec("web", boot=BLANK, memory_bytes=64 * MIB),
        replace(PARTS, arch="i686", test_driver=True, drives=(DISK,)),
    ),
    "cloud": (
        VMSpec(
            "web",
            boot=Boot(BootKind.DISK, Path("/i/debian-13/disk.qcow2"), "qcow2", GIB, "debian-13"),
            topology=Topology(2, 3, 1),
            vcpus=6,
            cpu_model="EPYC",
            balloon_floor_bytes=GIB,
            ssh_user="me",
            tags=("web", "<b>"),
            throwaway=True,
            cloud_init=CloudInit(
                hostname="w",
                user="me",
                ssh_keys=("ssh-ed25519 AAAA me@desk",),
                password_hash="$6$salt$hash",
                commands=("reboot",),
                user_data="secret",
                network_config="version: 2",
            ),
        ),
        replace(
            PARTS,
            drives=(replace(DISK, backing=(BASE,)), SEED),
            seed=SEED.medium.path,
            cards=(
                Card("user", forwards=(Forward(22, 2222), Forward(80, 8080, "0.0.0.0"))),
                Card("bridge", "br0", "52:54:00:01:02:03", "e1000e"),
                Card("user", connected=False),
            ),
        ),
    ),
    "windows": (
        VMSpec("win", boot=ISO, firmware=Firmware.SECURE_BOOT, tpm=True, hyperv=True),
        replace(PARTS, accel=Accel.KVM, drives=(DISK, TRAY), screen=True),
    ),
    "windows-emulated": (
        VMSpec("win", boot=ISO, hyperv=True, cpu_model="max"),
        replace(PARTS, drives=(DISK, TRAY)),
    ),
    "disks-and-folders": (
        VMSpec("web", boot=BLANK),
        replace(
            PARTS,
            drives=(
                DISK,
                Drive(Medium("/images/web-1.qcow2", "qcow2"), bus=DiskBus.SCSI, cache="none"),
                Drive(Medium("/images/web-2.qcow2", "qcow2"), bus=DiskBus.SATA, discard=False),
                TRAY,
            ),
            cards=(),
            shares=(Share("/srv", "srv", virtiofs=True), Share("/opt", "opt", False, True)),
        ),
    ),
}


def domain_xml(spec: VMSpec, parts: Parts) -> str:
    """What libvirt is given."""
    return text_of(domain_element(spec, parts))


@pytest.mark.parametrize("name", CASES)
def test_it_is_as_agreed(name: str) -> None:
    path = GOLDEN / f"{name}.xml"
    made = domain_xml(*CASES[name]) + "\n"
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(made, "utf-8")
    assert made == path.read_text("utf-8")


@pytest.mark.parametrize("name", CASES)
def test_what_is_written_is_what_is_read(name: str) -> None:
    spec, parts = CASES[name]
    definition = domain_facts.read(UUID, spec.name, domain_xml(spec, parts))
    vm = definition.vm
    assert (vm.vcpus, vm.memory_bytes) == (spec.vcpus, spec.memory_bytes)
    assert vm.description == spec.description
    assert vm.image == spec.boot.label
    assert (vm.tags, vm.throwaway) == (spec.tags, spec.throwaway)
    assert definition.own == metadata.of_spec(spec, parts.seed)
    assert definition.backing == tuple(m.path for d in parts.drives for m in d.backing)
    kernel = parts.kernel
    booted = (kernel.kernel, kernel.initrd) if kernel else ()
    assert definition.boot_files == tuple(filter(None, booted))
    assert len(vm.nics) == len(parts.cards)
    if not parts.test_driver:
        assert vm.accel is parts.accel
        assert vm.firmware is spec.firmware
        assert vm.tpm is spec.tpm
        assert vm.has_console
    assert definition.console_log == parts.console_log
    assert [d.source for d in vm.disks if d.kind is DiskKind.DISK] == (
        [drive.medium.path for drive in parts.drives if not drive.cdrom]
    )


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"])))
def test_no_text_can_change_the_structure(text: str) -> None:
    harmless = domain_xml(VMSpec("web", boot=BLANK, description="x"), PARTS)
    made = domain_xml(VMSpec("web", boot=BLANK, description=text or "x"), PARTS)
    tags = [element.tag for element in ET.fromstring(made).iter()]
    assert tags == [element.tag for element in ET.fromstring(harmless).iter()]


def test_metadata_tells_no_secrets_and_the_forwarded_port_is_that_of_ssh() -> None:
    spec, parts = CASES["cloud"]
    made = domain_xml(spec, parts)
    assert "secret" not in made
    assert "$6$" not in made
    ssh = domain_facts.read(UUID, "web", made).vm.ssh
    assert (ssh.user, ssh.host, ssh.port) == ("me", "127.0.0.1", 2222)


def test_what_is_written_into_a_definition_replaces_what_was_there() -> None:
    domain = ET.fromstring(domain_xml(*CASES["cloud"]))
    own = replace(metadata.read(domain), making="me 1", started=True, ssh_port=2022)
    metadata.write(domain, own)
    assert metadata.read(domain) == own
    assert ET.tostring(domain, encoding="unicode").count("<vmtui:vm") == 1


ODD = {
    "nothing": "<domain/>",
    "not XML": "this is not XML",
    "empty": "",
    "another root": "<capabilities><host/></capabilities>",
    "no numbers": "<domain><memory unit='parsec'>many</memory><vcpu current='x'>y</vcpu></domain>",
    "negative": "<domain><memory>-5</memory><vcpu>-2</vcpu></domain>",
    "bare devices": (
        "<domain type='qemu'><devices><disk/><interface/><tpm/><serial/><console/><channel/>"
        "<disk type='network'><source protocol='rbd' name='pool/x'/></disk>"
        "<disk type='volume'><source pool='p' volume='v'/></disk>"
        "<disk device='lun'><source dev='/dev/sdx'/><target/></disk></devices></domain>"
    ),
    "container": (
        "<domain type='lxc'><os><type>exe</type><init>/sbin/init</init></os><vcpu>2</vcpu>"
        "<devices><filesystem type='mount'><source dir='/srv'/><target dir='/'/></filesystem>"
        "<console type='pty'/></devices></domain>"
    ),
    "unknown elements": (
        "<domain type='zen' xmlns:q='urn:q'><q:commandline><q:arg value='&lt;'/></q:commandline>"
        "<title>&amp;</title><future><thing a='1'/></future></domain>"
    ),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_definitions_are_read_without_harm(name: str) -> None:
    vm = domain_facts.read(UUID, "odd", ODD[name]).vm
    assert (vm.id, vm.name, vm.state) == (UUID, "odd", State.OFF)
    assert vm.vcpus >= 0
    assert vm.memory_bytes >= 0
    assert bool(vm.problem) == (name in ("not XML", "empty"))


PTY = "type='pty'"
ON_SERIAL = "<target type='serial' port='0'/>"
ON_VIRTIO = "<target type='virtio' port='1'/>"


@pytest.mark.parametrize(
    ("devices", "consoles", "logs"),
    [
        ("", (), ()),
        (f"<serial {PTY}/><console {PTY}>{ON_SERIAL}</console>", ("serial0",), ()),
        (f"<serial {PTY}/><console {PTY}/>", ("serial0",), ()),
        (
            f"<serial {PTY}><log file='/l'/></serial><serial type='file'/><serial {PTY}/>"
            f"<console {PTY}>{ON_SERIAL}</console>"
            f"<console {PTY}><log file='/v'/>{ON_VIRTIO}</console>",
            ("serial0", "serial2", "console1"),
            (("serial0", "/l"), ("console1", "/v")),
        ),
        (
            f"<serial {PTY}><alias name='ua-mine'/></serial>"
            f"<console {PTY}>{ON_VIRTIO}<alias name='console0'/></console>",
            ("ua-mine", "console0"),
            (),
        ),
        (f"<console {PTY}><target type='lxc' port='0'/></console>", ("console0",), ()),
        (f"<console {PTY}>{ON_SERIAL}</console>", ("console0",), ()),
        ("<serial type='tcp'/>", (), ()),
    ],
)
def test_consoles_are_listed_once_and_as_libvirt_names_them(
    devices: str, consoles: tuple[str, ...], logs: tuple[tuple[str, str], ...]
) -> None:
    found = domain_facts.read(UUID, "x", f"<domain><devices>{devices}</devices></domain>")
    assert found.vm.consoles == consoles
    assert found.console_logs == logs


@given(st.text() | st.binary().map(lambda data: data.decode("latin-1")))
def test_nothing_makes_reading_fail(text: str) -> None:
    domain_facts.read(UUID, "odd", text)
    domain_facts.read(UUID, "odd", f"<domain>{text}</domain>")


@pytest.mark.parametrize(
    ("inside", "firmware"),
    [
        ("<os><type>hvm</type></os>", Firmware.BIOS),
        ("<os firmware='efi'><type>hvm</type></os>", Firmware.UEFI),
        ("<os><type>hvm</type><loader type='pflash'>/x</loader></os>", Firmware.UEFI),
        (
            "<os><type>hvm</type><loader type='pflash' secure='yes'>/x</loader></os>",
            Firmware.SECURE_BOOT,
        ),
        (
            "<os firmware='efi'><type>hvm</type><firmware>"
            "<feature enabled='yes' name='secure-boot'/>"
            "<feature enabled='no' name='enrolled-keys'/>"
            "</firmware></os>",
            Firmware.UEFI,
        ),
        ("<os><type>exe</type></os>", None),
    ],
)
def test_firmware_is_recognised(inside: str, firmware: Firmware | None) -> None:
    assert domain_facts.read(UUID, "x", f"<domain>{inside}</domain>").vm.firmware is firmware


def test_backing_files_are_found_at_any_depth() -> None:
    xml = (
        "<domain><devices><disk><source file='/a'/><backingStore><source file='/b'/>"
        "<backingStore><source file='/c'/><backingStore/></backingStore></backingStore>"
        "</disk></devices></domain>"
    )
    definition = domain_facts.read(UUID, "x", xml)
    assert definition.vm.disks[0].backing == "/b"
    assert set(definition.backing) == {"/b", "/c"}
