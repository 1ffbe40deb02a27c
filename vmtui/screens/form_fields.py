"""The fields of the form for a new VM: what they are called, and how they are filled."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from vmtui.widgets.facts import FIRMWARE


class Kind(Enum):
    """How a field is filled."""

    TEXT = "text"
    WORDS = "words"  # several, with blanks between them, quoted as in a shell
    TICK = "tick"
    CHOICE = "choice"


class Group(Enum):
    """Fields that fold out together. The value is the heading; empty: always there."""

    IMAGE = "image"
    BASICS = ""
    HARDWARE = "Hardware"
    DISKS = "Disks"
    NETWORK = "Network and folders"
    CLOUD = "cloud-init"
    MORE = "More"

    @property
    def folds(self) -> bool:
        """Whether it is closed until it is wanted."""
        return self not in (Group.IMAGE, Group.BASICS)


@dataclass(frozen=True, slots=True)
class Field:
    """One line of the form. `options` are values and words, of a tick the words alone."""

    label: str
    group: Group
    kind: Kind = Kind.TEXT
    hint: str = ""
    options: tuple[tuple[str, str], ...] = ()
    in_recipe: bool = True  # under the same key


def _tick(label: str, group: Group, words: str, hint: str = "") -> Field:
    return Field(label, group, Kind.TICK, hint, (("yes", words),))


def _several(label: str, group: Group, hint: str) -> Field:
    return Field(label, group, Kind.WORDS, hint)


FIELDS: dict[str, Field] = {
    "preset": Field("Preset", Group.IMAGE, Kind.CHOICE, in_recipe=False),
    "image": Field("Image", Group.IMAGE),
    "name": Field("Name", Group.BASICS),
    "connection": Field("Connection", Group.BASICS, Kind.CHOICE, in_recipe=False),
    "vcpus": Field("vCPUs", Group.BASICS, in_recipe=False),
    "memory": Field("Memory", Group.BASICS),
    "disk": Field("Disk", Group.BASICS),
    "then": Field("Then", Group.BASICS, Kind.CHOICE, in_recipe=False),
    "firmware": Field(
        "Firmware",
        Group.HARDWARE,
        Kind.CHOICE,
        options=tuple((firmware.value, words) for firmware, words in FIRMWARE.items()),
    ),
    "tpm": _tick("TPM", Group.HARDWARE, "TPM 2.0, emulated"),
    "topology": Field("Topology", Group.HARDWARE, hint="sockets x cores x threads, such as 1x4x2"),
    "cpu_model": Field("CPU model", Group.HARDWARE, hint="empty: the best that there is"),
    "balloon": Field("Balloon", Group.HARDWARE, hint="the least that it leaves, such as 512M"),
    "graphics": Field(
        "Screen",
        Group.HARDWARE,
        Kind.CHOICE,
        options=(("", "where the guest can draw"), ("yes", "yes"), ("no", "none, serial only")),
        in_recipe=False,
    ),
    "boot_order": _several("Boot order", Group.HARDWARE, "of disk, cdrom, network"),
    "hyperv": _tick("Windows", Group.HARDWARE, "Hyper-V's offers, no HPET"),
    "accel": Field(
        "Runs by",
        Group.HARDWARE,
        Kind.CHOICE,
        options=(("auto", "KVM if it works"), ("kvm", "KVM"), ("tcg", "emulation (TCG)")),
    ),
    "full_copy": _tick("Copy", Group.DISKS, "of the image in full", "else an overlay: instant"),
    "disks": _several("More disks", Group.DISKS, "such as 10G 50G,bus=scsi,cache=none"),
    "media": _several("More ISOs", Group.DISKS, "in trays, such as drivers"),
    "network": _several("Network", Group.NETWORK, "user isolated network:NAME bridge:NAME none"),
    "forward": _several("Forwards", Group.NETWORK, "of ports here to the guest's: 2222:22 80"),
    "share": _several("Folders", Group.NETWORK, "such as ~/src:src or /data:data,ro"),
    "user": Field("User", Group.CLOUD, hint="empty: the image's own"),
    "ssh_keys": _several("SSH keys", Group.CLOUD, "own (of ~/.ssh and the agent), or files"),
    "hostname": Field("Host name", Group.CLOUD, hint="empty: the VM's name"),
    "password_hash": Field("Password", Group.CLOUD, hint="its hash: openssl passwd -6"),
    "packages": _several("Packages", Group.CLOUD, "to install"),
    "commands": _several("Commands", Group.CLOUD, "to run at the first start, each quoted"),
    "user_data": Field("User-data", Group.CLOUD, hint="a file, in place of all of these"),
    "network_config": Field("Net config", Group.CLOUD, hint="a file"),
    "description": Field("About", Group.MORE),
    "tags": _several("Tags", Group.MORE, "words to find it by"),
    "autostart": _tick("Autostart", Group.MORE, "starts with the host"),
}
"""In their order: the keys of recipes, and of problems."""


def fields_of(group: Group) -> dict[str, Field]:
    """Those of one group."""
    return {name: field for name, field in FIELDS.items() if field.group is group}
