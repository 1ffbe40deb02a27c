"""A domain's software TPM: told, and its state backed up, restored and cleared where at hand."""

from __future__ import annotations

import asyncio
import shutil
from contextlib import suppress
from pathlib import Path

import psutil

from vmtui.backends.kvm import swtpm, tpm_state
from vmtui.backends.libvirt.around import settings
from vmtui.backends.libvirt.around.at_hand import (
    check_at_hand,
    is_at_hand,
    make_folder,
    remove_empty,
    swtpm_owner,
)
from vmtui.backends.libvirt.around.held import Held, find
from vmtui.backends.libvirt.bridge import Bridge
from vmtui.backends.libvirt.places import Places
from vmtui.errors import UnsupportedError, VmtuiError
from vmtui.files import not_writable, scratch, tail
from vmtui.hardware.around import TpmFacts, TpmHealth
from vmtui.model import VMId
from vmtui.units import plain
from vmtui.whole import whole_in_thread

LOG_BYTES = 2000

_CLEARED = ".cleared"


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
        async with held.opened() as chip:
            encrypted = bool(swtpm.is_encrypted(chip.state))
            try:
                banks = await tpm_state.read_banks(chip, chip.state, scratch())
            except VmtuiError as error:
                if not (held.active or held.model == swtpm.REMOVED or held.locked):
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


def _size_bytes(held: Held) -> int | None:
    with suppress(OSError):
        return held.chip.state.stat().st_size
    return None


def _health(places: Places, held: Held, *, made: bool) -> str:
    if held.model == swtpm.REMOVED:
        return TpmHealth.REMOVED
    if not held.active:
        return TpmHealth.OFF if made else TpmHealth.NEW
    if not places.local:
        return TpmHealth.ELSEWHERE
    return TpmHealth.RUNNING if _runs(held) else swtpm.LOST


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
    said = tail(places.tpm_logs / f"{name}-swtpm.log", LOG_BYTES)
    whole = said if len(said) < LOG_BYTES else said.partition(b"\n")[2]
    return plain(whole.decode(errors="replace").strip(), keep_lines=True)


# -- back up, restore, clear -----------------------------------------------------------------


async def back_up(bridge: Bridge, places: Places, vm: VMId, to: Path) -> None:
    """Its state as one file, as the direct backend has them."""
    held = await _at_hand(bridge, places, vm, "back up the TPM of")
    await tpm_state.back_up(held.name, held.vm, held.chip, to)


async def restore(bridge: Bridge, places: Places, vm: VMId, source: Path) -> None:
    """Replace its state by one of a backup of either backend, whole or not at all."""
    verb = "restore the TPM of"
    held = await _at_hand(bridge, places, vm, verb)
    if held.locked:
        raise UnsupportedError(
            f"can't {verb} {held.name}",
            why="it is encrypted, and libvirt does not give out the secret: whether the backup is "
            "of the same can't be told",
            hint="Run vmtui as root.",
        )
    made = await whole_in_thread(_make_folder, places, held)
    try:
        async with held.opened() as chip:
            await tpm_state.restore(held.name, chip, source, scratch())
    except BaseException:
        await whole_in_thread(remove_empty, made)
        raise


async def clear(bridge: Bridge, places: Places, vm: VMId) -> None:
    """Remove its state, whole; libvirt makes a new one at the next start."""
    held = await _at_hand(bridge, places, vm, "clear the TPM of")
    await whole_in_thread(_clear, held.chip.folder)


async def _at_hand(bridge: Bridge, places: Places, vm: VMId, verb: str) -> Held:
    held = await bridge.call("look at the TPM", find, places, vm, verb)
    await asyncio.to_thread(check_at_hand, places, held.folder, f"can't {verb} {held.name}")
    return held


def _make_folder(places: Places, held: Held) -> list[Path]:
    folder = held.chip.folder
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
