"""What killed processes left in the folders of VMs: known by name, removed unless it is held."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

from vmtui import files
from vmtui.errors import OperationError
from vmtui.locks import try_lock

HIDDEN = "."
NEW, OLD = ".new-", ".old-"
"""How folders begin that are not VMs yet, or no longer."""
MAKING = ".making"
"""Locked by who makes or removes the folder that it is in."""

_LOCK = ".lock"


def lock_path(runtime_root: Path, name: str) -> Path:
    """What is locked by who changes the VM of that name."""
    return runtime_root / f"{HIDDEN}{name}{_LOCK}"


def sweep(root: Path, runtime_root: Path) -> None:
    """Remove what is half-made and half-deleted, and what VMs that are gone had while they ran."""
    names = set()
    with suppress(OSError), os.scandir(root) as entries:
        for entry in entries:
            if entry.name.startswith((NEW, OLD)):
                _sweep_stage(Path(entry.path))
            elif not entry.name.startswith(HIDDEN):
                names.add(entry.name)
                files.sweep(Path(entry.path) / "vm.toml")
        for path in runtime_root.glob(f"{HIDDEN}*{_LOCK}"):
            name = path.name.removeprefix(HIDDEN).removesuffix(_LOCK)
            if name and not name.startswith(HIDDEN) and name not in names:
                _sweep_runtime(root, runtime_root, name)


def _sweep_stage(folder: Path) -> None:
    with suppress(OperationError):
        lock = try_lock(folder / MAKING)
        if lock is not None:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)


def _sweep_runtime(root: Path, runtime_root: Path, name: str) -> None:
    runtime, path = runtime_root / name, lock_path(runtime_root, name)
    if (runtime / "qemu.pid").exists():  # somebody took its folder away while it ran
        return
    with suppress(OperationError):
        lock = try_lock(path)
        if lock is not None:
            if not (root / name).exists():  # nor was it made anew meanwhile
                shutil.rmtree(runtime, ignore_errors=True)
                path.unlink(missing_ok=True)
            os.close(lock)
