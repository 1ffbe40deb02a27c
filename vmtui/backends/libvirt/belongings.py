"""What belongs to a domain: all that goes with it when it is deleted, and all that stays."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import libvirt

from vmtui.backends.base import DeletePlan, Doomed, Kept
from vmtui.backends.libvirt.domain_facts import Definition
from vmtui.backends.libvirt.in_use import (
    Others,
    below,
    definition_of,
    key_of,
    others_of,
    variables_at,
    volume_at,
)
from vmtui.backends.libvirt.listing import attempt, attempt_all, lookup, state_of, vm_id
from vmtui.backends.libvirt.metadata import SEED_SUFFIX, tpm_secret
from vmtui.backends.libvirt.places import Places
from vmtui.model import Disk, DiskKind, Firmware, VMId

DISK = "disk"
SEED = "cloud-init seed"
CONSOLE_LOG = "console log"
NVRAM = "UEFI variables"
TPM = "TPM state"
TPM_KEY = "TPM key"
SAVED = "saved memory"
SNAPSHOT = "snapshot"
CHECKPOINT = "checkpoint"

LOST_VARIABLES = "boot entries and keys of your own in them are lost"
LOST_KEYS = "disk keys sealed in it are lost"
LOST_STATE = "without it the TPM's state can't be read, nor a backup of that"
KEEP_TPM_SINCE = 8_009_000
"""libvirt's version from which it leaves a TPM's state where it is, if it is asked to."""


def plan(connection: libvirt.virConnect, places: Places, vm: VMId) -> DeletePlan:
    """What deleting it means now."""
    domain = lookup(connection, vm)
    live = definition_of(domain, 0)
    stored = definition_of(domain, libvirt.VIR_DOMAIN_XML_INACTIVE)
    others = others_of(connection, places, vm)
    doomed, kept = _disks(connection, places, others, live, stored)
    persistent = bool(attempt(domain.isPersistent, 1))
    variables = _variables(connection, places, (live, stored), others, persistent=persistent)
    doomed += [item for item in variables if isinstance(item, Doomed)]
    kept += [item for item in variables if isinstance(item, Kept)]
    doomed += _tpm_state(connection, places, domain, (live, stored), persistent=persistent)
    doomed += _keys(connection, domain, (live, stored), others)
    doomed += _records(domain)
    kept += _taken_out(places, vm, (live, stored))
    log = _console_log(places, live)
    if log is not None:
        doomed.append(log)
    return DeletePlan(
        vm, str(domain.name()), tuple(doomed), tuple(kept), force_off=state_of(domain).active
    )


def _disks(
    connection: libvirt.virConnect,
    places: Places,
    others: Others,
    live: Definition,
    stored: Definition,
) -> tuple[list[Doomed], list[Kept]]:
    doomed: list[Doomed] = []
    kept: list[Kept] = []
    drives = {d.source: d for d in (*stored.vm.disks, *live.vm.disks) if d.source}
    seed = stored.own.seed or live.own.seed
    for source, disk in drives.items():
        what = SEED if source == seed and source.endswith(SEED_SUFFIX) else DISK
        why = _why_kept(connection, places, disk, source, others, own_medium=what is SEED)
        if why:
            kept.append(Kept(source, why))
        else:
            # One that leans on others is nothing without them, and they need not wait for it.
            sparable = what is DISK and not (disk.backing or _leans(connection, source))
            size_bytes = _allocated_bytes(connection, source)
            doomed.append(Doomed(what, source, size_bytes, sparable=sparable))
    leant_on = dict.fromkeys((*live.backing, *stored.backing, *_backing(connection, drives)))
    kept += [Kept(path, "a backing file") for path in leant_on if path not in drives]
    named = {item.name for item in doomed}
    # What another disk of the same VM leans on goes with it only if both are disks of its own.
    kept = [item for item in kept if item.name not in named]
    return doomed, kept


def _why_kept(
    connection: libvirt.virConnect,
    places: Places,
    disk: Disk,
    source: str,
    others: Others,
    *,
    own_medium: bool,
) -> str:
    volume = volume_at(connection, source)
    key = key_of(connection, places, source)
    reasons = (
        (disk.kind is DiskKind.CDROM and not own_medium, "a medium"),
        (disk.read_only and not own_medium, "read-only"),
        (disk.shared, "shared with other VMs"),
        (key in others.users, f"also used by {others.users.get(key)}"),
        (key in others.overlays, f"the backing file of {others.overlays.get(key)}"),
        (
            volume is None and not (_among_images(places, source) and _may_unlink(places, source)),
            "in no storage pool; delete it by hand",
        ),
        (volume is not None and not _is_file(volume), "not a file"),
    )
    return next((why for holds, why in reasons if holds), "")


def _is_file(volume: libvirt.virStorageVol) -> bool:
    info: Any = attempt(volume.info, None)
    return info is not None and info[0] == libvirt.VIR_STORAGE_VOL_FILE


def _among_images(places: Places, source: str) -> bool:
    # A pool need not be active for vmtui's disks to be there; elsewhere somebody else put them.
    return places.images is not None and Path(source).parent == places.images


def _may_unlink(places: Places, source: str) -> bool:
    path = Path(source)
    return (
        places.local
        and path.is_absolute()
        and path.is_file()
        and not path.is_symlink()
        and os.access(path.parent, os.W_OK)
    )


def _allocated_bytes(connection: libvirt.virConnect, source: str) -> int | None:
    volume = volume_at(connection, source)
    info: Any = attempt(volume.info, None) if volume is not None else None
    if info is not None:
        return int(info[2])
    try:
        return Path(source).stat().st_blocks * 512
    except OSError:
        return None


def _leans(connection: libvirt.virConnect, source: str) -> bool:
    volume = volume_at(connection, source)
    return volume is not None and bool(below(volume))


def _backing(connection: libvirt.virConnect, drives: dict[str, Disk]) -> Iterator[str]:
    for source, disk in drives.items():
        volume = volume_at(connection, source) if disk.kind is DiskKind.DISK else None
        leant_on = below(volume) if volume is not None else ""
        if leant_on:
            yield leant_on


def _variables(
    connection: libvirt.virConnect,
    places: Places,
    definitions: tuple[Definition, Definition],
    others: Others,
    *,
    persistent: bool,
) -> tuple[Doomed | Kept, ...]:
    """Of its firmware. libvirt leaves them if it is asked to, with what is not transient."""
    if not any(one.vm.firmware in (Firmware.UEFI, Firmware.SECURE_BOOT) for one in definitions):
        return ()
    path = next((path for one in definitions if (path := variables_at(one, places))), "")
    user = others.users.get(key_of(connection, places, path))
    if user is not None:
        return (Kept(path, f"{NVRAM}, also used by {user}"),)
    path = path or definitions[0].vm.name
    return (Doomed(NVRAM, path, _size_bytes(places, path), LOST_VARIABLES, sparable=persistent),)


def _tpm_state(
    connection: libvirt.virConnect,
    places: Places,
    domain: libvirt.virDomain,
    definitions: tuple[Definition, Definition],
    *,
    persistent: bool,
) -> Iterator[Doomed]:
    """Which later libvirts leave too, if they are asked to."""
    if any(one.tpm_emulated for one in definitions):
        folder = places.tpms / vm_id(domain) if places.tpms is not None else None
        sparable = persistent and int(attempt(connection.getLibVersion, 0)) >= KEEP_TPM_SINCE
        state = str(folder or f"of {domain.name()}")
        yield Doomed(TPM, state, _size_bytes(places, state), LOST_KEYS, sparable=sparable)


def _keys(
    connection: libvirt.virConnect,
    domain: libvirt.virDomain,
    definitions: tuple[Definition, Definition],
    others: Others,
) -> Iterator[Doomed]:
    """What vmtui made for its TPM, unless another one's state is encrypted with it too."""
    own = tpm_secret(vm_id(domain))
    named = any(one.tpm_emulated and one.tpm_secret == own for one in definitions)
    if named and own not in others.secrets and secret_of(connection, own):
        yield Doomed(TPM_KEY, own, None, LOST_STATE, sparable=True)


def secret_of(connection: libvirt.virConnect, uuid: str) -> libvirt.virSecret | None:
    """A secret of libvirt's; None where there is none, or none are kept."""
    return attempt(lambda: connection.secretLookupByUUIDString(uuid), None)


def _taken_out(places: Places, vm: VMId, definitions: tuple[Definition, Definition]) -> list[Kept]:
    """The state of a TPM that no definition has any more: libvirt leaves it where it is."""
    folder = places.tpms / vm if places.tpms is not None and places.local else None
    if folder is None or any(one.tpm_emulated for one in definitions):
        return []
    try:
        there = folder.is_dir()
    except OSError:
        return []
    return [Kept(str(folder), "the state of a TPM that was taken out")] if there else []


def _size_bytes(places: Places, path: str) -> int | None:
    """Of a file, or of all in a folder, as far as this user may look."""
    if not places.local:
        return None
    try:
        found = Path(path)
        files = found.rglob("*") if found.is_dir() else (found,)
        return sum(file.stat().st_size for file in files if file.is_file()) or None
    except OSError:
        return None


def _records(domain: libvirt.virDomain) -> list[Doomed]:
    """What libvirt keeps of it beside its definition."""
    found = []
    if attempt(domain.hasManagedSaveImage, 0):
        found.append(Doomed(SAVED, f"of {domain.name()}"))
    found += [
        Doomed(SNAPSHOT, str(snapshot.getName()))
        for snapshot in attempt_all(domain.listAllSnapshots)
    ]
    found += [
        Doomed(CHECKPOINT, str(checkpoint.getName()))
        for checkpoint in attempt_all(domain.listAllCheckpoints)
    ]
    return found


def _console_log(places: Places, definition: Definition) -> Doomed | None:
    path = definition.console_log
    if path is None or path != places.console_log(definition.vm.name):
        return None  # not the one that vmtui set up
    return Doomed(CONSOLE_LOG, path) if _may_unlink(places, path) else None
