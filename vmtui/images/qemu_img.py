"""qemu-img on images from outside: formats said, nothing followed, time and memory limited."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from vmtui.command import missing, run
from vmtui.errors import InputError, OperationError
from vmtui.progress import Progress, ProgressSink, no_progress
from vmtui.units import GIB, MIB

LOOK_TIMEOUT_S = 20.0
CHECK_TIMEOUT_S = 3600.0
CONVERT_TIMEOUT_S = 6 * 3600.0

LOOK_MEMORY_BYTES = GIB
"""Of address space. Images take 64 MiB to look at, 512 to convert; headers that lie, more."""
CONVERT_MEMORY_BYTES = 4 * GIB

_LOCKED = 'Failed to get shared "write" lock'
_PERCENT = re.compile(r"\((\d+(?:\.\d+)?)/100%\)")


@dataclass(frozen=True, slots=True)
class Source:
    """A disk image: a file, or a piece of one, such as a disk in an archive that is not packed."""

    path: Path
    format: str
    offset_bytes: int = 0
    size_bytes: int | None = None  # None: the whole file
    ours: bool = False  # then the files that it leans on are followed

    @property
    def address(self) -> str:
        """How qemu-img is told: by options, so that no part of a file's name means anything."""
        file: dict[str, Any] = {"driver": "file", "filename": str(self.path.absolute())}
        if self.size_bytes is not None:
            piece = {"offset": self.offset_bytes, "size": self.size_bytes}
            file = {"driver": "raw", **piece, "file": file}
        options: dict[str, Any] = {"driver": self.format, "file": file}
        if not self.ours:
            options["backing"] = None
        if self.format == "vpc":
            # By default QEMU goes by cylinders, which cut off the end of many a disk.
            options["force_size_calc"] = "current_size"
        return f"json:{json.dumps(options)}"


@dataclass(frozen=True, slots=True)
class Info:
    """What an image says of itself."""

    virtual_size_bytes: int
    leans_on: str = ""  # another file that it needs: a backing file, or one with its data
    encrypted: bool = False
    extents: tuple[str, ...] = ()  # the files that a VMDK is made of
    snapshots: tuple[str, ...] = ()  # inside of it


async def info(source: Source) -> Info:
    """Look at an image, and at no other file. Raises InputError, MissingError."""
    output = await _look(source, "info", "-U", "--output=json", "--", source.address)
    try:
        said = msgspec.json.decode(output, type=dict[str, Any])
    except msgspec.MsgspecError as error:
        raise InputError(f"{source.path} can't be read", why=f"qemu-img's: {error}") from error
    size_bytes = said.get("virtual-size")
    if not isinstance(size_bytes, int) or size_bytes <= 0:
        raise InputError(f"{source.path} is not a usable {source.format}", why="it has no size")
    data = (said.get("format-specific") or {}).get("data") or {}
    leans_on = said.get("full-backing-filename") or said.get("backing-filename")
    extents = data.get("extents") if source.format == "vmdk" else None
    return Info(
        virtual_size_bytes=size_bytes,
        leans_on=str(leans_on or data.get("data-file") or ""),
        encrypted=bool(said.get("encrypted")),
        extents=tuple(str(extent.get("filename", "")) for extent in extents or ()),
        snapshots=tuple(str(snapshot.get("name", "")) for snapshot in said.get("snapshots") or ()),
    )


async def check(source: Source) -> None:
    """Look whether the image's own tables agree. Raises InputError if not.

    Formats without such a check pass.
    """
    if source.format not in ("qcow2", "qed", "vdi", "vhdx", "vmdk"):
        return
    await _look(source, "check", "-q", "-U", "--", source.address, timeout_s=CHECK_TIMEOUT_S)


async def convert(
    source: Source,
    target: Path,
    *,
    target_format: str = "qcow2",
    options: Sequence[str] = (),
    text: str = "converting the disk",
    progress: ProgressSink = no_progress,
) -> None:
    """Write what the guest would read of `source` to `target`, sparse, as `target_format`.

    `target` is absolute, so that nothing in it is taken for a protocol.
    `text` is what is told of it. Raises InputError, MissingError, OperationError; what is at
    `target` then is the caller's to remove.
    """
    progress(Progress(text, 0.0))

    def on_output(piece: str) -> None:
        found = _PERCENT.findall(piece)
        if found:
            percent = float(found[-1])
            progress(Progress(f"{text} {percent:.0f} %", percent / 100))

    said = [word for option in options for word in ("-o", option)]
    argv = limited(
        *("qemu-img", "convert", "-p", "-O", target_format, *said, "--"),
        *(source.address, str(target)),
        memory_bytes=CONVERT_MEMORY_BYTES,
    )
    try:
        await run(*argv, timeout_s=CONVERT_TIMEOUT_S, on_output=on_output)
    except OperationError as error:
        raise _not_converted(error, source, target) from error


def _not_converted(error: OperationError, source: Source, target: Path) -> OperationError:
    why = _reason(error, source)
    if _LOCKED in why:  # what is written meanwhile would be there in part
        return OperationError(
            f"{source.path} is in use",
            why="a running VM, or another program, writes to it",
            hint="Shut that down first.",
        )
    if "No space left" not in why and shutil.disk_usage(target.parent).free < MIB:
        why = f"No space left on device ({why})"  # compressed writes say something else
    hint = "Free some space there." if "No space left" in why else ""
    return OperationError(f"{source.path} could not be converted", why=why, hint=hint)


def limited(*argv: str, memory_bytes: int, end_by: str = "KILL") -> tuple[str, ...]:
    """`argv` for a process with `memory_bytes` of address space, no core, and no life of its own.

    By util-linux's programs: what Python offers sets such things after the start, or runs code
    between fork and exec beside threads. When vmtui is killed, so is the process (by the signal
    `end_by`): it would go on to fill the disk with what is deleted already.
    """
    if shutil.which(argv[0]) is None:
        raise missing(argv[0])
    limits = ("prlimit", f"--as={memory_bytes}", "--core=0", "--")
    return (*limits, "setpriv", "--pdeathsig", end_by, "--", *argv)


async def _look(source: Source, *arguments: str, timeout_s: float = LOOK_TIMEOUT_S) -> str:
    argv = limited("qemu-img", *arguments, memory_bytes=LOOK_MEMORY_BYTES)
    try:
        return await run(*argv, timeout_s=timeout_s)
    except OperationError as error:
        why = _reason(error, source)
        raise InputError(f"{source.path} is not a usable {source.format} image", why=why) from error


def _reason(error: OperationError, source: Source) -> str:
    """What qemu-img said, without the options that it repeats."""
    why = error.why.replace(source.address, source.path.name)
    return re.sub(r"(?m)^qemu-img: (?:Could not open '[^\n]*?': )?", "", why)
