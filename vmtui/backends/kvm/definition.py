"""What `vm.toml` says: a VM of the direct backend, hand-editable, with a version."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from vmtui.backends.kvm.hardware import (
    HERE,
    BalanceDefinition,
    DiskDefinition,
    HostDeviceDefinition,
    KernelDefinition,
    NicDefinition,
    Port,
    Positive,
    ShareDefinition,
    TopologyDefinition,
    TuningDefinition,
)
from vmtui.model import Accel, Firmware, SshAccess
from vmtui.spec import BootKind
from vmtui.units import KIB, parse_size_bytes

VERSION = 1

BootDevice = Literal["disk", "cdrom", "network"]


class SshDefinition(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How ssh gets in: as whom, and to which port of the guest."""

    user: str = ""
    port: Port = 22


ConsoleKind = Literal["serial", "virtio"]


class Definition(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True
):
    """One VM. `memory` and `balloon_floor` are sizes such as `256M`.

    `graphics` says whether it has a screen; without it, all but the micro image have one.
    `throwaway` VMs are removed with all their files once they are off, and those made in another
    boot of this machine than `boot_id` even if they never ran. `console` tells of which kind its
    text consoles are, the usual one first: `serial` (`ttyS0` and so on in the guest) or `virtio`
    (`hvc0` and so on).

    The guest can be given `vcpus_max` vCPUs while it runs (0: no more than `vcpus`), and memory up
    to `memory_max`, by `memory_hotplug`: DIMMs are for guests without a driver of virtio-mem.
    `memory_plugged` is what it has of that. `tpm` is its model, true the CRB. With `tpm_key`, the
    file of a key, the TPM's state is encrypted. `boot_once` is of the next start alone. Until
    `protected` is taken off, the VM is neither deleted nor forced off.
    """

    version: int
    uuid: str
    vcpus: Positive
    memory: str
    boot: BootKind
    image: str = ""
    kernel: KernelDefinition | None = None
    firmware: Firmware = Firmware.BIOS
    firmware_keys: bool = True
    tpm: bool | Literal["crb", "tis"] = False
    tpm_version: Literal["2.0", "1.2"] = "2.0"
    tpm_key: str = ""
    accel: Accel = Accel.AUTO
    description: str = ""
    notes: str = ""
    protected: bool = False
    autostart: bool = False
    restart: Literal["no", "on-crash"] = "no"
    disk: tuple[DiskDefinition, ...] = ()
    nic: tuple[NicDefinition, ...] = ()
    ssh: SshDefinition = SshDefinition()
    console: Annotated[tuple[ConsoleKind, ...], msgspec.Meta(max_length=8)] = ("serial",)
    topology: TopologyDefinition | None = None
    cpu: str = ""
    vcpus_max: Annotated[int, msgspec.Meta(ge=0, le=1024)] = 0
    tuning: TuningDefinition = TuningDefinition()
    memory_max: str = ""
    memory_plugged: str = ""
    memory_hotplug: Literal["virtio-mem", "dimm"] = "virtio-mem"
    huge_pages: Literal["", "2M", "1G"] = ""
    merge: bool = True
    balloon: bool = True
    balloon_floor: str = ""
    free_page_reporting: bool = True
    deflate_on_oom: bool = False
    balance: BalanceDefinition = BalanceDefinition()
    share: tuple[ShareDefinition, ...] = ()
    host_device: tuple[HostDeviceDefinition, ...] = ()
    graphics: bool | None = None
    rng: bool = True
    agent: bool = True
    watchdog: Literal["off", "i6300esb"] = "off"
    watchdog_action: Literal["reset", "poweroff", "pause", "none"] = "reset"
    sound: Literal["off", "ich9", "virtio"] = "off"
    vsock: Annotated[int, msgspec.Meta(ge=0, lt=2**32)] = 0
    boot_order: tuple[BootDevice, ...] = ()
    boot_menu: bool = False
    boot_once: Literal["", "disk", "cdrom", "network"] = ""
    hyperv: bool = False
    tags: tuple[str, ...] = ()
    throwaway: bool = False
    boot_id: str = ""

    @property
    def consoles(self) -> tuple[str, ...]:
        """The names of its consoles: their kind and number, such as `serial0`."""
        return tuple(
            f"{kind}{self.console[:place].count(kind)}" for place, kind in enumerate(self.console)
        )

    @property
    def memory_bytes(self) -> int:
        """The guest's memory."""
        return parse_size_bytes(self.memory)

    @property
    def memory_max_bytes(self) -> int:
        """As much as the guest can ever be given while it runs."""
        return parse_size_bytes(self.memory_max) if self.memory_max else self.memory_bytes

    @property
    def plugged_bytes(self) -> int:
        """What is plugged in beside the memory that it is started with."""
        return parse_size_bytes(self.memory_plugged) if self.memory_plugged else 0

    @property
    def vcpus_limit(self) -> int:
        """As many vCPUs as it can ever be given while it runs."""
        return self.vcpus_max or self.vcpus

    @property
    def tpm_model(self) -> str:
        """`crb`, `tis` or "" for none."""
        return "crb" if self.tpm is True else self.tpm or ""

    @property
    def ports_used(self) -> tuple[int, ...]:
        """The PCIe ports that have a card in them."""
        cards = (*(disk.port for disk in self.disk), *(nic.port for nic in self.nic))
        return tuple(port for port in cards if port)

    @property
    def displays(self) -> int:
        """Screens of the guest: the micro image has a serial console instead."""
        wanted = self.boot is not BootKind.MICRO if self.graphics is None else self.graphics
        return int(wanted)

    @property
    def ssh_access(self) -> SshAccess:
        """By the forwarded port, where there is one."""
        for nic in self.nic:
            for forward in nic.forwards:
                if forward.guest_port == self.ssh.port:
                    anywhere = forward.host_address == "0.0.0.0"  # noqa: S104
                    host = HERE if anywhere else forward.host_address
                    return SshAccess(self.ssh.user, forward.host_port, host)
        return SshAccess(self.ssh.user, self.ssh.port)

    @property
    def images(self) -> frozenset[str]:
        """The images of the library that it can't be without."""
        media = {disk.image for disk in self.disk}
        bases = {base.image for disk in self.disk for base in disk.base}
        kernel = {self.kernel.image} if self.kernel else set()
        return frozenset(media | bases | kernel) - {""}

    def leans_on(self, uuid: str) -> bool:
        """Whether a disk of the VM with that UUID is below one of its own."""
        return any(base.vm == uuid for disk in self.disk for base in disk.base)


def memory_text(memory_bytes: int) -> str:
    """`memory_bytes` as `vm.toml` says it, exact to the KiB."""
    kib = memory_bytes // KIB
    return f"{kib // KIB}M" if kib % KIB == 0 else f"{kib}K"
