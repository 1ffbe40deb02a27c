"""What a killed process leaves is removed by the next start, and nothing that is somebody's."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from vmtui.backends.base import no_progress
from vmtui.backends.kvm.backend import KvmBackend
from vmtui.backends.kvm.store import Store
from vmtui.backends.kvm.trash import NOTE
from vmtui.files import sweep, write_whole
from vmtui.images.library import Library
from vmtui.locks import try_lock
from vmtui.spec import BLANK, VMSpec
from vmtui.units import MIB


@pytest.fixture
def nobody() -> int:
    """The pid of a process that has ended."""
    with subprocess.Popen(["true"]) as process:
        process.wait()
    return process.pid


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "vms", tmp_path / "run")
    store.prepare()
    return store


def test_what_was_begun_in_place_of_a_file(tmp_path: Path, nobody: int) -> None:
    path = tmp_path / "vm.toml"
    write_whole(path, b"whole")
    begun = tmp_path / f".vm.toml.{nobody}"
    others = [tmp_path / name for name in (f".vm.toml.{os.getpid()}", ".vm.toml.swp", ".x.1")]
    for file in (begun, *others):
        file.touch()
    sweep(path)
    assert not begun.exists()
    assert all(file.exists() for file in (path, *others))


def test_what_a_vm_had_that_is_gone(store: Store) -> None:
    for name in ("gone", "held", "runs", "stays"):
        store.runtime(name).mkdir()
        store._lock_path(name).touch()
    (store.runtime("runs") / "qemu.pid").touch()  # its folder was taken away meanwhile
    store.folder("stays").mkdir()
    held = try_lock(store._lock_path("held"))
    assert held is not None
    store.sweep()
    os.close(held)
    assert sorted(path.name for path in store.runtime_root.iterdir()) == [
        *(".held.lock", ".runs.lock", ".stays.lock"),
        *("held", "runs", "stays"),
    ]


@pytest.mark.parametrize("name", ["..lock", "...lock", "....lock", ".....lock"])
def test_a_lock_that_is_named_like_no_vm_leads_nowhere(store: Store, name: str) -> None:
    (store.runtime_root / name).touch()
    (store.root / "vm").mkdir()
    store.sweep()
    assert (store.runtime_root / name).exists()
    assert (store.root / "vm").exists()


async def test_a_way_into_the_trash_that_was_cut_short(store: Store, nobody: int) -> None:
    backend = KvmBackend(store=store)
    await backend.open()
    await backend.create(VMSpec("web", BLANK, disk_bytes=MIB), no_progress)
    (store.folder("web") / NOTE).write_text('{"name": "web", "deleted_at_s": 1.0}')
    (store.folder("web") / f".{NOTE}.{nobody}").touch()
    async with store.locked("web"):
        await backend.open()
        assert (store.folder("web") / NOTE).exists(), "somebody is at it"
    await backend.open()
    assert sorted(path.name for path in store.folder("web").iterdir()) == ["disk.qcow2", "vm.toml"]
    await backend.close()


def test_what_did_not_become_an_image(tmp_path: Path) -> None:
    library = Library(tmp_path / "images")
    library.sweep()
    assert not library.root.exists(), "who only looks makes nothing"
    library.root.mkdir()
    (library.root / ".new-x").mkdir()
    changing = try_lock(library.root / ".lock")
    assert changing is not None
    library.sweep()
    assert (library.root / ".new-x").exists(), "somebody is at it"
    os.close(changing)
    library.sweep()
    assert not (library.root / ".new-x").exists()
