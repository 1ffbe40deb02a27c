"""Devices of made-up hosts: which could be passed through, and why the others can't."""

from __future__ import annotations

from pathlib import Path

import pytest

from vmtui.backends import host_devices
from vmtui.backends.kvm import confidential
from vmtui.hardware.devices import HostBus, HostDevice

PCI = "sys/bus/pci/devices"
USB = "sys/bus/usb/devices"


class Sysfs:
    """A made-up tree of the kernel's files."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def files(self, folder: str, **texts: str) -> Path:
        made = self.root / folder
        made.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (made / name).write_text(f"{text}\n")
        return made

    def pci(self, address: str, kind: str, *, driver: str = "", group: str = "") -> None:
        identity = {"class": kind, "vendor": "0x8086", "device": "0x1533"}
        folder = self.files(f"{PCI}/{address}", **identity)
        if driver:
            (folder / "driver").symlink_to(f"../../../bus/pci/drivers/{driver}")
        if group:
            (folder / "iommu_group").symlink_to(f"../../../kernel/iommu_groups/{group}")

    def usb(self, name: str, *, driver: str = "", kind: str = "00", node: bool = True) -> None:
        number = str(sum(1 for _ in (self.root / USB).glob("*-*")) + 1)
        where = {"busnum": "1", "devnum": number, "bDeviceClass": kind}
        said = {"manufacturer": "Kingston", "product": "Stick\x1b[31m"}
        folder = self.files(f"{USB}/{name}", idVendor="0951", idProduct="1666", **where, **said)
        interface = folder / f"{name}:1.0"
        interface.mkdir()
        (self.root / USB / interface.name).symlink_to(interface)
        if driver:
            (interface / "driver").symlink_to(f"../../drivers/{driver}")
        if node:
            self.files("dev/bus/usb/001", **{f"{int(number):03}": ""})

    def read(self) -> dict[str, HostDevice]:
        return {device.address: device for device in host_devices.read(self.root)}


@pytest.fixture
def sysfs(tmp_path: Path) -> Sysfs:
    return Sysfs(tmp_path)


def test_a_host_without_any_has_none(sysfs: Sysfs) -> None:
    assert sysfs.read() == {}


def test_this_host_is_understood() -> None:
    for device in host_devices.read():
        assert device.address
        assert device.label


def test_usb_devices_are_those_that_are_no_hubs(sysfs: Sysfs) -> None:
    sysfs.usb("1-1", kind="09")
    sysfs.usb("1-1.2", driver="usb-storage")
    [stick] = sysfs.read().values()
    assert (stick.bus, stick.address) == (HostBus.USB, "0951:1666")
    assert stick.label.startswith("Kingston Stick")
    assert "\x1b" not in stick.label
    assert (stick.used_by, stick.unavailable) == ("usb-storage", "")


def test_a_usb_device_without_its_node_can_not_be_had(sysfs: Sysfs) -> None:
    sysfs.usb("1-1", node=False)
    [stick] = sysfs.read().values()
    assert "there is no" in stick.unavailable


def test_a_usb_device_that_may_not_be_written_says_which_rule_helps(
    sysfs: Sysfs, monkeypatch: pytest.MonkeyPatch
) -> None:
    sysfs.usb("1-1")
    monkeypatch.setattr("os.access", lambda *_: False)
    [stick] = sysfs.read().values()
    assert "udev" in stick.unavailable


def test_without_an_iommu_no_pci_device_can_be_had(sysfs: Sysfs) -> None:
    sysfs.pci("0000:00:1f.6", "0x020000", driver="e1000e")
    [card] = sysfs.read().values()
    assert (card.label, card.group, card.used_by) == ("network 8086:1533", None, "e1000e")
    assert "IOMMU" in card.unavailable


def test_the_host_has_to_let_go_of_all_of_a_group(sysfs: Sysfs) -> None:
    sysfs.pci("0000:00:1c.0", "0x060400", driver="pcieport", group="7")
    sysfs.pci("0000:02:00.0", "0x030000", driver="nouveau", group="7")
    sysfs.pci("0000:02:00.1", "0x040300", driver="vfio-pci", group="7")
    sysfs.pci("0000:03:00.0", "0x010802", group="8")
    found = sysfs.read()
    assert "0000:00:1c.0" not in found  # bridges stay with the host
    display, sound, disk = (found[f"0000:0{n}"] for n in ("2:00.0", "2:00.1", "3:00.0"))
    assert "nouveau of the host drives it" in display.unavailable
    assert "driverctl set-override 0000:02:00.0 vfio-pci" in display.unavailable
    assert sound.unavailable == ("all of its group go together, and the host drives 0000:02:00.0")
    assert (sound.used_by, sound.group) == ("", 7)
    assert disk.unavailable.startswith("no driver holds it")


def test_what_vfio_holds_can_be_had_by_who_may_open_it(sysfs: Sysfs) -> None:
    sysfs.pci("0000:00:1c.0", "0x060400", driver="pcieport", group="7")
    sysfs.pci("0000:02:00.1", "0x040300", driver="vfio-pci", group="7")
    [sound] = sysfs.read().values()
    assert "may not open" in sound.unavailable
    sysfs.files("dev/vfio", **{"7": ""})
    [sound] = sysfs.read().values()
    assert sound.unavailable == ""


def test_devices_are_called_as_the_list_of_the_machine_says(sysfs: Sysfs) -> None:
    sysfs.pci("0000:02:00.0", "0x020000")
    sysfs.files(
        "usr/share/misc",
        **{
            "pci.ids": "# list\n10de  NVIDIA\n\t1533  Not this\n8086  Intel\n\t1533  I210\n"
            "\t\t8086 0001  Adapter\nC 02  Network\n\t15  x"
        },
    )
    [card] = sysfs.read().values()
    assert card.label == "Intel I210"


# -- memory that the host can't read ---------------------------------------------------------


def cpu(vendor: str, flags: str = "fpu") -> str:
    return f"processor\t: 0\nvendor_id\t: {vendor}\nflags\t\t: {flags}\n\nprocessor\t: 1"


def test_what_the_cpu_and_kvm_offer_is_told_with_the_reason_for_absence(sysfs: Sysfs) -> None:
    def said() -> list[str]:
        return [line.partition(": ")[2] for line in confidential.notes(sysfs.root)]

    assert all(line.startswith("absent") for line in said())
    sysfs.files("proc", cpuinfo=cpu("AuthenticAMD"))
    assert "this CPU does not have it" in said()[0]
    sysfs.files("proc", cpuinfo=cpu("AuthenticAMD", "sev sev_es"))
    assert "KVM has it off" in said()[0]
    sysfs.files("sys/module/kvm_amd/parameters", sev="Y")
    assert "/dev/sev" in said()[0]
    sysfs.files("dev", sev="")
    assert said()[0] == "offered by this machine"
    assert "this CPU does not have it" in said()[1]
    assert "CPU of Intel" in said()[2]
    sysfs.files("proc", cpuinfo=cpu("GenuineIntel"))
    assert "CPU of AMD" in said()[0]
    assert "KVM has it off" in said()[2]
    sysfs.files("sys/module/kvm_intel/parameters", tdx="Y")
    assert said()[2] == "offered by this machine"
