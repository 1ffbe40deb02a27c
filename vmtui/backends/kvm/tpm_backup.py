"""The file that a backup of a TPM's state is: a tar with a manifest, written and read in memory."""

from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path

import msgspec

from vmtui.errors import InputError

STATE_LIMIT_BYTES = 1 << 20
"""Of a state file; a full TPM 2.0 has about 200 KiB."""

FORMAT = 1
_MANIFEST = "manifest.json"


class Manifest(msgspec.Struct, frozen=True):
    """What a backup says of itself."""

    format: int
    vm: str  # its UUID
    name: str
    version: str
    encrypted: bool
    file: str
    size_bytes: int
    sha256: str
    made_at_s: float  # Unix time


def packed(manifest: Manifest, content: bytes) -> bytes:
    """The file of a backup."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, data in ((_MANIFEST, msgspec.json.encode(manifest)), (manifest.file, content)):
            member = tarfile.TarInfo(name)
            member.size, member.mode, member.mtime = len(data), 0o600, int(manifest.made_at_s)
            archive.addfile(member, io.BytesIO(data))
    return file.getvalue()


def unpacked(source: Path) -> tuple[Manifest, bytes]:
    """What a backup holds. Nothing of it is written: whatever names it has lead nowhere."""
    refused = f"{source} is not a backup of a TPM"
    try:
        if source.stat().st_size > 2 * STATE_LIMIT_BYTES:
            raise InputError(refused, why="it is too large")
        with tarfile.open(source, mode="r:") as archive:
            members = archive.getmembers()
            if len(members) != 2 or not all(member.isreg() for member in members):
                raise InputError(refused, why="it does not have just two files in it")
            parts = [_content(archive, member) for member in members]
    except (OSError, tarfile.TarError, EOFError) as error:
        raise InputError(refused, why=str(error)) from error
    try:
        manifest = msgspec.json.decode(parts[0], type=Manifest)
    except msgspec.DecodeError as error:
        raise InputError(refused, why=f"{_MANIFEST}: {error}") from error
    names = [member.name for member in members]
    if names != [_MANIFEST, manifest.file] or manifest.format != FORMAT:
        raise InputError(refused, why="it is of another kind, or of a newer vmtui")
    if hashlib.sha256(parts[1]).hexdigest() != manifest.sha256:
        raise InputError(refused, why="it is damaged: its checksum does not fit")
    return manifest, parts[1]


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    if member.size > STATE_LIMIT_BYTES:
        raise tarfile.TarError("a file in it is too large")
    file = archive.extractfile(member)
    return file.read(STATE_LIMIT_BYTES) if file else b""
