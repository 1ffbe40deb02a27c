"""Exports: a VM's disk as a file of its own, or a VM as an OVA that other programs import."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import tarfile
from collections.abc import AsyncIterator, Generator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from vmtui.errors import BusyError, InputError
from vmtui.files import flush_folder, not_writable
from vmtui.images import qemu_img
from vmtui.images.imports import ovf_writing
from vmtui.images.imports.foreign import Foreign
from vmtui.images.pieces import PIECE_BYTES, in_thread
from vmtui.images.qemu_img import Source
from vmtui.locks import try_lock
from vmtui.progress import Progress, ProgressSink, no_progress
from vmtui.units import GIB
from vmtui.whole import whole_in_thread

_USTAR_LIMIT_BYTES = 8 * GIB


async def export_disk(
    disk: Source,
    target: Path,
    progress: ProgressSink = no_progress,
    *,
    target_format: str = "qcow2",
) -> None:
    """Write what a guest reads of `disk` to the new file `target`: all of it, or nothing.

    Raises InputError (it is there already), BusyError, MissingError, OperationError.
    """
    async with _staged(target) as folder:
        file = folder / "disk"
        await qemu_img.convert(disk, file, target_format=target_format, progress=progress)
        await whole_in_thread(_put, file, target)


async def export_ova(
    vm: Foreign, disks: Sequence[Source], target: Path, progress: ProgressSink = no_progress
) -> None:
    """Write `vm` with `disks`, in the order of `vm.disks`, to the new OVA `target`; or nothing.

    Raises as `export_disk` does.
    """
    async with _staged(target) as folder:
        stem = target.stem
        files, sizes_bytes = [], []
        for number, disk in enumerate(disks, 1):
            file = folder / f"{stem}-disk{number}.vmdk"
            which = f" {number} of {len(disks)}" if len(disks) > 1 else ""
            await qemu_img.convert(
                disk,
                file,
                target_format="vmdk",
                options=("subformat=streamOptimized",),
                text=f"converting disk{which}",
                progress=progress,
            )
            files.append(file)
            sizes_bytes.append((await qemu_img.info(disk)).virtual_size_bytes)
        envelope = folder / f"{stem}.ovf"
        described = ovf_writing.envelope(vm, files, sizes_bytes)
        await whole_in_thread(envelope.write_bytes, described)
        package = folder / "package"
        await in_thread(_pack(package, (envelope, *files), stem), progress)
        await whole_in_thread(_put, package, target)


def _pack(package: Path, files: Sequence[Path], stem: str) -> Generator[Progress, None, None]:
    """The OVF first, then the manifest, then what it names (DSP0243, 5.3)."""
    listing = package.with_name(f"{stem}.mf")
    try:
        with listing.open("w") as sums:
            for file in files:
                state = hashlib.sha256()
                for piece in _pieces(file):
                    state.update(piece)
                    yield Progress(f"packing {file.name}")
                sums.write(f"SHA256({file.name})= {state.hexdigest()}\n")
        with package.open("xb") as output:
            for file in (files[0], listing, *files[1:]):
                output.write(_header(file))
                for piece in _pieces(file):
                    output.write(piece)
                    yield Progress(f"packing {file.name}")
                output.write(bytes(-output.tell() % tarfile.BLOCKSIZE))
                file.unlink()  # its space is needed once only
            output.write(bytes(2 * tarfile.BLOCKSIZE))
    except OSError as error:
        raise not_writable(package.parent, error) from error


def _header(file: Path) -> bytes:
    entry = tarfile.TarInfo(file.name)
    status = file.stat()
    entry.size, entry.mtime = status.st_size, int(status.st_mtime)
    # What is larger, or has a longer name, has no place in the form that OVF asks for.
    fits = entry.size < _USTAR_LIMIT_BYTES and len(os.fsencode(file.name)) <= tarfile.LENGTH_NAME
    return entry.tobuf(tarfile.USTAR_FORMAT if fits else tarfile.GNU_FORMAT)


def _pieces(file: Path) -> Iterator[bytes]:
    with file.open("rb") as content:
        while piece := content.read(PIECE_BYTES):
            yield piece


@asynccontextmanager
async def _staged(target: Path) -> AsyncIterator[Path]:
    """A hidden folder beside `target`; what a killed process left in it is removed."""
    folder = target.parent / f".{target.name}.part"
    lock = await asyncio.to_thread(_claim, target, folder)
    try:
        yield folder
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
        os.close(lock)


def _claim(target: Path, folder: Path) -> int:
    _refuse_existing(target)
    try:
        folder.mkdir(exist_ok=True)
        lock = try_lock(folder / ".lock")
        if lock is None:
            raise BusyError(f"{target} is being written", why="another export is under way")
        for left in folder.iterdir():
            if left.name != ".lock":
                left.unlink()
    except OSError as error:
        raise not_writable(target.parent, error) from error
    return lock


def _put(file: Path, target: Path) -> None:
    """Make the finished `file` the new `target`, durably."""
    _refuse_existing(target)
    try:
        with file.open("rb") as content:
            os.fsync(content.fileno())
        file.rename(target)
        flush_folder(target.parent)
    except OSError as error:
        raise not_writable(target.parent, error) from error


def _refuse_existing(target: Path) -> None:
    if target.exists():
        raise InputError(f"{target} is there already", hint="Give another name, or remove it.")
