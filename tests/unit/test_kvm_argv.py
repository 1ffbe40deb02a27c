"""Golden command lines: `VMTUI_UPDATE_GOLDEN=1 pytest` rewrites them, for `git diff` to show."""

import os
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from vmtui.backends.kvm.argv import FirmwareFiles, KernelFiles, Place, argv
from vmtui.backends.kvm.checked import convert
from vmtui.backends.kvm.definition import VERSION, Definition
from vmtui.backends.kvm.hardware import (
    BaseDefinition,
    DiskDefinition,
    HostDeviceDefinition,
    KernelDefinition,
    NicDefinition,
    ShareDefinition,
    TopologyDefinition,
    TuningDefinition,
)
from vmtui.model import Accel, DiskKind, Firmware
from vmtui.parts import DiskBus
from vmtui.spec import BootKind

GOLDEN = Path(__file__).parent.parent / "golden" / "kvm"

PLACE = Place(
    "qemu-system-x86_64", Path("/data/vms/web"), Path("/run/user/1000/vmtui/web"), Accel.TCG
)
MICRO = Definition(
    version=VERSION,
    uuid="6f0e1c9a-0000-4000-8000-000000000001",
    vcpus=1,
    memory="256M",
    boot=BootKind.MICRO,
    nic=(NicDefinition("52:54:00:00:00:01"),),
)
KERNEL = KernelFiles(Path("/cache/vmlinuz"), Path("/cache/initrd.gz"), "console=ttyS0")
FIRMWARE = FirmwareFiles(
    Path("/usr/share/OVMF/CODE.fd"), "raw", Path("/data/vms/web/efivars.fd"), "raw"
)
DISK = DiskDefinition("disk.qcow2", "qcow2")
SEED = DiskDefinition("seed.iso", "raw", DiskKind.CDROM, read_only=True, bus=DiskBus.SCSI)
LIBRARY = BaseDefinition("/images/debian/disk, 1.qcow2", "qcow2", 5, 7, image="debian")
OVERLAY = DiskDefinition("disk.qcow2", "qcow2", base=(LIBRARY,))
CLONE = DiskDefinition(
    "disk.qcow2",
    "qcow2",
    base=(BaseDefinition("/data/vms/db/disk.qcow2", "qcow2", 5, 7, vm="u-2"), LIBRARY),
)
ISO = DiskDefinition("/isos/a, b.iso", "raw", DiskKind.CDROM, read_only=True)

CASES: dict[str, tuple[Definition, Place]] = {
    "micro": (MICRO, replace(PLACE, kernel=KERNEL)),
    "kernel-alone": (
        msgspec.structs.replace(
            MICRO, boot=BootKind.KERNEL, kernel=KernelDefinition("/images/k/kernel"), disk=(DISK,)
        ),
        replace(PLACE, kernel=KernelFiles(Path("/images/k/kernel"), None, "")),
    ),
    "micro-with-disk-on-kvm": (
        msgspec.structs.replace(MICRO, vcpus=4, disk=(DISK,)),
        replace(PLACE, kernel=KERNEL, accel=Accel.KVM),
    ),
    "installer": (
        msgspec.structs.replace(MICRO, boot=BootKind.ISO, memory="2048M", disk=(DISK, ISO)),
        PLACE,
    ),
    "micro-on-a-tap": (
        msgspec.structs.replace(
            MICRO, nic=(NicDefinition("52:54:00:00:00:01", network="tap", tap="tap7"),)
        ),
        replace(PLACE, kernel=KERNEL),
    ),
    "forwarded-ports": (
        msgspec.structs.replace(
            MICRO, nic=(NicDefinition("52:54:00:00:00:01", forward=("2222:22", "8080:80")),)
        ),
        replace(PLACE, kernel=KERNEL),
    ),
    "cloud-image": (
        msgspec.structs.replace(
            MICRO,
            boot=BootKind.DISK,
            disk=(OVERLAY, SEED),
            nic=(NicDefinition("52:54:00:00:00:01", forward=("22022:22",), found=(22,)),),
        ),
        PLACE,
    ),
    "linked-clone": (msgspec.structs.replace(MICRO, boot=BootKind.DISK, disk=(CLONE,)), PLACE),
    "every-bus": (
        msgspec.structs.replace(
            MICRO,
            boot=BootKind.NONE,
            boot_order=("network", "cdrom", "disk"),
            disk=(
                DISK,
                DiskDefinition("disk1.qcow2", "qcow2", bus=DiskBus.SCSI, cache="none"),
                DiskDefinition("disk2.qcow2", "qcow2", bus=DiskBus.SATA, cache="writethrough"),
                DiskDefinition("disk3.qcow2", "qcow2", bus=DiskBus.NVME, discard=False),
                DiskDefinition("disk4.qcow2", "qcow2", bus=DiskBus.IDE, cache="unsafe"),
                ISO,
                SEED,
            ),
        ),
        PLACE,
    ),
    "networks": (
        msgspec.structs.replace(
            MICRO,
            nic=(
                NicDefinition("52:54:00:00:00:01", "isolated", forward=("2222:22",)),
                NicDefinition("52:54:00:00:00:02", "bridge", bridge="br0", model="e1000e"),
                NicDefinition("52:54:00:00:00:03", forward=("0.0.0.0:8080:80",)),
            ),
        ),
        replace(PLACE, kernel=KERNEL),
    ),
    "shares": (
        msgspec.structs.replace(
            MICRO,
            share=(
                ShareDefinition("/home/me/a, b", "work"),
                ShareDefinition("/srv", "srv", read_only=True),
            ),
        ),
        replace(PLACE, kernel=KERNEL, virtiofs=("work",)),
    ),
    "tuned": (
        msgspec.structs.replace(
            MICRO,
            vcpus=2,
            vcpus_max=4,
            memory_max="1G",
            memory_plugged="256M",
            merge=False,
            deflate_on_oom=True,
            free_page_reporting=False,
            tuning=TuningDefinition(iothreads=2),
            boot=BootKind.DISK,
            boot_order=("disk", "cdrom"),
            boot_menu=True,
            boot_once="network",
            tpm="tis",
            rng=False,
            agent=False,
            watchdog="i6300esb",
            watchdog_action="pause",
            sound="ich9",
            vsock=7,
            host_device=(
                HostDeviceDefinition("usb", "1d6b:0002"),
                HostDeviceDefinition("pci", "0000:00:1f.2"),
            ),
            disk=(
                msgspec.structs.replace(DISK, port=1, iops=100),
                DiskDefinition("disk1.qcow2", "qcow2", bus=DiskBus.NVME, port=3),
                DiskDefinition(kind=DiskKind.CDROM, read_only=True),
            ),
            nic=(NicDefinition("52:54:00:00:00:01", port=2, link=False),),
        ),
        PLACE,
    ),
    "huge-pages-and-modules": (
        msgspec.structs.replace(
            MICRO,
            memory_max="1G",
            memory_plugged="256M",
            memory_hotplug="dimm",
            huge_pages="2M",
            balloon=False,
            share=(ShareDefinition("/srv", "srv"),),
        ),
        replace(PLACE, kernel=KERNEL, virtiofs=("srv",)),
    ),
    "windows": (
        msgspec.structs.replace(
            MICRO,
            vcpus=4,
            boot=BootKind.ISO,
            disk=(DISK, ISO),
            topology=TopologyDefinition(1, 2, 2),
            hyperv=True,
        ),
        replace(PLACE, accel=Accel.KVM),
    ),
    "cpu-model-without-graphics": (
        msgspec.structs.replace(
            MICRO, boot=BootKind.DISK, disk=(DISK,), cpu="Nehalem,+aes", graphics=False, nic=()
        ),
        PLACE,
    ),
    "four-consoles": (
        msgspec.structs.replace(MICRO, console=("serial", "virtio", "serial", "virtio")),
        replace(PLACE, kernel=KERNEL),
    ),
    "secure-boot-with-tpm": (
        msgspec.structs.replace(
            MICRO, boot=BootKind.DISK, firmware=Firmware.SECURE_BOOT, tpm=True, disk=(DISK,)
        ),
        replace(PLACE, firmware=FIRMWARE),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_command_line_is_the_golden_one(case: str) -> None:
    definition, place = CASES[case]
    made = "\n".join(argv("web", definition, place)) + "\n"
    golden = GOLDEN / f"{case}.txt"
    if os.environ.get("VMTUI_UPDATE_GOLDEN"):
        golden.write_text(made, "utf-8")
    assert made == golden.read_text("utf-8")


def test_consoles_are_named_by_kind_and_number() -> None:
    definition, _ = CASES["four-consoles"]
    assert definition.consoles == ("serial0", "virtio0", "serial1", "virtio1")
    assert MICRO.consoles == ("serial0",)
    content = msgspec.to_builtins(MICRO) | {"version": VERSION}
    assert convert(content | {"console": []}).consoles == ()
    for bad in (["serial"] * 5, ["virtio"] * 9, ["vga"], "serial"):
        with pytest.raises(ValueError, match=r"console|Expected"):
            convert(content | {"console": bad})


def test_hosts_cpu_is_the_best_one_under_emulation() -> None:
    definition = msgspec.structs.replace(MICRO, cpu="host,-aes", hyperv=True)
    made = argv("web", definition, PLACE)
    assert made[made.index("-cpu") + 1] == "max,-aes"


def test_a_cpu_that_nobody_chose_has_nothing_that_slows_emulation_down() -> None:
    kvm = replace(PLACE, accel=Accel.KVM)
    for cpu, place, told in (
        ("", PLACE, "max,erms=off,fsrm=off"),
        ("max", PLACE, "max"),
        ("", kvm, "host"),
        ("EPYC", kvm, "EPYC"),
    ):
        made = argv("web", msgspec.structs.replace(MICRO, cpu=cpu), place)
        assert made[made.index("-cpu") + 1] == told


def test_a_comma_in_a_folder_does_not_end_an_option() -> None:
    place = replace(PLACE, runtime=Path("/run/a,b"), kernel=KERNEL)
    made = argv("web", MICRO, place)
    assert "socket,id=monitor0,path=/run/a,,b/monitor0.sock,server=on,wait=off" in made


def test_no_image_chooses_files_of_the_host() -> None:
    definition, place = CASES["installer"]
    drives = [
        msgspec.json.decode(value)
        for option, value in zip(
            argv("web", definition, place), argv("web", definition, place)[1:], strict=False
        )
        if option == "-blockdev"
    ]
    assert [drive["driver"] for drive in drives] == ["qcow2", "raw"]
    assert drives[0]["backing"] is None
    assert drives[1]["read-only"] is True
