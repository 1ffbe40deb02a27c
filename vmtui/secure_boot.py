"""What Secure Boot can't check, in the words of every refusal."""

from __future__ import annotations

from vmtui.errors import UnsupportedError

UNCHECKED_KERNEL = "Secure Boot does not check a kernel that QEMU boots itself"
BOOT_OTHERWISE = "Choose UEFI, or an image that boots from a disk."


def unchecked_kernel(what: str) -> UnsupportedError:
    """The refusal for `what`, a VM that is there."""
    return UnsupportedError(
        f"{what} can't have Secure Boot", why=UNCHECKED_KERNEL, hint=BOOT_OTHERWISE
    )
