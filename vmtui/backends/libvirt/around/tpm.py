"""A domain's software TPM: told, and its state backed up, restored and cleared where at hand."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from base64 import b64decode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import libvirt
import psutil

from vmtui.backends.kvm import swtpm, tpm_state
from vmtui.backends.kvm.swtpm import CIPHER, Chip
from vmtui.backends.libvirt.around import settings
from vmtui.backends.libvirt.around.at_hand import (
    check_at_hand,
    check_off,
    is_at_hand,
    make_folder,
    remove_empty,
    swtpm_owner,
)
from vmtui.backends.libvirt.bridge import Bridge
from vmtui.backends.libvirt.domain_facts import parse
from vmtui.backends.libvirt.listing import attempt, lookup, state_of
from vmtui.backends.libvirt.places import Places
from vmtui.errors import UnsupportedError, VmtuiError
from vmtui.files import not_writable, tail, write_whole
from vmtui.hardware.around import TpmFacts
from vmtui.model import VMId
from vmtui.units import plain
from vmtui.whole import whole_in_thread

LOG_BYTES = 2000
ELSEWHERE = "not told: its swtpm runs on another machine"

_FOLDERS = {"2.0": "tpm2", "1.2": "tpm1.2"}
_CLEARED = ".cleared"


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


# -- what it is ------------------------------------------------------------------------------


async def facts(bridge: Bridge, places: Places, vm: VMId) -> TpmFacts:
    """What is known of it."""
    held = await bridge.call("look at the TPM", find, places, vm)
    at_hand = await asyncio.to_thread(is_at_hand, places, held.folder)
    size_bytes = await asyncio.to_thread(_size_bytes, held) if at_hand else None
    health = await asyncio.to_thread(
        _health, places, held, made=size_bytes is not None or not at_hand
    )
    banks, encrypted = held.banks, held.sealed
    if size_bytes is not None:
        async with _chip(held) as chip:
            encrypted = bool(swtpm.is_encrypted(chip.state))
            try:
                banks = await tpm_state.read_banks(chip, chip.state, _scratch())
            except VmtuiError as error:
                if not (held.active or held.model == swtpm.REMOVED or _is_locked(held)):
                    health = f"{error.what}: {error.why}"
    return TpmFacts(
        model=held.model,
        version=held.version,
        banks=banks,
        state=held.folder,
        size_bytes=size_bytes,
        encrypted=encrypted,
        health=plain(health),
        log=await asyncio.to_thread(_last_words, places, held.name),
    )


def _is_locked(held: Held) -> bool:
    """Whether it is encrypted by a secret that libvirt keeps to itself."""
    return held.sealed and held.passphrase is None


def _size_bytes(held: Held) -> int | None:
    with suppress(OSError):
        return Chip(_known(held), version=held.version).state.stat().st_size
    return None


def _known(held: Held) -> Path:
    assert held.folder is not None  # only what is at hand is looked into
    return held.folder


def _health(places: Places, held: Held, *, made: bool) -> str:
    if held.model == swtpm.REMOVED:
        return "taken out; its state is kept for when it comes back"
    if not held.active:
        return "off" if made else "off; its state is made at the first start"
    if not places.local:
        return ELSEWHERE
    return "running" if _runs(held) else swtpm.LOST


def _runs(held: Held) -> bool:
    """Whether there is a swtpm that was given the state of that domain."""
    inside = held.folder is None or held.vm in held.folder.parts
    mark = f"/{held.vm}/" if inside else str(held.folder)
    return any(
        process.info["name"] == "swtpm"
        and process.info["status"] != psutil.STATUS_ZOMBIE
        and any(mark in word for word in process.info["cmdline"] or ())
        for process in psutil.process_iter(["name", "cmdline", "status"])
    )


def _last_words(places: Places, name: str) -> str:
    if places.tpm_logs is None:
        return ""
    said = tail(places.tpm_logs / f"{name}-swtpm.log", LOG_BYTES).decode(errors="replace")
    return plain(said.strip(), keep_lines=True)


# -- back up, restore, clear -----------------------------------------------------------------


async def back_up(bridge: Bridge, places: Places, vm: VMId, to: Path) -> None:
    """Its state as one file, as the direct backend has them."""
    held = await _at_hand(bridge, places, vm, "back up the TPM of")
    await tpm_state.back_up(held.name, held.vm, _plain_chip(held), to)


async def restore(bridge: Bridge, places: Places, vm: VMId, source: Path) -> None:
    """Replace its state by one of a backup of either backend, whole or not at all."""
    verb = "restore the TPM of"
    held = await _at_hand(bridge, places, vm, verb)
    if _is_locked(held):
        raise UnsupportedError(
            f"can't {verb} {held.name}",
            why="it is encrypted, and libvirt does not give out the secret: whether the backup is "
            "of the same can't be told",
            hint="Run vmtui as root.",
        )
    made = await whole_in_thread(_make_folder, places, held)
    try:
        async with _chip(held) as chip:
            await tpm_state.restore(held.name, chip, source, _scratch())
    except BaseException:
        await whole_in_thread(remove_empty, made)
        raise


async def clear(bridge: Bridge, places: Places, vm: VMId) -> None:
    """Remove its state, whole; libvirt makes a new one at the next start."""
    held = await _at_hand(bridge, places, vm, "clear the TPM of")
    await whole_in_thread(_clear, _known(held))


async def _at_hand(bridge: Bridge, places: Places, vm: VMId, verb: str) -> Held:
    held = await bridge.call(verb, find, places, vm, verb)
    await asyncio.to_thread(check_at_hand, places, held.folder, f"can't {verb} {held.name}")
    return held


def _make_folder(places: Places, held: Held) -> list[Path]:
    folder = _known(held)
    if folder.exists():
        return []
    try:
        owner = swtpm_owner(places, settings.read(places.settings))
        return make_folder(folder, owner)
    except LookupError as error:
        raise UnsupportedError(
            f"can't restore the TPM of {held.name}",
            why="it has no state yet, and as whom libvirt runs swtpm is not known",
            hint="Start it once, so that libvirt makes one.",
        ) from error
    except OSError as error:
        raise not_writable(folder, error) from error


def _clear(folder: Path) -> None:
    """Aside first, by one step: what is removed half-way is nobody's state any more."""
    aside = folder.with_name(f"{_CLEARED}-{folder.name}")
    try:
        if aside.exists():
            shutil.rmtree(aside)
        if folder.exists():
            folder.rename(aside)
            shutil.rmtree(aside)
    except OSError as error:
        raise not_writable(folder.parent, error) from error


# -- its key ---------------------------------------------------------------------------------


def _plain_chip(held: Held) -> Chip:
    return Chip(_known(held), held.model, held.version)


@asynccontextmanager
async def _chip(held: Held) -> AsyncIterator[Chip]:
    """It as swtpm can be run with; its passphrase is in a private file meanwhile."""
    if held.passphrase is None:
        yield _plain_chip(held)
        return
    folder = Path(await whole_in_thread(tempfile.mkdtemp, prefix="vmtui-tpm-", dir=_scratch()))
    try:
        key = folder / "passphrase"
        await whole_in_thread(write_whole, key, held.passphrase)
        yield _Sealed(_known(held), held.model, held.version, key)
    finally:
        await whole_in_thread(shutil.rmtree, folder, ignore_errors=True)


def _scratch() -> Path:
    """A folder for copies of it; in memory, where this user has one."""
    runtime = Path(os.environ.get("XDG_RUNTIME_DIR") or "/nowhere")
    return runtime if runtime.is_dir() else Path(tempfile.gettempdir())
