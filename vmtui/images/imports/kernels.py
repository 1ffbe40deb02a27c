"""Linux kernels: known by their content, and taken into the library with their initrd."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vmtui.errors import InputError
from vmtui.images.formats import PACKINGS, kernel_arch, probe, read_piece
from vmtui.images.image import Image, ImageKind
from vmtui.images.library import Library
from vmtui.progress import ProgressSink, no_progress

_WITHOUT_INITRD = "it has no initrd: the kernel has to find its root file system by itself"
_WITHOUT_APPEND = "it has no command line: with --append console=ttyS0 it has a text console"


@dataclass(frozen=True, slots=True)
class Kernel:
    """What an import would take, and what it is going to lack."""

    path: Path
    arch: str
    size_bytes: int  # of both files
    initrd: Path | None = None
    append: str = ""
    notes: tuple[str, ...] = ()


def asked_for(path: Path, initrd: str | None, append: str | None) -> bool:
    """Whether `path` is to be imported as a kernel. Blocks; raises InputError."""
    return initrd is not None or append is not None or bool(kernel_arch(path))


def look(path: Path, initrd: Path | None, append: str) -> Kernel:
    """What there is to import; writes nothing. Blocks; raises InputError."""
    arch = kernel_arch(path)
    if not arch:
        raise _no_kernel(path)
    if initrd is not None and (not read_piece(initrd, 0, 1) or kernel_arch(initrd)):
        what = "a kernel" if initrd.stat().st_size else "empty"
        raise InputError(f"{initrd} is no initrd", why=f"it is {what}")
    if not append.isprintable():
        raise InputError("that can't be a kernel's command line", why="it is not one plain line")
    lacking = ((initrd, _WITHOUT_INITRD), (append, _WITHOUT_APPEND))
    notes = tuple(note for given, note in lacking if not given)
    size_bytes = sum(file.stat().st_size for file in (path, initrd) if file)
    return Kernel(path, arch, size_bytes, initrd, append, notes)


async def import_kernel(
    kernel: Kernel, name: str, library: Library, progress: ProgressSink = no_progress
) -> Image:
    """Take it into the library as `name`, or nothing of it. Raises InputError, OperationError."""
    image = Image(
        name,
        ImageKind.KERNEL,
        kernel.path,
        "raw",
        kernel.size_bytes,
        "",
        source=str(kernel.path),
        arch=kernel.arch,
        initrd=kernel.initrd,
        append=kernel.append,
    )
    return await library.add(image, progress)


def _no_kernel(path: Path) -> InputError:
    found = probe(path)
    why = f"it is {found}" if found else "a bzImage of x86 or an Image of arm64 begins otherwise"
    hint = "--initrd and --append are for kernels, such as /boot/vmlinuz."
    if found in PACKINGS.values():
        why, hint = f"it is packed ({found})", "If there is a kernel in it, unpack it first."
    return InputError(f"{path} is no Linux kernel", why=why, hint=hint)
