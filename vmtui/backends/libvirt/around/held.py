"""A domain's software TPM as it is found: in its definition, on the disk, and with its key."""

from __future__ import annotations

import tempfile
from base64 import b64decode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import libvirt

from vmtui.backends.kvm import swtpm
from vmtui.backends.kvm.swtpm import CIPHER, Chip
from vmtui.backends.libvirt.around.at_hand import check_off, is_at_hand
from vmtui.backends.libvirt.domain_facts import parse
from vmtui.backends.libvirt.listing import attempt, lookup, state_of
from vmtui.backends.libvirt.places import Places
from vmtui.errors import UnsupportedError
from vmtui.files import scratch, write_whole
from vmtui.model import VMId
from vmtui.whole import whole_in_thread

_FOLDERS = {"2.0": "tpm2", "1.2": "tpm1.2"}


@dataclass(frozen=True, slots=True)
class Held:
    """A domain's TPM as it was found. `model` is that of libvirt without its first word."""

    name: str
    vm: VMId
    active: bool
    model: str
    version: str
    banks: tuple[str, ...]
    sealed: bool  # its state is to be encrypted
    passphrase: bytes | None = field(repr=False)  # None also where the secret is not given out
    folder: Path | None  # of its state; None: it is elsewhere, or a single file

    @property
    def locked(self) -> bool:
        """Whether it is encrypted by a secret that libvirt keeps to itself."""
        return self.sealed and self.passphrase is None

    @property
    def chip(self) -> Chip:
        """It as the direct backend has them, without a key; of one whose folder is at hand."""
        assert self.folder is not None
        return Chip(self.folder, self.model, self.version)

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Chip]:
        """It as swtpm can be run with; its passphrase is in a private file meanwhile."""
        if self.passphrase is None:
            yield self.chip
            return
        with tempfile.TemporaryDirectory(prefix=".vmtui-tpm-", dir=scratch()) as folder:
            key = Path(folder) / "passphrase"
            await whole_in_thread(write_whole, key, self.passphrase)
            yield _Sealed(self.chip.folder, self.model, self.version, key)


@dataclass(frozen=True)
class _Sealed(Chip):
    """One whose key is made from a passphrase, which is how libvirt has them."""

    @property
    def options(self) -> list[str]:
        """How swtpm is told."""
        plainly = Chip(self.folder, self.model, self.version).options
        return [*plainly, "--key", f"pwdfile={self.key},mode={CIPHER}"]


def find(connection: libvirt.virConnect, places: Places, vm: VMId, off_to: str = "") -> Held:
    """The TPM of that domain, also one that was taken out and whose state is still at hand.

    With `off_to` the domain has to be off for that. Raises UnsupportedError, StateError.
    """
    domain = lookup(connection, vm)
    if off_to:
        check_off(domain, off_to)
    root = parse(str(domain.XMLDesc(0)))
    tpm = root.find("devices/tpm") if root is not None else None
    active = state_of(domain).active
    name = str(domain.name())
    if tpm is None:
        return _taken_out(places, name, vm, active=active)
    backend = tpm.find("backend")
    if backend is None or backend.get("type") != "emulator":
        raise UnsupportedError(
            f"the TPM of {name} is the host's own", why="its state is in the chip"
        )
    version = backend.get("version") or "2.0"
    secret = _attribute(backend, "encryption", "secret")
    return Held(
        name,
        vm,
        active,
        model=(tpm.get("model") or "").removeprefix("tpm-"),
        version=version,
        banks=tuple(bank.tag for bank in backend.iterfind("active_pcr_banks/*")),
        sealed=bool(secret),
        passphrase=_passphrase(connection, places, secret) if secret else None,
        folder=_folder(places, vm, version, backend.find("source")),
    )


def _taken_out(places: Places, name: str, vm: VMId, *, active: bool) -> Held:
    for version in _FOLDERS:
        folder = _folder(places, vm, version, None)
        if folder is not None and is_at_hand(places, folder) and folder.is_dir():
            return Held(name, vm, active, swtpm.REMOVED, version, (), False, None, folder)
    raise UnsupportedError(f"{name} has no TPM", hint=f"Give it one: vmtui set {name} tpm=crb")


def _folder(places: Places, vm: VMId, version: str, source: ET.Element | None) -> Path | None:
    if source is not None:
        path = source.get("path")
        return Path(path) if path and source.get("type") == "dir" else None
    kind = _FOLDERS.get(version)
    return places.tpms / vm / kind if places.tpms is not None and kind is not None else None


def _attribute(element: ET.Element, path: str, name: str) -> str:
    found = element.find(path)
    return found.get(name, "") if found is not None else ""


def _passphrase(connection: libvirt.virConnect, places: Places, secret: str) -> bytes | None:
    """What libvirt keeps under it; of a private secret out of its file, where that is at hand."""
    found: Any = attempt(lambda: connection.secretLookupByUUIDString(secret).value(), None)
    if found is not None:
        return bytes(found)
    if not places.local or places.settings is None:
        return None
    with suppress(OSError, ValueError):
        return b64decode((places.settings.parent / f"secrets/{secret}.base64").read_bytes())
    return None
