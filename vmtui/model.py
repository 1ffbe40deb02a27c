"""What a connection shows: VMs, their parts and their host, and events about them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import NewType

VMId = NewType("VMId", str)
"""Unique within one connection and stable over a rename: the VM's UUID."""


class State(StrEnum):
    """What a VM is doing. The value is the word that is shown."""

    RUNNING = "running"
    PAUSED = "paused"
    STOPPING = "stopping"  # asked to shut down, still running
    SUSPENDED = "suspended"  # the guest sleeps (ACPI S3)
    SAVED = "saved"  # off, its memory kept on disk
    OFF = "off"
    CRASHED = "crashed"
    BROKEN = "broken"  # its definition cannot be read

    @property
    def active(self) -> bool:
        """Whether a hypervisor process exists for it."""
        return self in ACTIVE_STATES


ACTIVE_STATES = frozenset({State.RUNNING, State.PAUSED, State.STOPPING, State.SUSPENDED})
INACTIVE_STATES = frozenset({State.OFF, State.SAVED, State.CRASHED})


class Power(StrEnum):
    """A lifecycle operation. The value is the verb of the command line."""

    START = "start"
    SHUTDOWN = "shutdown"  # ask the guest (agent, then ACPI); returns once asked
    STOP = "stop"  # force off at once
    REBOOT = "reboot"  # ask the guest to reboot
    RESET = "reset"  # the reset button
    PAUSE = "pause"
    RESUME = "resume"


class Accel(StrEnum):
    """How the guest's instructions run."""

    AUTO = "auto"  # KVM where it is proven to work, else TCG
    KVM = "kvm"
    TCG = "tcg"


SLOW_EMULATED = ("erms", "fsrm")
"""Features of a CPU that slow an emulated guest down: told that moving memory by single bytes is
fast, it does so, and TCG takes a step for each. A CPU that nobody chose goes without them, and
without both: Linux takes the second to imply the first, and 6.1 does not boot with it alone."""


class Firmware(StrEnum):
    """What starts the guest."""

    BIOS = "bios"
    UEFI = "uefi"
    SECURE_BOOT = "secure-boot"  # UEFI with enforced signatures and enrolled keys


class DiskKind(StrEnum):
    """What the guest sees."""

    DISK = "disk"
    CDROM = "cdrom"


@dataclass(frozen=True, slots=True)
class Disk:
    """One drive of a VM. `source` is a path or a volume, None for an empty tray."""

    target: str
    kind: DiskKind
    source: str | None
    format: str | None = None
    capacity_bytes: int | None = None
    read_only: bool = False
    shared: bool = False
    backing: str | None = None


@dataclass(frozen=True, slots=True)
class Nic:
    """One network card. `network` is how it is connected, such as `user` or `network default`."""

    mac: str | None
    network: str
    model: str | None = None


@dataclass(frozen=True, slots=True)
class SshAccess:
    """How ssh gets into a VM, as far as its own settings say."""

    user: str = ""  # empty: whatever ssh itself would take
    port: int = 22
    host: str = ""  # where a port is forwarded; empty: the VM's address


@dataclass(frozen=True, slots=True)
class Balance:
    """How a VM's memory may be moved by itself. None: the policy's own default."""

    least_bytes: int | None = None
    most_bytes: int | None = None
    weight: int = 100
    reserve_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class VM:
    """One VM as its connection describes it; text in it is as the connection gave it."""

    id: VMId
    name: str
    state: State
    vcpus: int
    memory_bytes: int
    accel: Accel | None = None  # None: not known (off and automatic, or not a QEMU domain)
    firmware: Firmware | None = None
    tpm: bool = False
    started_at_s: float | None = None  # of the hypervisor's process, by `boot_time`
    addresses: tuple[str, ...] = ()
    address_origin: str = ""  # where they are known from: `agent`, `lease`, `ARP` or `forward`
    disks: tuple[Disk, ...] = ()
    nics: tuple[Nic, ...] = ()
    image: str | None = None
    description: str = ""
    persistent: bool = True
    autostart: bool = False
    consoles: tuple[str, ...] = ()  # serial and virtio consoles by name, the usual one first
    displays: int = 0  # screens that a guest can draw on
    ssh: SshAccess = SshAccess()
    tags: tuple[str, ...] = ()
    throwaway: bool = False  # gone with all its files once it is off
    notes: str = ""
    protected: bool = False  # neither deleted nor forced off until that is taken off
    restart: bool = False  # started again when it crashed
    pending: bool = False  # it runs, and its next boot takes something otherwise
    balance: Balance | None = None  # how vmtui may move its memory; None: it may not
    problem: str = ""  # why it is broken, or what is wrong with it

    @property
    def uuid(self) -> str:
        """The id under the name that users know."""
        return self.id

    @property
    def has_console(self) -> bool:
        """Whether there is a text console to attach to."""
        return bool(self.consoles)


@dataclass(frozen=True, slots=True)
class Host:
    """What does not change about a host while a connection is open."""

    name: str
    cpus: int
    memory_bytes: int
    hypervisor: str
    accel: Accel  # what `auto` comes to on this host
    accel_reason: str = ""  # why, such as why KVM was not chosen
    problem: str = ""  # why no VM can run on it
    here: bool = False  # it is the machine that vmtui runs on, which others may be connected to too


class EventKind(Enum):
    """Why a backend says that something changed."""

    CHANGED = "changed"  # the VM's state or definition
    RESET = "reset"  # its guest starts anew, without the VM having been off
    ADDED = "added"
    REMOVED = "removed"
    RESYNC = "resync"  # anything may have changed


@dataclass(frozen=True, slots=True)
class Event:
    """A hint that a VM (or with RESYNC anything) is no longer as it was."""

    kind: EventKind
    vm: VMId | None = None
    detail: str = ""
