"""A VM as another program defines it, in the words that all of them are brought to."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from vmtui.model import Firmware
from vmtui.parts import DiskBus, NicSpec
from vmtui.spec import Boot, VMSpec, default_memory_bytes
from vmtui.units import plain

# What becomes a part of a command line is taken only if it can't be anything else there.
_MAC = re.compile(r"[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){5}")
_USER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")


@dataclass(frozen=True, slots=True)
class ForeignDisk:
    """A disk, by the file that the definition names; what that is, its content tells."""

    file: str
    bus: DiskBus | None = None
    packing: str = ""  # such as `gzip`, where the definition says so


@dataclass(frozen=True, slots=True)
class ForeignNic:
    """A network card: what it was connected to, and its model as QEMU calls it."""

    network: str = ""
    model: str = ""
    mac: str = ""


@dataclass(frozen=True, slots=True)
class Foreign:
    """What a definition says of a VM. What is empty or None, it does not say.

    Texts are as they were found, and not to be trusted.
    """

    origin: str  # the program, such as `VirtualBox`
    name: str = ""
    vcpus: int | None = None
    memory_bytes: int | None = None
    firmware: Firmware | None = None
    tpm: bool = False
    system: str = ""  # the guest's, such as `Windows11_64`
    description: str = ""
    user: str = ""  # whom to log in as
    disks: tuple[ForeignDisk, ...] = ()
    nics: tuple[ForeignNic, ...] = ()
    lost: tuple[str, ...] = ()  # what can't be carried over, one thing each

    @property
    def is_windows(self) -> bool:
        """Whether the guest is a Windows, as far as its definition tells."""
        return "windows" in self.system.lower() or self.system.lower().startswith("win")

    @property
    def drivers(self) -> tuple[str, ...]:
        """What the guest has to have a driver for here, and probably has not."""
        return tuple(self._drivers())

    def spec(self, name: str, boot: Boot) -> VMSpec:
        """The VM to make of it, started from `boot`; its cards are on the user's own network."""
        default = VMSpec(name, boot)
        nics = tuple(
            NicSpec(model=nic.model or "virtio", mac=nic.mac if _MAC.fullmatch(nic.mac) else "")
            for nic in self.nics
        )
        return replace(
            default,
            vcpus=self.vcpus or default.vcpus,
            memory_bytes=self.memory_bytes or default_memory_bytes(boot),
            firmware=self.firmware or default.firmware,
            tpm=self.tpm,
            description=plain(self.description, keep_lines=True),
            nics=nics or None,
            hyperv=self.is_windows,
            ssh_user=self.user if _USER.fullmatch(self.user) else "",
        )

    def _drivers(self) -> Iterator[str]:
        buses = sorted({disk.bus.name for disk in self.disks if disk.bus} - {"VIRTIO"})
        models = sorted({nic.model for nic in self.nics if nic.model} - {"virtio"})
        if buses and self.is_windows:
            yield f"virtio-blk: Windows brings none, and its disk was on {', '.join(buses)}"
        elif buses:
            yield (
                f"virtio-blk: the disk was on {', '.join(buses)}, "
                "and an initramfs that was made for just that does not find it"
            )
        if models and self.is_windows:
            yield f"virtio-net: Windows brings none, and its card was {', '.join(models)}"


NIC_MODELS = {
    "vmxnet3": "vmxnet3",
    "vmxnet": "vmxnet3",
    "e1000": "e1000",
    "e1000e": "e1000e",
    "82540em": "e1000",
    "82543gc": "e1000",
    "82545em": "e1000",
    "pcnet32": "pcnet",
    "am79c970a": "pcnet",
    "am79c973": "pcnet",
    "vlance": "pcnet",
    "rtl8139": "rtl8139",
    "virtio": "virtio",
    "virtio-net": "virtio",
    "virtio-net-pci": "virtio",
}
"""Network cards by the names that hypervisors and vendors have for them, as QEMU calls them."""


def nic_model(name: str) -> str:
    """The card as QEMU calls it; "" for one that QEMU has not."""
    return NIC_MODELS.get(name.strip().lower(), "")


def firmware(*, efi: bool, secure_boot: bool) -> Firmware:
    """What starts the guest, from the two switches that most programs have."""
    if not efi:
        return Firmware.BIOS
    return Firmware.SECURE_BOOT if secure_boot else Firmware.UEFI


def positive(text: str | None) -> int | None:
    """A number over 0 in `text`; None for all else."""
    try:
        number = int((text or "").strip())
    except ValueError:
        return None
    return number if 0 < number < 2**63 else None
