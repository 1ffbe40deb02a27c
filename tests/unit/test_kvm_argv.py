"""Golden command lines: `VMTUI_UPDATE_GOLDEN=1 pytest` rewrites them, for `git diff` to show."""

import os
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from vmtui.backends.kvm.argv import FirmwareFiles, KernelFiles, Place, argv
from vmtui.backends.kvm.definition import (
    VERSION,
    Definition,
    DiskDefinition,
    NicDefinition,
    convert,
)
from vmtui.model import Accel, DiskKind, Firmware
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
ISO = DiskDefinition("/isos/a, b.iso", "raw", DiskKind.CDROM, read_only=True)

CASES: dict[str, tuple[Definition, Place]] = {
    "micro": (MICRO, replace(PLACE, kernel=KERNEL)),
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
