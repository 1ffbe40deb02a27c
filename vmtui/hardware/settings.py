"""Every setting of a VM, declared once: its key, what it can be, and what it is for.

A key is what `vmtui set NAME KEY=VALUE` takes. A `*` in it stands for one of several parts of that
kind, such as `disk.vda.cache` for `disk.*.cache`. Backends tell which of these a VM has, with its
value now and at its next boot; they know no others.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from vmtui.errors import InputError
from vmtui.hardware.values import Form, Kind, Value
from vmtui.units import MIB


class PartKind(Enum):
    """The branches of the tree of hardware. The value is the word that is shown."""

    VM = "VM"
    CPU = "CPU"
    MEMORY = "memory"
    FIRMWARE = "firmware"
    TPM = "TPM"
    DISK = "disk"
    NIC = "network card"
    SHARE = "shared folder"
    HOST_DEVICE = "host device"  # USB and PCI passed through
    DISPLAY = "display"
    CONSOLE = "console"
    OTHER = "other"  # RNG, watchdog, sound, agent channel, vsock


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: what it is called, and what it can be."""

    key: str
    label: str
    part: PartKind
    form: Form
    help: str

    def parse(self, text: str) -> Value:
        """Its value as `text` says. Raises InputError."""
        try:
            return self.form.parse(text)
        except ValueError as error:
            raise InputError(f"{self.key} can't be that", why=str(error)) from error

    def matches(self, key: str) -> bool:
        """Whether `key` is this setting's, of whichever part."""
        return key == self.key if "*" not in self.key else bool(self.part_of(key))

    def part_of(self, key: str) -> str:
        """What stands for the `*` in a key of this setting; empty where it is not one."""
        head, star, tail = self.key.partition("*")
        if not (star and key.startswith(head) and key.endswith(tail)):
            return ""
        return key[len(head) : len(key) - len(tail)]


_SIZE = Form(Kind.SIZE, least=MIB)
_LIMIT = Form(Kind.SIZE, optional=True)
_COUNT = Form(Kind.COUNT, least=1)
_RATE = Form(Kind.COUNT, least=1, optional=True)
_SWITCH = Form(Kind.SWITCH)
_TEXT = Form(Kind.TEXT)
_LIST = Form(Kind.LIST)


def _choice(*choices: str, optional: bool = False) -> Form:
    return Form(Kind.CHOICE, choices, optional=optional)


def _of(part: PartKind, *rows: tuple[str, str, Form, str]) -> tuple[Setting, ...]:
    return tuple(Setting(key, label, part, form, text) for key, label, form, text in rows)


CACHES = ("none", "writeback", "writethrough", "directsync", "unsafe")
NIC_MODELS = ("virtio", "e1000", "e1000e", "rtl8139", "vmxnet3")

SETTINGS: tuple[Setting, ...] = (
    *_of(
        PartKind.VM,
        ("name", "name", _TEXT, "What it is called; only while it is off."),
        ("description", "description", _TEXT, "One line on what it is for."),
        ("notes", "notes", _TEXT, "Whatever should be remembered of it."),
        ("tags", "tags", _LIST, "Words by which it is found, with commas."),
        ("autostart", "autostart", _SWITCH, "Starts with the host, or with the user's session."),
        ("restart", "restart", _choice("no", "on-crash"), "Start it again when it crashed."),
        ("protected", "protected", _SWITCH, "Refuses delete and force off until it is taken off."),
    ),
    *_of(
        PartKind.CPU,
        ("cpus", "vCPUs", _COUNT, "How many it has; live up to the maximum."),
        ("cpus.max", "maximum", _COUNT, "How many it can be given while it runs."),
        ("cpu.model", "model", _TEXT, "Such as host, max or a name; features after commas."),
        ("cpu.topology", "topology", _TEXT, "SOCKETS x CORES x THREADS, such as 1x2x2."),
        (
            "cpu.profile",
            "profile",
            _choice("low", "normal", "high", "dedicated", optional=True),
            "Weight, quota and pinning in one word.",
        ),
        (
            "cpu.weight",
            "weight",
            Form(Kind.COUNT, least=1, most=10000, optional=True),
            "Its share of a busy host; 100 is the usual.",
        ),
        (
            "cpu.quota",
            "quota",
            Form(Kind.COUNT, least=1, optional=True),
            "Percent of one host CPU that all its vCPUs together may use, such as 150.",
        ),
        (
            "cpu.period",
            "period",
            Form(Kind.COUNT, least=1000, most=1_000_000, optional=True),
            "In which the quota is counted, in µs.",
        ),
        (
            "cpu.pin",
            "pinning",
            _TEXT,
            "The host CPUs of each vCPU, such as 0=0-3 1=4, or all=0-3.",
        ),
        ("cpu.emulator", "emulator threads", _TEXT, "The host CPUs of all else in QEMU."),
        ("cpu.iothreads", "I/O threads", Form(Kind.COUNT, least=0, most=64), "Threads of disks."),
    ),
    *_of(
        PartKind.MEMORY,
        ("memory", "memory", _SIZE, "The ceiling: what it has with the balloon empty."),
        ("memory.target", "target", _SIZE, "What the balloon is to leave the guest, live."),
        ("memory.floor", "floor", _LIMIT, "The balloon is never asked to leave it less."),
        ("memory.max", "maximum", _LIMIT, "What can be plugged in while it runs."),
        (
            "memory.plugged",
            "plugged in",
            Form(Kind.SIZE, optional=True),
            "Asked for beside the memory it was started with.",
        ),
        (
            "memory.pages",
            "huge pages",
            _choice("2M", "1G", optional=True),
            "Backed by those of the host.",
        ),
        ("memory.merge", "page sharing", _SWITCH, "KSM may share equal pages with other VMs."),
        ("balloon", "balloon", _SWITCH, "The device by which memory is taken and given back."),
        ("balloon.reporting", "free-page reporting", _SWITCH, "The guest tells what it has free."),
        (
            "balloon.deflate",
            "deflate on OOM",
            _SWITCH,
            "The guest may take memory back rather than kill.",
        ),
        ("balance", "automatic balance", _SWITCH, "Moves memory between VMs as they need it."),
        ("balance.least", "balance from", _LIMIT, "Never below that."),
        ("balance.most", "balance to", _LIMIT, "Never above that."),
        (
            "balance.weight",
            "balance weight",
            Form(Kind.COUNT, least=1, most=1000, optional=True),
            "How much its need counts; 100 is the usual.",
        ),
        ("balance.reserve", "balance reserve", _LIMIT, "Kept available to the guest."),
    ),
    *_of(
        PartKind.FIRMWARE,
        ("firmware", "firmware", _choice("bios", "uefi", "secure-boot"), "What starts the guest."),
        ("firmware.keys", "enrolled keys", _SWITCH, "Secure Boot without keys enforces nothing."),
        (
            "boot.order",
            "boot order",
            Form(Kind.LIST, ("disk", "cdrom", "network")),
            "Of disk, cdrom and network, the first first.",
        ),
        ("boot.menu", "boot menu", _SWITCH, "The firmware offers to choose."),
        (
            "boot.once",
            "boot once from",
            _choice("disk", "cdrom", "network", optional=True),
            "At the next start only.",
        ),
    ),
    *_of(
        PartKind.TPM,
        ("tpm", "TPM", _choice("off", "crb", "tis"), "A software TPM 2.0; its state is kept."),
        ("tpm.version", "version", _choice("1.2", "2.0"), "1.2 with the TIS model only."),
        ("tpm.encrypted", "encrypted", _SWITCH, "Its state, by a key of its own; chosen once."),
    ),
    *_of(
        PartKind.DISK,
        ("disk.*.source", "source", _TEXT, "A tray's medium; empty ejects it."),
        ("disk.*.size", "size", _SIZE, "It can grow, never shrink."),
        (
            "disk.*.bus",
            "bus",
            _choice("virtio", "scsi", "sata", "nvme", "ide"),
            "How the guest sees it.",
        ),
        ("disk.*.cache", "cache", _choice(*CACHES, optional=True), "As QEMU calls it."),
        ("disk.*.discard", "discard", _SWITCH, "What the guest trims is given back."),
        ("disk.*.iops", "IOPS", _RATE, "Requests a second at most."),
        ("disk.*.iops-burst", "IOPS burst", _RATE, "For a second after a rest."),
        ("disk.*.rate", "rate", _LIMIT, "Bytes a second at most, such as 50M."),
        ("disk.*.rate-burst", "rate burst", _LIMIT, "For a second after a rest."),
    ),
    *_of(
        PartKind.NIC,
        ("nic.*.link", "link", _SWITCH, "Whether its cable is plugged in."),
        ("nic.*.network", "network", _TEXT, "One of user, isolated, network:NAME or bridge:NAME."),
        ("nic.*.model", "model", _choice(*NIC_MODELS), "The card."),
        ("nic.*.mac", "MAC", _TEXT, "Its address."),
        ("nic.*.rate", "rate", _LIMIT, "Bytes a second at most, each way."),
    ),
    *_of(
        PartKind.DISPLAY,
        ("display", "display", _SWITCH, "A screen and its card."),
    ),
    *_of(
        PartKind.OTHER,
        ("rng", "random numbers", _SWITCH, "The host's entropy in the guest."),
        (
            "watchdog",
            "watchdog",
            _choice("off", "i6300esb"),
            "Acts when the guest stops feeding it.",
        ),
        (
            "watchdog.action",
            "watchdog does",
            _choice("reset", "poweroff", "pause", "none"),
            "Once it was not fed.",
        ),
        ("sound", "sound", _choice("off", "ich9", "virtio"), "A sound card."),
        ("agent", "agent channel", _SWITCH, "For the guest agent."),
        ("vsock", "vsock", Form(Kind.COUNT, least=3, optional=True), "Its address (CID)."),
    ),
)
"""In the order in which they are shown."""


def setting(key: str) -> Setting:
    """The setting of a key. Raises InputError, with what comes near."""
    for found in SETTINGS:
        if found.matches(key):
            return found
    near = _near(key)
    what = f"There is: {', '.join(near)}. " if near else ""
    raise InputError(f"there is no setting {key!r}", hint=f"{what}All of them: vmtui settings")


def _near(key: str) -> list[str]:
    """Those of the same family; else those that are written nearly so."""
    from difflib import get_close_matches  # noqa: PLC0415 (rarely needed)

    family = key.partition(".")[0]
    known = [one.key for one in SETTINGS]
    return [k for k in known if k.partition(".")[0] == family] or get_close_matches(key, known)
