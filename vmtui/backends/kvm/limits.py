"""What a new VM has to fit into on this machine, and what it can't have here."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from vmtui.backends.kvm import autostart, bridges, firmware, virtiofsd
from vmtui.command import missing
from vmtui.errors import VmtuiError
from vmtui.model import Firmware


def free_bytes(folder: Path) -> int | None:
    """The space for disks; None where it can't be told. Blocks."""
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return None


def lacking() -> dict[str, str]:
    """By what VMs can't have here, what it would take. Blocks."""
    return dict(_lacking())


def _lacking() -> Iterator[tuple[str, str]]:
    for program in ("swtpm_setup", "swtpm"):
        if shutil.which(program) is None:
            yield "tpm", missing(program).hint
    for wanted in (Firmware.UEFI, Firmware.SECURE_BOOT):
        try:
            firmware.choose(wanted)
        except VmtuiError as error:
            yield wanted.value, error.hint
    if not virtiofsd.program():
        yield "virtiofs", "Install virtiofsd (Debian 13, Ubuntu, Fedora, Arch), or use 9p."
    if autostart.obstacle():
        yield "autostart", "Nothing runs here that could start it: that is done by systemd."
    try:
        bridges.helper()
    except VmtuiError as error:
        yield "bridge", error.hint
