"""Files of libvirt's own: whether they are at hand, and whose they are."""

from __future__ import annotations

import grp
import os
import pwd
from pathlib import Path

import libvirt

from vmtui.backends.libvirt.around.settings import Settings
from vmtui.backends.libvirt.listing import state_of
from vmtui.backends.libvirt.places import Places
from vmtui.errors import StateError, UnsupportedError
from vmtui.model import State

SWTPM_USER = "tss"


def is_at_hand(places: Places, path: Path | None) -> bool:
    """Whether this process may read and change what is there, or would be."""
    if not places.local or path is None:
        return False
    try:
        while not path.exists():
            path = path.parent
    except OSError:
        return False
    folder = os.X_OK if path.is_dir() else 0
    return os.access(path, os.R_OK | os.W_OK | folder)


def check_at_hand(places: Places, path: Path | None, refused: str) -> Path:
    """The path. Raises UnsupportedError, with the way by hand, where it is not at hand."""
    if path is None or is_at_hand(places, path) is False:
        where = f" ({path})" if path is not None else ""
        raise UnsupportedError(
            refused,
            why="libvirt gives out no such files, and this user may not read them"
            if places.local
            else "libvirt gives out no such files, and they are on another machine",
            hint=f"Run vmtui as root for that{where}."
            if places.local
            else f"Run vmtui on that machine, as root{where}.",
        )
    return path


def check_off(domain: libvirt.virDomain, verb: str) -> None:
    """Raise StateError unless nothing of it runs or is saved."""
    state, name = state_of(domain), str(domain.name())
    if state in (State.OFF, State.CRASHED):
        return
    raise StateError(
        f"can't {verb} {name}",
        why=f"it is {state.value}",
        hint="Its saved memory goes with what it has now: start it, then shut it down."
        if state is State.SAVED
        else f"Shut it down first: vmtui shutdown {name}",
    )


def make_folder(path: Path, owner: tuple[int, int] | None) -> list[Path]:
    """A private folder of that owner, with those above it; what of it was not there. Blocks."""
    made: list[Path] = []
    # libvirt 11 makes the one for all VMs only when the first of them starts.
    for one in reversed([one for one in (path, *path.parents) if not one.exists()]):
        one.mkdir(mode=0o700 if one == path else 0o711)
        made.append(one)
    if owner is not None and path in made:
        os.chown(path, *owner)
    return made


def remove_empty(folders: list[Path]) -> None:
    """Take back what `make_folder` made, as far as nothing is in it. Blocks."""
    for folder in reversed(folders):
        try:
            folder.rmdir()
        except OSError:
            return


def swtpm_owner(places: Places, settings: Settings | None) -> tuple[int, int] | None:
    """As whom libvirt runs swtpm; None: as it runs itself. Raises LookupError. Blocks."""
    if places.session:
        return None
    user = (settings.text("swtpm_user") if settings else "") or SWTPM_USER
    group = settings.text("swtpm_group") if settings else ""
    found = pwd.getpwnam(user)
    return found.pw_uid, grp.getgrnam(group).gr_gid if group else found.pw_gid
