"""Where a VM of another program is, and its disks: in a file, beside it, or in an archive."""

from __future__ import annotations

import hashlib
import platform
import re
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath

from vmtui.errors import InputError
from vmtui.files import at_home, is_file
from vmtui.images.formats import probe, read_piece, read_text
from vmtui.images.imports import libvirt_xml, lima, ovf, quickemu, vmx
from vmtui.images.imports.archive import Member, plain_name, tar_members
from vmtui.images.imports.foreign import Foreign, ForeignDisk
from vmtui.images.pieces import PIECE_BYTES
from vmtui.progress import Progress
from vmtui.units import MIB

DEFINITION_LIMIT_BYTES = 4 * MIB
YAML_LIMIT_BYTES = MIB // 4  # its reader takes a second for that

_DISK_ENDINGS = (".qcow2", ".img", ".raw", ".vmdk", ".vdi", ".vhd", ".vhdx")
_DEFINITION_ENDINGS = (".ovf", ".ova", ".vmx")
_PART = re.compile(r"-(?:[sf]\d{3}|flat)(?=\.vmdk$)")


@dataclass(frozen=True, slots=True)
class Piece:
    """A file, or where one lies in an archive; `name` is what it is called there."""

    path: Path
    name: str
    offset_bytes: int = 0
    size_bytes: int | None = None
    packed: bool = False


@dataclass(frozen=True, slots=True)
class Located:
    """A VM and where its disks are, in the order of its definition."""

    foreign: Foreign
    disks: tuple[Piece, ...]
    is_iso: bool = False
    sums: Mapping[Piece, tuple[str, str]] | None = None  # algorithm and sum; None: no manifest


def locate(path: Path, *, from_archive: bool = False) -> Located:
    """The VM at `path`: a definition, an archive with one, or a disk alone. Blocks.

    `from_archive`: the file came out of an archive, and may name only what is beside it. Raises
    InputError; what is packed (formats.PACKINGS, zip) is to be unpacked before.
    """
    found = probe(path)
    suffix = path.suffix.lower()
    if found == "tar":
        return _in_tar(path)
    if not found and suffix == ".ovf":
        return _ovf(path)
    reader = None if found else _readers(path).get(suffix)
    if reader is None:
        foreign = Foreign(origin="ISO" if found == "iso" else "disk", name=path.stem)
        return Located(foreign, (Piece(path, path.name),), is_iso=found == "iso")
    foreign = reader()
    plain = from_archive or suffix == ".vmx"
    disks = tuple(_beside(path, disk, plain=plain) for disk in _with_files(foreign, path))
    return Located(foreign, disks)


def chosen(names: list[str], whose: str) -> str:
    """The one file of an archive to import: its definition, or its only disk. InputError if none.

    The parts of a split disk do not count, as long as their descriptor is there.
    """
    names = [name for name in names if not _is_of_macos(PurePosixPath(name))]
    whole = [name for name in names if _PART.sub("", name) not in {*names} - {name}]
    for endings, what in ((_DEFINITION_ENDINGS, "VMs"), (_DISK_ENDINGS, "disks")):
        fitting = [name for name in whole if PurePosixPath(name).suffix.lower() in endings]
        if len(fitting) == 1:
            return fitting[0]
        if fitting:
            raise InputError(
                f"{whose} holds {len(fitting)} {what}",
                why=", ".join(fitting[:8]),
                hint="Unpack it, and import the one that you want.",
            )
    raise InputError(f"{whose} holds neither a VM nor a disk")


def _is_of_macos(name: PurePosixPath) -> bool:
    """Whether it is what macOS puts into archives beside a file: attributes that it has there."""
    return "__MACOSX" in name.parts or name.name.startswith("._")


def verify(located: Located) -> Generator[Progress, None, None]:
    """Compare all files with the manifest's sums. Blocks; raises InputError for a wrong one."""
    for piece, (algorithm, expected) in (located.sums or {}).items():
        state = hashlib.new(algorithm, usedforsecurity=False)
        size_bytes = piece.path.stat().st_size if piece.size_bytes is None else piece.size_bytes
        for done_bytes in range(0, size_bytes, PIECE_BYTES):
            count_bytes = min(PIECE_BYTES, size_bytes - done_bytes)
            state.update(read_piece(piece.path, piece.offset_bytes + done_bytes, count_bytes))
            yield Progress(f"checking {piece.name}", done_bytes / size_bytes)
        if state.hexdigest() != expected:
            raise InputError(
                f"{piece.name} is not what its manifest says",
                why=f"its {algorithm.upper()} is {state.hexdigest()}, and should be {expected}",
                hint="Copy or export it again.",
            )


def _readers(path: Path) -> Mapping[str, Callable[[], Foreign]]:
    """By ending, what reads the definition at `path`."""
    return {
        ".vmx": lambda: vmx.read(read_text(path, DEFINITION_LIMIT_BYTES), path.name),
        ".xml": lambda: libvirt_xml.read(read_text(path, DEFINITION_LIMIT_BYTES), path.name),
        ".conf": lambda: quickemu.read(read_text(path, DEFINITION_LIMIT_BYTES), path.name),
        ".yaml": partial(_lima, path),
        ".yml": partial(_lima, path),
    }


def _lima(path: Path) -> Foreign:
    return lima.read(
        read_text(path, YAML_LIMIT_BYTES),
        path.name,
        arch=platform.machine(),
        has_disk=(path.parent / lima.INSTANCE_DISK).is_file(),
    )


def _with_files(foreign: Foreign, path: Path) -> tuple[ForeignDisk, ...]:
    if not foreign.disks:
        raise InputError(f"{path.name} has no disk to import")
    for disk in foreign.disks:
        if disk.packing not in ("", "gzip"):
            raise InputError(
                f"{path.name} can't be imported as it is",
                why=f"its disk {disk.file!r} is packed with {disk.packing}",
                hint="Unpack it, and name the result in the definition.",
            )
    return foreign.disks


def _beside(path: Path, disk: ForeignDisk, *, plain: bool) -> Piece:
    """The file of a disk. A definition that travels (`plain`) may only name what is beside it."""
    if plain:
        file = path.parent / plain_name(disk.file, path.name)
        if not file.resolve().is_relative_to(path.parent.resolve()):
            raise InputError(f"{path.name} is refused", why=f"{disk.file!r} leads elsewhere")
    else:
        file = path.parent / at_home(disk.file)
    if not is_file(file):
        raise InputError(
            f"{path.name} is not whole",
            why=f"its disk {disk.file!r} is not there",
            hint="Copy it to the place that the definition names.",
        )
    return Piece(file, file.name, packed=bool(disk.packing))


def _ovf(path: Path) -> Located:
    foreign = ovf.read(read_text(path, DEFINITION_LIMIT_BYTES), path.name)
    disks = tuple(_beside(path, disk, plain=True) for disk in _with_files(foreign, path))
    listing = path.with_suffix(".mf")
    if not listing.is_file():
        return Located(foreign, disks)
    said = ovf.manifest(read_text(listing, DEFINITION_LIMIT_BYTES), listing.name)
    return Located(foreign, disks, sums=_sums(said, (Piece(path, path.name), *disks)))


def _in_tar(path: Path) -> Located:
    members = {plain_name(member.name, path.name): member for member in tar_members(path)}
    name = chosen(list(members), path.name)
    pieces = {name: Piece(path, name, m.offset_bytes, m.size_bytes) for name, m in members.items()}
    if not name.lower().endswith(".ovf"):
        if PurePosixPath(name).suffix.lower() in _DEFINITION_ENDINGS:
            raise InputError(
                f"{path.name} can't be imported as it is",
                why=f"{name!r} is in it",
                hint="Unpack it, and import that.",
            )
        return Located(Foreign(origin="disk", name=PurePosixPath(name).stem), (pieces[name],))
    foreign = ovf.read(_text(path, members[name]), name)
    disks = []
    for disk in _with_files(foreign, path):
        file = str(PurePosixPath(name).parent / plain_name(disk.file, path.name))
        if file not in pieces:
            raise InputError(f"{path.name} is not whole", why=f"{disk.file!r} is not in it")
        disks.append(replace(pieces[file], packed=bool(disk.packing)))
    listing = members.get(name[:-4] + ".mf")
    if listing is None:
        return Located(foreign, tuple(disks))
    said = ovf.manifest(_text(path, listing), listing.name)
    return Located(foreign, tuple(disks), sums=_sums(said, (pieces[name], *disks)))


def _text(path: Path, member: Member) -> str:
    if member.size_bytes > DEFINITION_LIMIT_BYTES:
        raise InputError(f"{path.name} is refused", why=f"{member.name!r} in it is too large")
    content = read_piece(path, member.offset_bytes, member.size_bytes)
    return content.decode("utf-8-sig", errors="replace")


def _sums(
    said: Mapping[str, tuple[str, str]], pieces: tuple[Piece, ...]
) -> dict[Piece, tuple[str, str]]:
    by_name = {PurePosixPath(name).name: sum_ for name, sum_ in said.items()}
    return {
        piece: by_name[PurePosixPath(piece.name).name]
        for piece in pieces
        if PurePosixPath(piece.name).name in by_name
    }
