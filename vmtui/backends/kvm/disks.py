"""Disk images of direct VMs, made by qemu-img with the format always said."""

from __future__ import annotations

import json
import re
from pathlib import Path

from vmtui.backends.base import Progress, ProgressSink
from vmtui.backends.kvm.definition import DiskDefinition
from vmtui.command import run
from vmtui.errors import OperationError
from vmtui.model import DiskKind
from vmtui.spec import Boot, BootKind, VMSpec

COPY_TIMEOUT_S = 6 * 3600.0
QUICK_TIMEOUT_S = 60.0

_PERCENT = re.compile(r"\((\d+(?:\.\d+)?)/100%\)")


async def make(spec: VMSpec, folder: Path, progress: ProgressSink) -> tuple[DiskDefinition, ...]:
    """The drives of a new VM, made in `folder`. Raises OperationError, such as a full disk."""
    disks = []
    target = folder / "disk.qcow2"
    boot = spec.boot
    if boot.kind is BootKind.DISK:
        await _copy(boot, target, progress)
        if spec.disk_bytes and spec.disk_bytes > (boot.virtual_size_bytes or 0):
            await _qemu_img("resize", "-q", "-f", "qcow2", str(target), str(spec.disk_bytes))
    elif spec.disk_bytes is not None:
        await _qemu_img("create", "-q", "-f", "qcow2", str(target), str(spec.disk_bytes))
    if boot.kind is BootKind.DISK or spec.disk_bytes is not None:
        disks.append(DiskDefinition(target.name, "qcow2"))
    if boot.kind is BootKind.ISO:
        # The medium stays where it is: it is read-only and not the VM's own.
        disks.append(DiskDefinition(str(boot.path), "raw", DiskKind.CDROM, read_only=True))
    return tuple(disks)


async def _qemu_img(*arguments: str) -> None:
    try:
        await run("qemu-img", *arguments, timeout_s=QUICK_TIMEOUT_S)
    except OperationError as error:
        raise _explained("the disk could not be made", error) from error


def _explained(what: str, error: OperationError) -> OperationError:
    hint = "Free some space there." if "No space left" in error.why else ""
    return OperationError(what, why=error.why, hint=hint)


async def _copy(boot: Boot, target: Path, progress: ProgressSink) -> None:
    source = {"driver": boot.format, "file": {"driver": "file", "filename": str(boot.path)}}
    if boot.format == "qcow2":
        source["backing"] = None  # a backing file planted since it was looked at is not followed
    progress(Progress("copying the image", 0.0))

    def on_output(text: str) -> None:
        found = _PERCENT.findall(text)
        if found:
            percent = float(found[-1])
            progress(Progress(f"copying the image {percent:.0f} %", percent / 100))

    try:
        await run(
            *("qemu-img", "convert", "-p", "-O", "qcow2"),
            f"json:{json.dumps(source)}",
            str(target),
            timeout_s=COPY_TIMEOUT_S,
            on_output=on_output,
        )
    except OperationError as error:
        hint = "Free some space there." if "No space left" in error.why else ""
        raise OperationError(
            f"{boot.path} could not be copied", why=error.why, hint=hint
        ) from error


def own_file_bytes(path: Path) -> int | None:
    """The space that a file really takes."""
    try:
        return path.stat().st_blocks * 512
    except OSError:
        return None


def qcow2_capacity_bytes(path: Path) -> int | None:
    """The guest's size of a qcow2 disk, from its header (docs/interop/qcow2.txt, bytes 24-31)."""
    try:
        with path.open("rb") as file:
            head = file.read(32)
    except OSError:
        return None
    return int.from_bytes(head[24:32], "big") if head.startswith(b"QFI\xfb") else None
