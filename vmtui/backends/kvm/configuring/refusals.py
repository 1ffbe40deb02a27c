"""What this machine can't give a VM, whatever it is asked for: found before anything changes."""

from __future__ import annotations

import fcntl
import os
import shutil
from pathlib import Path

import psutil

from vmtui.backends.kvm import autostart, firmware, placing
from vmtui.backends.kvm.definition import Definition
from vmtui.backends.kvm.program import QEMU
from vmtui.command import missing, run
from vmtui.errors import InputError, MissingError, UnsupportedError
from vmtui.model import Accel, Firmware
from vmtui.secure_boot import unchecked_kernel
from vmtui.spec_problems import DIRECT
from vmtui.units import KIB, parse_size_bytes, size

QEMU_TIMEOUT_S = 10.0
VSOCK = Path("/dev/vhost-vsock")
KVM = Path("/dev/kvm")
HUGE_PAGES = Path("/sys/kernel/mm/hugepages")
# linux/kvm.h
_CHECK_EXTENSION = 0xAE03
_HAS_SMM = 117


def check_host(name: str, before: Definition, after: Definition) -> None:
    """Raise InputError, MissingError or UnsupportedError for what `after` has anew. Blocks."""
    if after.memory_bytes != before.memory_bytes or after.memory_plugged != before.memory_plugged:
        _check_memory(name, after)
    if after.huge_pages and after.huge_pages != before.huge_pages:
        _check_huge_pages(name, after)
    if after.tpm and after.tpm != before.tpm:
        for program in ("swtpm_setup", "swtpm"):
            if shutil.which(program) is None:
                raise missing(program)
    if after.firmware is Firmware.SECURE_BOOT is not before.firmware:
        _check_secure_boot(name, after)
    if after.tuning != before.tuning:
        placing.check(name, after.tuning, after.vcpus_limit)
    if after.autostart and not before.autostart and (why := autostart.obstacle()):
        raise UnsupportedError(f"{name} can't be started by itself", why=why)
    if after.vsock and not before.vsock and not os.access(VSOCK, os.R_OK | os.W_OK):
        raise MissingError(
            f"{name} can't have a vsock",
            why=f"{VSOCK} can't be opened",
            hint="As root: modprobe vhost_vsock, and let your group use the device.",
        )


async def check_qemu(name: str, before: Definition, after: Definition) -> None:
    """Raise UnsupportedError for a device that this QEMU does not have."""
    wanted = {"virtio-sound-pci"} if after.sound == "virtio" != before.sound else set()
    if after.memory_max and not before.memory_max and after.memory_hotplug == "virtio-mem":
        wanted.add("virtio-mem-pci")
    if not wanted:
        return
    told = await run(QEMU, "-device", "help", timeout_s=QEMU_TIMEOUT_S)
    for device in sorted(wanted):
        if f'"{device}"' not in told:
            raise UnsupportedError(
                f"{name} can't be given that",
                why=f"this QEMU has no {device}",
                hint="A newer QEMU has; for memory, DIMMs do: memory_hotplug in vm.toml."
                if device == "virtio-mem-pci"
                else "A newer QEMU has, from 8.2 on.",
            )


def _check_memory(name: str, after: Definition) -> None:
    has_bytes = psutil.virtual_memory().total
    wants_bytes = after.memory_bytes + after.plugged_bytes
    if wants_bytes > has_bytes:
        raise InputError(
            f"{name} can't have {size(wants_bytes, digits=2)}",
            why=f"this machine has {size(has_bytes, digits=2)}",
            hint="Give it less, and leave some to the host.",
        )


def _check_huge_pages(name: str, after: Definition) -> None:
    page_bytes = parse_size_bytes(after.huge_pages)
    folder = HUGE_PAGES / f"hugepages-{page_bytes // KIB}kB"
    try:
        has = int((folder / "nr_hugepages").read_text("ascii"))
    except (OSError, ValueError):
        has = 0
    needs = -(-(after.memory_bytes + after.plugged_bytes) // page_bytes)
    if has < needs:
        raise MissingError(
            f"{name} can't have huge pages of {after.huge_pages}",
            why=f"it needs {needs}, and this machine has set aside {has}",
            hint=f"As root: echo {needs} > {folder / 'nr_hugepages'}",
        )


def _check_secure_boot(name: str, after: Definition) -> None:
    if after.boot in DIRECT:
        raise unchecked_kernel(name)
    firmware.choose(after.firmware, keys=after.firmware_keys)
    if after.accel is Accel.KVM and kvm_has_smm() is False:
        raise UnsupportedError(
            f"{name} can't have Secure Boot under KVM",
            why="this host's KVM has no system management mode, which guards the keys",
            hint='Use accel = "tcg" in vm.toml, or UEFI without Secure Boot.',
        )


def kvm_has_smm() -> bool | None:
    """Whether KVM has system management mode; None: it can't be asked."""
    try:
        kvm = os.open(KVM, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return fcntl.ioctl(kvm, _CHECK_EXTENSION, _HAS_SMM) > 0
    except OSError:
        return None
    finally:
        os.close(kvm)
