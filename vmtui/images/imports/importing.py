"""Imports: planned before anything is written, then done whole or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from vmtui.errors import InputError
from vmtui.images import disks, qemu_img
from vmtui.images.disks import Disk
from vmtui.images.formats import PACKINGS, probe
from vmtui.images.image import Image, ImageKind
from vmtui.images.imports.archive import extract_zip, zip_members
from vmtui.images.imports.foreign import Foreign
from vmtui.images.imports.sources import Located, chosen, locate, verify
from vmtui.images.library import Library
from vmtui.images.pieces import in_thread
from vmtui.images.unpack import unpack
from vmtui.progress import ProgressSink, no_progress
from vmtui.units import TIB
from vmtui.whole import whole_in_thread

UNPACKED_LIMIT_BYTES = 4 * TIB
"""What is packed may come to that; most of a real disk of that size are holes."""

_NESTING_LIMIT = 3  # such as an OVA in a tar that is packed


@dataclass(frozen=True, slots=True)
class Plan:
    """What an import would take, and all that it would not."""

    foreign: Foreign
    disks: tuple[Disk, ...]
    is_iso: bool = False
    packed: str = ""  # how: then what is in it is known once it is unpacked
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Imported:
    """What came into the library: a disk's image each, in the order of the VM's disks."""

    images: tuple[Image, ...]
    foreign: Foreign
    notes: tuple[str, ...]


async def plan(path: Path) -> Plan:
    """What an import of `path` would do; writes nothing. Raises InputError, MissingError."""
    packed = await asyncio.to_thread(_packing, path)
    if packed:
        note = f"it is packed ({packed}): what is in it is known once it is unpacked"
        return Plan(Foreign(origin=packed, name=path.stem), (), packed=packed, notes=(note,))
    return await _planned(await asyncio.to_thread(locate, path))


async def import_file(
    path: Path, name: str, library: Library, progress: ProgressSink = no_progress
) -> Imported:
    """Take the disks of the VM or image at `path` into the library: `name`, `name`-2 and so on.

    All or nothing, also when cancelled. Raises InputError, MissingError, OperationError.
    """
    library.refuse_name(name)
    async with library.scratch() as folder, _unpacked(path, folder, progress) as located:
        planned = await _planned(located)
        await in_thread(verify(located), progress)
        if planned.is_iso:
            [piece] = located.disks
            iso_bytes = piece.path.stat().st_size
            image = Image(name, ImageKind.ISO, piece.path, "raw", iso_bytes, "", source=str(path))
            return Imported((await library.add(image, progress),), planned.foreign, planned.notes)
        names = [name, *(f"{name}-{number}" for number in range(2, len(planned.disks) + 1))]
        for further in names[1:]:
            library.refuse_name(further)
        images = []
        for number, (called, disk) in enumerate(zip(names, planned.disks, strict=True), 1):
            target = folder / f"{number}.qcow2"
            which = f" {number} of {len(names)}" if len(names) > 1 else ""
            await qemu_img.convert(
                disk.source, target, text=f"converting disk{which}", progress=progress
            )
            images.append(_image(called, target, disk, planned, path))
        return Imported(await _added(images, library, progress), planned.foreign, planned.notes)


def _image(name: str, file: Path, disk: Disk, planned: Plan, path: Path) -> Image:
    return Image(
        name,
        ImageKind.DISK,
        file,
        "qcow2",
        disk.info.virtual_size_bytes,
        "",
        title=planned.foreign.name,
        source=str(path),
        user=planned.foreign.user,
        firmware=planned.foreign.firmware,
    )


async def _added(
    images: Sequence[Image], library: Library, progress: ProgressSink
) -> tuple[Image, ...]:
    """All of `images` in the library, the first as the last: once that is there, all are."""
    added: list[Image] = []
    try:
        for image in reversed(images):
            # Summing up takes as long as converting, and there is nothing to compare it with.
            added.insert(0, await library.add(image, progress, summed=False))
    except BaseException:
        for image in added:
            await library.remove(image.name)
        raise
    return tuple(added)


def _packing(path: Path) -> str:
    found = probe(path)
    return found if found == "zip" or found in PACKINGS.values() else ""


@asynccontextmanager
async def _unpacked(path: Path, folder: Path, progress: ProgressSink) -> AsyncIterator[Located]:
    """Where the VM at `path` is, once all that it is packed in is undone in `folder`."""
    at = path
    for depth in range(_NESTING_LIMIT + 1):
        packed = await asyncio.to_thread(_packing, at)
        if not packed:
            break
        if depth == _NESTING_LIMIT:
            raise InputError(f"{path} is refused", why="it is packed too many times over")
        inside = folder / f"unpacked-{depth}"
        await whole_in_thread(inside.mkdir)
        at = await _one_layer(packed, at, inside, progress)
    yield await asyncio.to_thread(locate, at, from_archive=at != path)


async def _one_layer(packed: str, path: Path, folder: Path, progress: ProgressSink) -> Path:
    if packed != "zip":
        target = folder / (path.stem or "unpacked")
        await unpack(path, target, limit_bytes=UNPACKED_LIMIT_BYTES, progress=progress)
        return target
    members = await asyncio.to_thread(zip_members, path)
    name = chosen([member.name for member in members], path.name)
    await in_thread(extract_zip(path, members, folder, UNPACKED_LIMIT_BYTES), progress)
    return folder / name


async def _planned(located: Located) -> Plan:
    if located.is_iso:
        return Plan(located.foreign, (), is_iso=True)
    found = [
        await disks.look(
            piece.path,
            name=piece.name,
            offset_bytes=piece.offset_bytes,
            size_bytes=piece.size_bytes,
        )
        for piece in located.disks
    ]
    for disk in found:
        if disk.info.encrypted:
            raise InputError(
                f"{disk.source.path} is encrypted",
                hint="Decrypt it first: qemu-img convert, with its secret.",
            )
    return Plan(located.foreign, tuple(found), notes=tuple(_notes(located, found)))


def _notes(located: Located, found: Sequence[Disk]) -> Iterator[str]:
    foreign = located.foreign
    yield from (f"not carried over: {thing}" for thing in foreign.lost)
    for disk in found:
        for snapshot in disk.info.snapshots:
            yield f"not carried over: snapshot {snapshot!r} in {disk.source.path.name}"
    yield from (f"driver the guest may lack: {driver}" for driver in foreign.drivers)
    if foreign.origin in ("VirtualBox", "VMware", "OVF") and located.sums is None:
        yield "there is no manifest: nothing tells whether its files are whole"
