"""What this machine has for running VMs, what is missing, what that costs and what mends it."""

from __future__ import annotations

import locale
import os
import shutil
from dataclasses import dataclass

from vmtui.backends.kvm import firmware
from vmtui.backends.kvm.accel import prove
from vmtui.backends.kvm.program import QEMU
from vmtui.backends.registry import LIBVIRT_MISSING, libvirt_installed
from vmtui.command import PACKAGES, run
from vmtui.errors import VmtuiError
from vmtui.images import micro, virt_v2v
from vmtui.model import Accel, Firmware

# The command that installs Debian's packages of that name, by package manager.
_PACKAGES_BY_MANAGER = {
    "apt-get": ("sudo apt-get install", {}),
    "dnf": (
        "sudo dnf install",
        {"qemu-system-x86": "qemu-system-x86-core", "qemu-utils": "qemu-img", "ovmf": "edk2-ovmf",
         "busybox-static": "busybox"},
    ),
    "pacman": (
        "sudo pacman -S",
        {"qemu-utils": "qemu-img", "ovmf": "edk2-ovmf", "swtpm-tools": "swtpm",
         "busybox-static": "busybox"},
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at: what was found, what its absence costs, and what mends it.

    Nothing is wrong where only what is `optional` is missing: few ever need it.
    """

    name: str
    ok: bool
    found: str
    costs: str = ""
    fix: str = ""
    optional: bool = False

    @property
    def wrong(self) -> bool:
        """Whether it is missing, and wanted."""
        return not (self.ok or self.optional)


def install_command(*packages: str) -> str:
    """What to type on this distribution to get Debian's `packages`."""
    for manager, (command, names) in _PACKAGES_BY_MANAGER.items():
        if shutil.which(manager):
            return " ".join([command, *(names.get(package, package) for package in packages)])
    return "install " + ", ".join(PACKAGES.get(package, package) for package in packages)


async def checks(*, recheck: bool = False) -> tuple[Check, ...]:
    """Everything, in the order of importance."""
    return (
        await _program(QEMU, "QEMU", "no VM can run directly", "qemu-system-x86", "--version"),
        await _program("qemu-img", "qemu-img", "no disks can be made", "qemu-utils", "--version"),
        await _acceleration(recheck),
        _micro(),
        await _program("swtpm", "swtpm", "no VM can have a TPM", "swtpm", "--version"),
        await _program("swtpm_setup", "swtpm_setup", "no VM can have a TPM", "swtpm-tools"),
        _firmware(Firmware.UEFI, "no VM can start by UEFI"),
        _firmware(Firmware.SECURE_BOOT, "no VM can have Secure Boot"),
        _libvirt(),
        _virt_v2v(),
        _terminal(),
    )


async def _program(program: str, name: str, costs: str, package: str, *arguments: str) -> Check:
    if shutil.which(program) is None:
        return Check(name, False, f"{program} is not installed", costs, install_command(package))
    if not arguments:
        return Check(name, True, "installed")
    try:
        said = (await run(program, *arguments, timeout_s=10)).partition("\n")[0]
    except VmtuiError as error:
        return Check(name, False, f"{error.what}: {error.why}", costs, install_command(package))
    return Check(name, True, said.partition(", Copyright")[0])


async def _acceleration(recheck: bool) -> Check:
    proof = await prove(recheck=recheck)
    if proof.accel is Accel.KVM:
        return Check("KVM", True, proof.reason)
    return Check(
        "KVM",
        False,
        proof.reason,
        "VMs run by emulation (TCG), many times slower",
        proof.mended_by,
    )


def _micro() -> Check:
    image = micro.cached()
    if image is not None:
        return Check("micro image", True, f"kernel {image.kernel_version}")
    return Check(
        "micro image",
        False,
        "not built yet",
        "the first VM from it takes a little longer",
        "make setup",
    )


def _firmware(wanted: Firmware, costs: str) -> Check:
    name = "UEFI" if wanted is Firmware.UEFI else "Secure Boot"
    try:
        build = firmware.choose(wanted)
    except VmtuiError as error:
        return Check(name, False, error.what, costs, install_command("ovmf"))
    return Check(name, True, str(build.code))


def _libvirt() -> Check:
    if not libvirt_installed():
        what, costs, fix = LIBVIRT_MISSING
        return Check("libvirt-python", False, what, costs, fix)
    return Check("libvirt-python", True, "installed")


def _virt_v2v() -> Check:
    if program := virt_v2v.installed():
        return Check("virt-v2v", True, program, optional=True)
    return Check(
        "virt-v2v",
        False,
        "not installed",
        "guests of VMware, Hyper-V and the like can't be given drivers: images import --virt-v2v",
        install_command("virt-v2v", "nbdkit"),
        optional=True,
    )


def _terminal() -> Check:
    encoding = locale.getpreferredencoding(False)
    if encoding.upper().replace("-", "") == "UTF8":
        return Check("terminal", True, f"{os.environ.get('TERM', 'no TERM')}, UTF-8")
    return Check(
        "terminal",
        False,
        f"the locale's encoding is {encoding}",
        "graphs and symbols show as question marks",
        "export LANG=C.UTF-8",
    )
