"""Imports: planned before anything is written, then done whole or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from vmtui.errors import InputError
from vmtui.images import disks, qemu_img
from vmtui.images.disks import Disk
from vmtui.images.formats import PACKINGS, probe
from vmtui.images.image import Image, ImageKind
from vmtui.images.imports.archive import extract_zip, zip_members
from vmtui.images.imports.foreign import Foreign
from vmtui.images.imports.sources import Located, Piece, chosen, locate, verify
from vmtui.images.library import Library
from vmtui.images.pieces import in_thread
from vmtui.images.unpack import unpack
from vmtui.images.virt_v2v import VirtV2v
from vmtui.progress import ProgressSink, no_progress
from vmtui.units import TIB
from vmtui.whole import whole_in_thread

UNPACKED_LIMIT_BYTES = 4 * TIB
"""What is packed may come to that; most of a real disk of that size are holes."""

_OF_OTHERS = ("vmdk", "vdi", "vpc", "vhdx")  # the disks of VMware, VirtualBox and Hyper-V
_NESTING_LIMIT = 3  # such as an OVA in a tar that is packed


@dataclass(frozen=True, slots=True)
class Plan:
    """What an import would take, and all that it would not."""

    foreign: Foreign
    disks: tuple[Disk, ...]
    is_iso: bool = False
    packed: str = ""  # how: then what is in it is known once it is unpacked
    notes: tuple[str, ...] = ()
    from_another: bool = False  # another hypervisor: virt-v2v may help its guest


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
    path: Path,
    name: str,
    library: Library,
    progress: ProgressSink = no_progress,
    *,
    virt_v2v: VirtV2v | None = None,
) -> Imported:
    """Take the disks of the VM or image at `path` into the library: `name`, `name`-2 and so on.

    With `virt_v2v` the guest on them is converted. All or nothing, also when cancelled. Raises
    InputError, MissingError, OperationError.
    """
    library.refuse_name(name)
    async with library.scratch() as folder, _unpacked(path, folder, progress) as located:
        await in_thread(verify(located), progress)
        planned = await _planned(await _disks_unpacked(located, folder, progress))
        if planned.is_iso:
            [piece] = located.disks
            iso_bytes = piece.path.stat().st_size
            image = Image(name, ImageKind.ISO, piece.path, "raw", iso_bytes, "", source=str(path))
            return Imported((await library.add(image, progress),), planned.foreign, planned.notes)
        names = [name, *(f"{name}-{number}" for number in range(2, len(planned.disks) + 1))]
        for further in names[1:]:
            library.refuse_name(further)
        files = await _converted(planned.disks, folder, progress)
        changed = await virt_v2v.convert(files, progress) if virt_v2v else ()
        images = [
            _image(called, file, disk, planned, path)
            for called, file, disk in zip(names, files, planned.disks, strict=True)
        ]
        added = await _added(images, library, progress)
        return Imported(added, planned.foreign, (*planned.notes, *changed))


async def _converted(
    found: Sequence[Disk], folder: Path, progress: ProgressSink
) -> tuple[Path, ...]:
    """Each disk as a qcow2 in `folder`."""
    files = []
    for number, disk in enumerate(found, 1):
        file = folder / f"{number}.qcow2"
        which = f" {number} of {len(found)}" if len(found) > 1 else ""
        await qemu_img.convert(disk.source, file, text=f"converting disk{which}", progress=progress)
        files.append(file)
    return tuple(files)


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


async def _disks_unpacked(located: Located, folder: Path, progress: ProgressSink) -> Located:
    """The same, with the disks that were packed in their definition unpacked in `folder`."""
    pieces = []
    for number, piece in enumerate(located.disks, 1):
        if not piece.packed:
            pieces.append(piece)
            continue
        target = folder / f"packed-{number}"
        await unpack(
            piece.path,
            target,
            limit_bytes=UNPACKED_LIMIT_BYTES,
            progress=progress,
            offset_bytes=piece.offset_bytes,
            size_bytes=piece.size_bytes,
        )
        pieces.append(Piece(target, piece.name.removesuffix(".gz")))
    return replace(located, disks=tuple(pieces))


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
        if not piece.packed
    ]
    for disk in found:
        if disk.info.encrypted:
            raise InputError(
                f"{disk.source.path} is encrypted",
                hint="Decrypt it first: qemu-img convert, with its secret.",
            )
    of_others = any(disk.source.format in _OF_OTHERS for disk in found)
    return Plan(
        located.foreign,
        tuple(found),
        notes=tuple(_notes(located, found)),
        from_another=bool(located.foreign.drivers) or of_others,
    )


def _notes(located: Located, found: Sequence[Disk]) -> Iterator[str]:
    foreign = located.foreign
    for piece in located.disks:
        if piece.packed:
            yield f"{piece.name} is packed: what is in it is known once it is unpacked"
    yield from (f"not carried over: {thing}" for thing in foreign.lost)
    for disk in found:
        for snapshot in disk.info.snapshots:
            yield f"not carried over: snapshot {snapshot!r} in {disk.source.path.name}"
    yield from (f"driver the guest may lack: {driver}" for driver in foreign.drivers)
    if foreign.origin in ("VirtualBox", "VMware", "OVF") and located.sums is None:
        yield "there is no manifest: nothing tells whether its files are whole"
