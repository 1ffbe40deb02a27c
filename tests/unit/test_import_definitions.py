"""Definitions of other programs: what is read of them, and what of them is refused."""

from pathlib import Path

import pytest

from vmtui.errors import InputError
from vmtui.images.imports import libvirt_xml, lima, ovf, quickemu, vmx
from vmtui.images.imports.foreign import Foreign, ForeignDisk, ForeignNic
from vmtui.images.imports.markup import parse
from vmtui.images.imports.sources import chosen
from vmtui.model import Firmware
from vmtui.parts import DiskBus, NicSpec
from vmtui.spec import Boot, BootKind
from vmtui.units import GIB, MIB

FOLDER = Path(__file__).with_name("foreign")


def text(name: str) -> str:
    return (FOLDER / name).read_text()


def test_virtualbox() -> None:
    assert ovf.read(text("virtualbox.ovf"), "a.ovf") == Foreign(
        origin="VirtualBox",
        name="Windows 11",
        vcpus=4,
        memory_bytes=8 * GIB,
        firmware=Firmware.SECURE_BOOT,
        tpm=True,
        system="Windows11_64",
        disks=(
            ForeignDisk("Windows 11-disk001.vmdk", DiskBus.SATA),
            ForeignDisk("Windows 11-disk002.vmdk", DiskBus.VIRTIO),
        ),
        nics=(ForeignNic("NAT", "e1000", "08:00:27:a1:b2:c3"),),
        lost=("sound card", "CD drive", "shared folder 'work'", "forwarded port 'rdp'"),
    )


def test_vmware() -> None:
    assert ovf.read(text("vmware.ovf"), "a.ovf") == Foreign(
        origin="VMware",
        name="db",
        vcpus=2,
        memory_bytes=4 * GIB,
        firmware=Firmware.UEFI,
        system="debian11_64Guest",
        description="The database",
        disks=(ForeignDisk("db-disk1.vmdk", DiskBus.SCSI),),
        nics=(ForeignNic("VM Network", "vmxnet3"),),
        lost=("an empty disk of 8 GiB", "floppy drive"),
    )


def test_vmx() -> None:
    assert vmx.read(text("vmware.vmx"), "a.vmx") == Foreign(
        origin="VMware",
        name='mail "old"',
        vcpus=2,
        memory_bytes=3 * GIB,
        firmware=Firmware.SECURE_BOOT,
        system="ubuntu-64",
        disks=(ForeignDisk("mail.vmdk", DiskBus.SCSI),),
        nics=(ForeignNic("nat", "vmxnet3", "00:0c:29:aa:bb:cc"),),
        lost=("SATA CD drive with '/isos/ubuntu.iso'", "sound card"),
    )
    with pytest.raises(InputError, match="is encrypted"):
        vmx.read(text("vmware.vmx") + 'encryption.keySafe = "vmware:key/list"', "a.vmx")
    with pytest.raises(InputError, match="no definition of VMware's"):
        vmx.read("hello", "a.vmx")


def test_libvirt() -> None:
    found = libvirt_xml.read(text("libvirt.xml"), "a.xml")
    assert found == Foreign(
        origin="libvirt",
        name="files",
        vcpus=4,
        memory_bytes=4 * GIB,
        firmware=Firmware.SECURE_BOOT,
        tpm=True,
        system="http://microsoft.com/windows/2k22",
        disks=(ForeignDisk("disks/files.qcow2", DiskBus.VIRTIO),),
        nics=(ForeignNic("network default", "e1000e", "52:54:00:12:34:56"),),
        lost=(
            "cdrom drive with '/isos/virtio-win.iso'",
            "device of the host",
            "sound card",
            "what the TPM holds, with the keys of encrypted disks",
        ),
    )
    assert found.drivers == ("virtio-net: Windows brings none, and its card was e1000e",)
    volume = text("libvirt.xml").replace("file='disks/files.qcow2'", "pool='a' volume='b'")
    with pytest.raises(InputError, match="its disk 'vda' is no file"):
        libvirt_xml.read(volume, "a.xml")
    with pytest.raises(InputError, match="for 'lxc', not QEMU"):
        libvirt_xml.read("<domain type='lxc'/>", "a.xml")


def test_quickemu() -> None:
    assert quickemu.read(text("quickemu.conf"), "a.conf") == Foreign(
        origin="quickemu",
        name="ubuntu-24.04",
        vcpus=2,
        memory_bytes=4 * GIB,
        firmware=Firmware.BIOS,
        system="linux",
        disks=(ForeignDisk("ubuntu-24.04/disk.qcow2", DiskBus.VIRTIO),),
        lost=("CD drive with 'ubuntu-24.04/ubuntu.iso'", "forwarded ports '8123:8123 8888:80'"),
    )


@pytest.mark.parametrize(
    "line",
    [
        'ram="$(touch evil)"',
        "ram=`touch evil`",
        'disk_img="$HOME/disk.qcow2"',
        "touch evil",
        "ram=4G; touch evil",
        "ram=4G touch evil",
        "if true",
        'ram="4G',
    ],
)
def test_of_a_script_only_plain_assignments_are_read(line: str) -> None:
    with pytest.raises(InputError, match=r"line 2 of a\.conf is not read"):
        quickemu.read(f"disk_img=disk.qcow2\n{line}\n", "a.conf")


def test_lima() -> None:
    found = lima.read(text("lima.yaml"), "a.yaml", arch="x86_64", has_disk=False)
    assert found == Foreign(
        origin="Lima",
        vcpus=4,
        memory_bytes=4 * GIB,
        firmware=Firmware.UEFI,
        system="linux",
        user="me",
        disks=(ForeignDisk("images/debian-12.qcow2", DiskBus.VIRTIO),),
        lost=(
            "shared folder '~'",
            "shared folder '/tmp/lima'",
            "forwarded port",
            "script for the first start",
        ),
    )
    instance = lima.read(text("lima.yaml"), "lima.yaml", arch="riscv64", has_disk=True)
    assert instance.disks == (ForeignDisk("diffdisk", DiskBus.VIRTIO),)
    with pytest.raises(InputError, match="its image is at https://"):
        lima.read(text("lima.yaml"), "a.yaml", arch="aarch64", has_disk=False)
    with pytest.raises(InputError, match="no image for riscv64"):
        lima.read(text("lima.yaml"), "a.yaml", arch="riscv64", has_disk=False)


@pytest.mark.parametrize(
    "content",
    ["!!python/object/apply:os.system ['touch evil']", "a: [", "- a", "[" * 1500, "a: 1", "\x00"],
    ids=("object", "open", "list", "deep", "other", "binary"),
)
def test_of_yaml_only_plain_data_is_read(content: str) -> None:
    with pytest.raises(InputError):
        lima.read(content, "a.yaml", arch="x86_64", has_disk=False)


BILLION_LAUGHS = '<!DOCTYPE d [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><domain>&b;</domain>'
OUTSIDE = '<!DOCTYPE d [<!ENTITY a SYSTEM "file:///etc/shadow">]><domain>&a;</domain>'


@pytest.mark.parametrize(
    "content", [BILLION_LAUGHS, OUTSIDE, "<!DOCTYPE d><domain/>", "<a>&b;</a>", "", "<a>", "<"]
)
def test_xml_with_more_than_data_is_refused(content: str) -> None:
    with pytest.raises(InputError, match=r"a\.xml can't be read"):
        parse(content, "a.xml")


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("</VirtualSystem>", "</VirtualSystem><VirtualSystem/>", "holds 2 VMs"),
        ('ovf:fileRef="file1"', 'ovf:fileRef="nothing"', "its disk 'vmdisk1' has no file"),
        ('ovf:fileRef="file1"', 'ovf:fileRef="file1" ovf:parentRef="x"', "needs another"),
        ("ovf:/disk/vmdisk1", "ovf:/disk/nothing", "has no file"),
        ("Envelope", "Envelop", "is no OVF"),
    ],
)
def test_an_envelope_that_can_not_be_imported(old: str, new: str, why: str) -> None:
    with pytest.raises(InputError, match=why):
        ovf.read(text("vmware.ovf").replace(old, new), "a.ovf")


def test_a_manifest() -> None:
    said = ovf.manifest("SHA256(a.ovf)= 00ff\r\nSHA1 (b c.vmdk) = AA\n\n", "a.mf")
    assert said == {"a.ovf": ("sha256", "00ff"), "b c.vmdk": ("sha1", "aa")}
    with pytest.raises(InputError, match="no checksum"):
        ovf.manifest("MD5(a)= 00", "a.mf")


def test_the_vm_to_make_of_it() -> None:
    boot = Boot(BootKind.DISK, image="windows")
    spec = ovf.read(text("virtualbox.ovf"), "a.ovf").spec("win", boot)
    assert (spec.vcpus, spec.memory_bytes, spec.firmware) == (4, 8 * GIB, Firmware.SECURE_BOOT)
    assert (spec.tpm, spec.hyperv) == (True, True)
    assert spec.nics == (NicSpec(model="e1000", mac="08:00:27:a1:b2:c3"),)
    bare = Foreign(origin="disk").spec("web", boot)
    assert (bare.vcpus, bare.memory_bytes, bare.nics) == (1, 2048 * MIB, None)


def test_drivers_that_a_guest_will_miss() -> None:
    windows = ovf.read(text("virtualbox.ovf"), "a.ovf")
    assert [driver.partition(":")[0] for driver in windows.drivers] == ["virtio-blk", "virtio-net"]
    linux = ovf.read(text("vmware.ovf"), "a.ovf")
    assert [driver.partition(":")[0] for driver in linux.drivers] == ["virtio-blk"]
    assert quickemu.read(text("quickemu.conf"), "a.conf").drivers == ()


def test_what_would_end_up_on_a_command_line_is_plain() -> None:
    nics = (ForeignNic(mac="52:54:00:00:00:01,netdev=x"), ForeignNic(mac="52:54:00:00:00:02"))
    foreign = Foreign("disk", user="-oProxyCommand=evil", description="a\x1b[2Jb", nics=nics)
    spec = foreign.spec("web", Boot(BootKind.DISK, image="web"))
    assert spec.nics == (NicSpec(), NicSpec(mac="52:54:00:00:00:02"))
    assert (spec.ssh_user, spec.description) == ("", "ab")


def test_the_one_to_import_of_an_archive() -> None:
    assert chosen(["a/b.vmx", "a/b.vmdk", "a/c.vmdk"], "z") == "a/b.vmx"
    assert chosen(["b.vmx", "__MACOSX/._b.vmx", "._b.vmx"], "z") == "b.vmx"
    assert chosen(["b.vmdk", "b-s001.vmdk", "b-flat.vmdk", "notes.txt"], "z") == "b.vmdk"
    for names, why in (
        (["a.ovf", "b.ovf"], "holds 2 VMs"),
        (["a.qcow2", "b.vmdk"], "holds 2 disks"),
        (["b-s001.vmdk", "b-s002.vmdk"], "holds 2 disks"),
        (["notes.txt"], "neither a VM nor a disk"),
    ):
        with pytest.raises(InputError, match=why):
            chosen(names, "z")
