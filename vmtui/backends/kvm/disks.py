"""Disk images of direct VMs, made by qemu-img with the format always said."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vmtui.backends.base import Progress, ProgressSink
from vmtui.backends.kvm.hardware import BaseDefinition, DiskDefinition
from vmtui.command import run
from vmtui.errors import BusyError, InputError, OperationError
from vmtui.images.qemu_img import (
    CONVERT_MEMORY_BYTES,
    CONVERT_TIMEOUT_S,
    LOOK_MEMORY_BYTES,
    limited,
)
from vmtui.model import DiskKind
from vmtui.parts import DiskBus
from vmtui.spec import BootKind, VMSpec

QUICK_TIMEOUT_S = 60.0
SEED = "seed.iso"

_PERCENT = re.compile(r"\((\d+(?:\.\d+)?)/100%\)")


def leans(spec: VMSpec) -> bool:
    """Whether its disk is to be an overlay on an image of the library."""
    return spec.boot.kind is BootKind.DISK and bool(spec.boot.image) and not spec.full_copy


def designed(spec: VMSpec, base: BaseDefinition | None) -> tuple[DiskDefinition, ...]:
    """The drives of a new VM, of which the first leans on `base`. Nothing is made."""
    boot = spec.boot
    drives = []
    if boot.kind is BootKind.DISK or spec.disk_bytes is not None:
        drives.append(DiskDefinition("disk.qcow2", "qcow2", base=(base,) if base else ()))
    for number, disk in enumerate(spec.disks, 1):
        drives.append(
            DiskDefinition(
                f"disk{number}.qcow2",
                "qcow2",
                bus=disk.bus,
                cache=disk.cache,  # type: ignore[arg-type]  # checked with all the rest
                discard=disk.discard,
            )
        )
    if boot.kind is BootKind.ISO:
        # A medium stays where it is: it is read-only and not the VM's own.
        drives.append(medium(str(boot.path), boot.image))
    drives += [medium(str(path.absolute())) for path in spec.media]
    if spec.cloud_init is not None:
        drives.append(seed_drive())
    return tuple(drives)


def seed_drive() -> DiskDefinition:
    """The medium that cloud-init reads. Kernels for clouds have no drivers for other trays."""
    return DiskDefinition(SEED, "raw", DiskKind.CDROM, read_only=True, bus=DiskBus.SCSI)


def medium(file: str, image: str = "") -> DiskDefinition:
    """Something read-only in a tray; `image` is its name in the library."""
    return DiskDefinition(file, "raw", DiskKind.CDROM, read_only=True, image=image)


def base_of(path: Path, file_format: str, *, image: str = "", vm: str = "") -> BaseDefinition:
    """`path` as something to lean on, with what it is like now. Raises InputError."""
    try:
        status = path.stat()
    except OSError as error:
        raise InputError(f"the image {path} can't be read", why=error.strerror or "") from error
    return BaseDefinition(
        str(path), file_format, status.st_size, status.st_mtime_ns, image=image, vm=vm
    )


async def make(
    spec: VMSpec, drives: Sequence[DiskDefinition], folder: Path, progress: ProgressSink
) -> None:
    """Make the files of `drives` in `folder`. Raises OperationError, such as a full disk."""
    own = [drive for drive in drives if drive.kind is DiskKind.DISK]
    further = len(own) - len(spec.disks)
    if further:
        await _make_first(spec, own[0], folder, progress)
    for drive, disk in zip(own[further:], spec.disks, strict=True):
        progress(Progress("making an empty disk", stage="disk"))
        await blank(folder / drive.file, disk.size_bytes)


async def _make_first(
    spec: VMSpec, drive: DiskDefinition, folder: Path, progress: ProgressSink
) -> None:
    boot, target = spec.boot, folder / drive.file
    size_bytes = max(spec.disk_bytes or 0, boot.virtual_size_bytes or 0)
    progress(Progress("making the disk", stage="disk"))
    if drive.base:
        await lean(target, drive.base[0], size_bytes)
    elif boot.kind is BootKind.DISK:
        assert boot.path is not None
        assert boot.format is not None
        await copy(boot.path, boot.format, (), target, progress)
        if size_bytes > (boot.virtual_size_bytes or 0):
            await grow(target, "qcow2", size_bytes)
    else:
        await blank(target, size_bytes)


async def blank(target: Path, size_bytes: int) -> None:
    """Make an empty disk."""
    await _qemu_img("create", "-q", "-f", "qcow2", str(target), str(size_bytes))


async def lean(target: Path, base: BaseDefinition, size_bytes: int) -> None:
    """Make an overlay on `base`, which is not even opened (`-u`): its size is known."""
    backing = ("-b", base.file, "-F", base.format)
    await _qemu_img("create", "-q", "-u", "-f", "qcow2", *backing, str(target), str(size_bytes))


async def grow(path: Path, file_format: str, size_bytes: int) -> None:
    """Make a disk larger that nobody uses. Raises OperationError."""
    await _qemu_img("resize", "-q", "-f", file_format, str(path), str(size_bytes))


async def check_unused(path: Path, file_format: str) -> None:
    """Raise BusyError if another program has a disk open to write, as QEMU's locks tell."""
    node = {"driver": file_format, "file": {"driver": "file", "filename": str(path)}}
    if file_format == "qcow2":
        node["backing"] = None  # type: ignore[assignment]
    try:
        await run(
            *limited(
                "qemu-img", "info", f"json:{json.dumps(node)}", memory_bytes=LOOK_MEMORY_BYTES
            ),
            timeout_s=QUICK_TIMEOUT_S,
        )
    except OperationError as error:
        if "lock" not in error.why:
            raise
        raise BusyError(
            f"{path} is in use", why="another program writes to it", hint="End that first."
        ) from error


async def _qemu_img(*arguments: str) -> None:
    try:
        await run("qemu-img", *arguments, timeout_s=QUICK_TIMEOUT_S)
    except OperationError as error:
        raise _explained("the disk could not be made", error) from error


def _explained(what: str, error: OperationError) -> OperationError:
    hint = "Free some space there." if "No space left" in error.why else ""
    return OperationError(what, why=error.why, hint=hint)


async def copy(
    path: Path,
    file_format: str,
    base: Sequence[BaseDefinition],
    target: Path,
    progress: ProgressSink,
) -> None:
    """Make a whole qcow2 of what a guest would read from `path` and all that it leans on."""
    progress(Progress("copying the disk", 0.0, stage="disk"))

    def on_output(text: str) -> None:
        found = _PERCENT.findall(text)
        if found:
            percent = float(found[-1])
            progress(Progress(f"copying the disk {percent:.0f} %", percent / 100, stage="disk"))

    try:
        command = limited(
            *("qemu-img", "convert", "-p", "-O", "qcow2"),
            f"json:{json.dumps(_chain(path, file_format, base))}",
            str(target),
            memory_bytes=CONVERT_MEMORY_BYTES,
        )
        await run(*command, timeout_s=CONVERT_TIMEOUT_S, on_output=on_output)
    except OperationError as error:
        raise _explained(f"{path} could not be copied", error) from error


def _chain(path: Path, file_format: str, base: Sequence[BaseDefinition]) -> dict[str, Any]:
    node: dict[str, Any] = {
        "driver": file_format,
        "file": {"driver": "file", "filename": str(path)},
    }
    if base:
        node["backing"] = _chain(Path(base[0].file), base[0].format, base[1:])
    elif file_format == "qcow2":
        node["backing"] = None  # one planted since it was looked at is not followed
    return node


def check_bases(name: str, drives: Sequence[DiskDefinition], done: str) -> None:
    """Raise OperationError if what a disk leans on is gone, or no longer what it was."""
    for base in (base for drive in drives for base in drive.base):
        try:
            status = Path(base.file).stat()
        except OSError as error:
            again = f"Get it again: vmtui images pull {base.image}" if base.image else ""
            raise OperationError(
                f"{name} can't be {done}",
                why=f"its disk leans on {base.file}, which can't be read ({error.strerror})",
                hint=again,
            ) from error
        if (status.st_size, status.st_mtime_ns) != (base.size_bytes, base.modified_ns):
            raise OperationError(
                f"{name} can't be {done}",
                why=f"its disk leans on {base.file}, which was changed since",
                hint="Put back the file as it was: on any other, the guest would see a broken "
                "disk. If only its time is another, say so in vm.toml (modified_ns).",
            )


def own_file_bytes(path: Path) -> int | None:
    """The space that a file really takes."""
    try:
        return path.stat().st_blocks * 512
    except OSError:
        return None


def capacity_bytes(path: Path, file_format: str) -> int | None:
    """How large the guest sees a disk: of qcow2 by its header, of others as large as the file."""
    try:
        if file_format != "qcow2":
            return path.stat().st_size
        with path.open("rb") as file:
            head = file.read(32)  # docs/interop/qcow2.txt: bytes 24 to 31
    except OSError:
        return None
    return int.from_bytes(head[24:32], "big") if head.startswith(b"QFI\xfb") else None
