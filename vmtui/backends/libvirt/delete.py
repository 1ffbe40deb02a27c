"""Deleting a domain: what was agreed on goes, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import libvirt

from vmtui.backends.base import DeletePlan, Doomed
from vmtui.backends.libvirt.belongings import (
    CHECKPOINT,
    CONSOLE_LOG,
    DISK,
    NVRAM,
    SAVED,
    SEED,
    SNAPSHOT,
    TPM,
    TPM_KEY,
    plan,
    secret_of,
)
from vmtui.backends.libvirt.in_use import definition_of, key_of, others_of, variables_at, volume_at
from vmtui.backends.libvirt.listing import attempt, lookup, state_of
from vmtui.backends.libvirt.making import is_being_made
from vmtui.backends.libvirt.places import Places
from vmtui.backends.libvirt.storage import length_bytes
from vmtui.backends.libvirt.translate import reason
from vmtui.errors import BusyError, InputError, OperationError, StateError


def delete(
    connection: libvirt.virConnect,
    places: Places,
    agreed: DeletePlan,
    *,
    files_first: bool = False,
) -> None:
    """Delete what `agreed` names. Raises StateError if that is no longer what there is.

    `files_first`: interrupted, it leaves what tells which files there were.
    """
    now = plan(connection, places, agreed.vm)
    domain = lookup(connection, agreed.vm)
    if now.force_off and not agreed.force_off:
        raise StateError(f"can't delete {now.name}", why=f"it is {state_of(domain).value}")
    if _named(now) != _named(agreed):
        raise StateError(
            f"{now.name} is not deleted",
            why="what belongs to it has changed since you were asked",
            hint="Look at it again, then delete it.",
        )
    if is_being_made(definition_of(domain, libvirt.VIR_DOMAIN_XML_INACTIVE).own.making):
        raise BusyError(f"can't delete {now.name}", why="it is still being made")
    now = _sparing(now, agreed)
    persistent = bool(attempt(domain.isPersistent, 1))
    if now.force_off:
        domain.destroy()
    if files_first:
        _remove_files(connection, now)
    if persistent:
        _undefine(domain, places, now)
    if not files_first:
        _remove_files(connection, now)


def _sparing(now: DeletePlan, agreed: DeletePlan) -> DeletePlan:
    """What there is, with what was chosen to stay. Raises InputError for what can't."""
    chosen = {(item.what, item.name) for item in agreed.doomed if item.spared}
    if any(what == TPM for what, _ in chosen):
        # A state without its key would be kept for nothing.
        chosen |= {(item.what, item.name) for item in now.doomed if item.what == TPM_KEY}
    stuck = [d for d in now.doomed if (d.what, d.name) in chosen and not d.sparable]
    if stuck:
        raise InputError(f"{stuck[0].name} can't be left", why=f"it goes with {now.name}")
    doomed = (replace(d, spared=(d.what, d.name) in chosen) for d in now.doomed)
    return replace(now, doomed=tuple(doomed))


def remove_partial(
    connection: libvirt.virConnect, places: Places, path: str, whole_bytes: int
) -> None:
    """Delete a copy that is not whole, and that neither a domain nor another volume needs."""
    volume = volume_at(connection, path)
    if volume is None or length_bytes(volume) == whole_bytes:
        return
    others, key = others_of(connection, places, None), key_of(connection, places, path)
    if key not in others.users and key not in others.overlays:
        volume.delete(0)


def _named(plan: DeletePlan) -> set[tuple[str, str]]:
    # A log comes with the first start; it is nothing that anyone would miss.
    return {(item.what, item.name) for item in plan.doomed if item.what != CONSOLE_LOG}


def _undefine(domain: libvirt.virDomain, places: Places, plan: DeletePlan) -> None:
    doomed = {item.what for item in plan.doomed if not item.spared}
    spared = {item.what for item in plan.doomed if item.spared}
    stored = definition_of(domain, libvirt.VIR_DOMAIN_XML_INACTIVE)
    if variables_at(stored, places) in {item.name for item in plan.kept}:
        spared.add(NVRAM)  # another one has them too
    flags = 0
    for what, flag in (
        (NVRAM, "NVRAM"),
        (SAVED, "MANAGED_SAVE"),
        (SNAPSHOT, "SNAPSHOTS_METADATA"),
        (CHECKPOINT, "CHECKPOINTS_METADATA"),
        (TPM, "TPM"),
    ):
        if what in doomed:
            flags |= getattr(libvirt, f"VIR_DOMAIN_UNDEFINE_{flag}", 0)
        elif what in spared:
            flags |= getattr(libvirt, f"VIR_DOMAIN_UNDEFINE_KEEP_{flag}")
    try:
        domain.undefineFlags(flags)
    except libvirt.libvirtError as error:
        if error.get_error_code() not in (
            libvirt.VIR_ERR_INVALID_ARG,
            libvirt.VIR_ERR_ARGUMENT_UNSUPPORTED,
            libvirt.VIR_ERR_NO_SUPPORT,
        ):
            raise
        # Before 8.9 there was no flag for the TPM: its state went without asking.
        without = flags & ~getattr(libvirt, "VIR_DOMAIN_UNDEFINE_TPM", 0)
        if without:
            domain.undefineFlags(without)
        else:
            domain.undefine()


def _remove_files(connection: libvirt.virConnect, plan: DeletePlan) -> None:
    left = []
    for item in plan.doomed:
        if item.spared or item.what not in (DISK, SEED, CONSOLE_LOG, TPM_KEY):
            continue
        try:
            _remove(connection, item)
        except libvirt.libvirtError as error:
            left.append(f"{item.name}: {reason(error)}")
        except OSError as error:
            left.append(f"{item.name}: {error.strerror}")
    if left:
        raise OperationError(
            f"{plan.name} is deleted, but files of it are left",
            why="\n".join(left),
            hint="Delete them by hand.",
        )


def _remove(connection: libvirt.virConnect, item: Doomed) -> None:
    if item.what == TPM_KEY:
        secret = secret_of(connection, item.name)
        if secret is not None:
            secret.undefine()
        return
    volume = volume_at(connection, item.name) if item.what in (DISK, SEED) else None
    if volume is not None:
        volume.delete(0)
    else:
        Path(item.name).unlink(missing_ok=True)
