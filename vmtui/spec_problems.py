"""Everything that is wrong with the specification of a new VM, and what is only unwise in it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from vmtui.cloud_problems import cloud_problems
from vmtui.model import Firmware
from vmtui.parts import NetworkKind, NicSpec
from vmtui.secure_boot import BOOT_OTHERWISE, UNCHECKED_KERNEL
from vmtui.spec import Boot, BootKind, Limits, Problem, VMSpec, name_problem
from vmtui.units import MIB, TIB, plain, size

MEMORY_MINIMUM_BYTES = 96 * MIB
"""The micro guest gives no prompt with 64."""
MEMORY_MAXIMUM_BYTES = 16 * TIB
DISK_MINIMUM_BYTES = MIB
DISK_MAXIMUM_BYTES = 512 * TIB
VCPUS_MAXIMUM = 255
DISKS_MAXIMUM = 20
PORT_MAXIMUM = 65535
OVERLAY_BYTES = 64 * MIB
"""What a new VM may need at once when its disk leans on an image."""

DIRECT = frozenset({BootKind.MICRO, BootKind.KERNEL})
"""What has a kernel that no firmware loads."""

CACHES = frozenset({"", "none", "writeback", "writethrough", "directsync", "unsafe"})
DEVICES = frozenset({"disk", "cdrom", "network"})

_TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,62}")
_SHARE_TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,30}")
_MAC = re.compile(r"[0-9a-fA-F][02468aceACE](:[0-9a-fA-F]{2}){5}")

WHAT_MISSING = {
    "tpm": "A TPM can't be emulated there.",
    "uefi": "There is no UEFI firmware there.",
    "secure-boot": "There is no firmware with Secure Boot there.",
    "virtiofs": "Folders can't be shared by virtiofs there.",
    "bridge": "Cards can't be put on a bridge there.",
    "forward": "Ports can't be forwarded there.",
    "autostart": "VMs can't start with the host there.",
}
"""By the keys of `Limits.missing`."""


def problems(spec: VMSpec, limits: Limits | None = None) -> list[Problem]:
    """Everything wrong with `spec`, in the order of the form's fields; empty: it can be made."""
    limits = limits or Limits()
    found: list[Problem] = []
    name = name_problem(spec.name, limits.taken_names)
    if name:
        found.append(Problem("name", name))
    found += _cpu_problems(spec, limits)
    found += _memory_problems(spec, limits)
    found += _disk_problems(spec, limits)
    found += _firmware_problems(spec, limits)
    for place, nic in enumerate(spec.nics or ()):
        found += _nic_problems(nic, place)
        if nic.network is NetworkKind.BRIDGE:
            found += _missing("network", "bridge", limits)
    found += _forward_problems(spec, limits)
    found += _share_problems(spec, limits)
    if spec.cloud_init is not None:
        found += cloud_problems(spec.cloud_init)
    found += _other_problems(spec, limits)
    return found


def warnings(spec: VMSpec) -> list[Problem]:
    """What is unwise and can be done all the same: the maker of the image said so, not we."""
    boot, found = spec.boot, []
    if boot.memory_minimum_bytes and spec.memory_bytes < boot.memory_minimum_bytes:
        least = size(boot.memory_minimum_bytes)
        found.append(Problem("memory", f"{_named(boot)} asks for {least} or more."))
    disk_bytes = spec.disk_bytes or boot.virtual_size_bytes
    if boot.disk_minimum_bytes and disk_bytes and disk_bytes < boot.disk_minimum_bytes:
        least = size(boot.disk_minimum_bytes)
        found.append(Problem("disk", f"{_named(boot)} asks for {least} or more."))
    return found


def _named(boot: Boot) -> str:
    return plain(boot.image) or "The image"


def _cpu_problems(spec: VMSpec, limits: Limits) -> Iterable[Problem]:
    if spec.vcpus < 1:
        yield Problem("vcpus", "A VM needs at least 1 vCPU.")
    elif spec.vcpus > VCPUS_MAXIMUM:
        yield Problem("vcpus", f"{VCPUS_MAXIMUM} vCPUs is the limit.")
    elif limits.host_cpus and spec.vcpus > 4 * limits.host_cpus:
        yield Problem(
            "vcpus",
            f"{spec.vcpus} vCPUs on {limits.host_cpus} host CPUs would mostly wait.",
            f"Use {4 * limits.host_cpus} or fewer.",
        )
    layout = spec.topology
    if layout is None:
        return
    product = layout.sockets * layout.cores * layout.threads
    if min(layout.sockets, layout.cores, layout.threads) < 1:
        yield Problem("topology", "Sockets, cores and threads have to be 1 or more.")
    elif product != spec.vcpus:
        yield Problem(
            "topology",
            f"{layout.sockets} × {layout.cores} × {layout.threads} is {product}, "
            f"not {spec.vcpus} vCPUs.",
        )


def _memory_problems(spec: VMSpec, limits: Limits) -> Iterable[Problem]:
    if spec.memory_bytes < MEMORY_MINIMUM_BYTES:
        yield Problem("memory", f"{size(MEMORY_MINIMUM_BYTES)} of memory is the least that boots.")
    elif spec.memory_bytes > MEMORY_MAXIMUM_BYTES:
        yield Problem("memory", f"{size(MEMORY_MAXIMUM_BYTES)} of memory is the limit.")
    elif limits.host_memory_bytes and spec.memory_bytes > limits.host_memory_bytes:
        yield Problem(
            "memory",
            f"The host has {size(limits.host_memory_bytes)} of memory in all.",
            "Ask for less.",
        )
    floor_bytes = spec.balloon_floor_bytes
    if floor_bytes is None:
        return
    if floor_bytes < MEMORY_MINIMUM_BYTES:
        yield Problem(
            "balloon", f"No guest lives with less than {size(MEMORY_MINIMUM_BYTES)} left to it."
        )
    elif floor_bytes > spec.memory_bytes:
        yield Problem("balloon", f"The floor is above the memory of {size(spec.memory_bytes)}.")


def _disk_problems(spec: VMSpec, limits: Limits) -> Iterable[Problem]:
    boot = spec.boot
    if boot.kind is BootKind.NONE and spec.disk_bytes is None:
        yield Problem("disk", "Without an image the VM needs a disk.", "Give a size, such as 20G.")
        return
    if spec.disk_bytes is not None:
        yield from _disk_size_problems("disk", spec.disk_bytes)
    image_bytes = boot.virtual_size_bytes if boot.kind is BootKind.DISK else None
    if spec.disk_bytes is not None and image_bytes and spec.disk_bytes < image_bytes:
        yield Problem(
            "disk",
            f"The image's own disk has {size(image_bytes)}; a smaller one would cut it off.",
            f"Use {size(image_bytes)} or more.",
        )
    if len(spec.disks) > DISKS_MAXIMUM:
        yield Problem("disks", f"{DISKS_MAXIMUM} more disks is the limit.")
    for disk in spec.disks:
        yield from _disk_size_problems("disks", disk.size_bytes)
        if disk.cache not in CACHES:
            known = ", ".join(sorted(CACHES - {""}))
            yield Problem(
                "disks", f"There is no cache mode {plain(disk.cache)!r}.", f"Use {known}."
            )
    needed_bytes = _needed_bytes(spec)
    if limits.free_bytes is not None and needed_bytes > limits.free_bytes:
        yield Problem(
            "disk",
            f"Making it takes {size(needed_bytes)}, and {size(limits.free_bytes)} are free.",
            "Make room, or leave its disk an overlay." if spec.full_copy else "Make room first.",
        )


def _disk_size_problems(field: str, size_bytes: int) -> Iterable[Problem]:
    if size_bytes < DISK_MINIMUM_BYTES:
        yield Problem(field, f"A disk has to have {size(DISK_MINIMUM_BYTES)} at least.")
    elif size_bytes > DISK_MAXIMUM_BYTES:
        yield Problem(field, f"{size(DISK_MAXIMUM_BYTES)} is the limit of a disk.")


def _needed_bytes(spec: VMSpec) -> int:
    """What is written at once: empty disks and overlays are thin, copies are not."""
    copied = spec.boot.kind is BootKind.DISK and (spec.full_copy or not spec.boot.image)
    return (spec.boot.virtual_size_bytes or 0 if copied else 0) + OVERLAY_BYTES


def _firmware_problems(spec: VMSpec, limits: Limits) -> Iterable[Problem]:
    made_for = spec.boot.firmware
    if made_for is Firmware.BIOS and spec.firmware is not Firmware.BIOS:
        yield Problem("firmware", f"{_named(spec.boot)} starts from BIOS only.", "Choose BIOS.")
    elif made_for is not None and made_for is not Firmware.BIOS and spec.firmware is Firmware.BIOS:
        yield Problem("firmware", f"{_named(spec.boot)} starts from UEFI only.", "Choose UEFI.")
    elif spec.boot.kind in DIRECT and spec.firmware is Firmware.SECURE_BOOT:
        yield Problem("firmware", f"{UNCHECKED_KERNEL}.", BOOT_OTHERWISE)
    if spec.firmware is not Firmware.BIOS:
        yield from _missing("firmware", spec.firmware.value, limits)
    if spec.tpm:
        yield from _missing("tpm", "tpm", limits)
    unknown = [device for device in spec.boot_order if device not in DEVICES]
    if unknown:
        yield Problem(
            "boot_order", f"Nothing boots from {plain(unknown[0])!r}.", "Use disk, cdrom, network."
        )
    elif twice := _twice(spec.boot_order):
        yield Problem("boot_order", f"{plain(twice)} is there twice.")


def _missing(field: str, part: str, limits: Limits) -> Iterable[Problem]:
    if part in limits.missing:
        yield Problem(field, WHAT_MISSING[part], limits.missing[part])


def _nic_problems(nic: NicSpec, place: int) -> Iterable[Problem]:
    named = nic.network in (NetworkKind.NETWORK, NetworkKind.BRIDGE)
    if named and not nic.source:
        yield Problem("network", f"Card {place + 1} needs the name of its {nic.network.value}.")
    elif nic.source and not named:
        yield Problem("network", f"A card on {nic.network.value} has no {plain(nic.source)!r}.")
    if nic.forwards and named:
        yield Problem(
            "forward",
            f"Ports can't be forwarded to a card on a {nic.network.value}.",
            "Reach the guest by its own address, or use the network `user`.",
        )
    if nic.mac and not _MAC.fullmatch(nic.mac):
        yield Problem("network", f"{plain(nic.mac)!r} is not a MAC of one machine.")


def _forward_problems(spec: VMSpec, limits: Limits) -> Iterable[Problem]:
    forwards = [forward for nic in spec.nics or () for forward in nic.forwards]
    if forwards:
        yield from _missing("forward", "forward", limits)
    for forward in forwards:
        if not 1 <= forward.guest_port <= PORT_MAXIMUM:
            yield Problem("forward", f"The guest has no port {forward.guest_port}.")
        if not 0 <= forward.host_port <= PORT_MAXIMUM:
            yield Problem("forward", f"There is no port {forward.host_port}.")
    taken = [(f.host_address, f.host_port) for f in forwards if f.host_port]
    twice = next((port for (_, port), n in Counter(taken).items() if n > 1), None)
    if twice is not None:
        yield Problem("forward", f"Port {twice} of this machine is given away twice.")


def _share_problems(spec: VMSpec, limits: Limits) -> Iterable[Problem]:
    for share in spec.shares:
        if not share.path.is_absolute():
            yield Problem("share", f"{plain(str(share.path))} is not a whole path.")
        if not _SHARE_TAG.fullmatch(share.tag):
            yield Problem(
                "share",
                f"{plain(share.tag)!r} can't be a folder's tag.",
                "Use up to 31 letters, digits, '.', '-' and '_'.",
            )
        if share.protocol == "virtiofs":
            yield from _missing("share", "virtiofs", limits)
        elif share.protocol not in ("auto", "9p"):
            yield Problem("share", f"{plain(share.protocol)!r} is not virtiofs, 9p or auto.")
    twice = _twice([share.tag for share in spec.shares])
    if twice:
        yield Problem("share", f"Two folders have the tag {plain(twice)}.")


def _other_problems(spec: VMSpec, limits: Limits) -> Iterable[Problem]:
    bad = next((tag for tag in spec.tags if not _TAG.fullmatch(tag)), None)
    if bad is not None:
        yield Problem(
            "tags", f"{plain(bad)!r} can't be a tag.", "Use letters, digits, '.', ':', '-', '_'."
        )
    elif twice := _twice(spec.tags):
        yield Problem("tags", f"The tag {plain(twice)} is there twice.")
    if spec.autostart:
        yield from _missing("autostart", "autostart", limits)
    if spec.throwaway and spec.autostart:
        yield Problem("autostart", "What is thrown away when it is off can't start by itself.")
    if spec.throwaway and any(not share.read_only for share in spec.shares):
        yield Problem("share", "A sandbox can't write to folders of this machine.")


def _twice(words: Sequence[str]) -> str:
    return next((word for word, n in Counter(words).items() if n > 1), "")
