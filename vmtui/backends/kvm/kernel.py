"""The kernel that QEMU starts by itself: the micro guest's, or one that was named."""

from __future__ import annotations

import asyncio
from pathlib import Path

from vmtui.backends.kvm.argv import KernelFiles
from vmtui.backends.kvm.definition import Definition
from vmtui.errors import OperationError
from vmtui.files import is_file
from vmtui.images import micro
from vmtui.model import Accel, Firmware
from vmtui.spec import BootKind


async def files(name: str, definition: Definition, accel: Accel) -> KernelFiles | None:
    """Those of the VM; None if it boots from a disk. Raises OperationError if one is not there."""
    if definition.boot is BootKind.MICRO:
        return await _micro(name, definition, accel)
    named = definition.kernel
    if named is None:
        return None
    paths = Path(named.file), Path(named.initrd) if named.initrd else None
    for path in filter(None, paths):
        if not await asyncio.to_thread(is_file, path):
            raise OperationError(
                f"{name} can't be started",
                why=f"its kernel needs {path}, which is not there",
                hint="Put it back, or name another in vm.toml ([kernel]).",
            )
    return KernelFiles(*paths, named.append)


async def _micro(name: str, definition: Definition, accel: Accel) -> KernelFiles:
    image = micro.cached() or await micro.ensure(lambda _: None)
    by_bios = definition.firmware is Firmware.BIOS
    unpacked = image.unpacked if by_bios and accel is Accel.TCG else None
    append = f"{image.cmdline} vmtui.hostname={name}"
    return KernelFiles(unpacked or image.kernel, image.initrd, append)
