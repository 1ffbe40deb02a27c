"""Deleted VMs that can still be brought back, until their time is up."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec

from vmtui.backends.abilities import TRASH_DAYS, Trashed
from vmtui.backends.kvm import disks
from vmtui.backends.kvm.machine import Machine
from vmtui.backends.kvm.store import Store
from vmtui.errors import NoSuchVMError, VmtuiError
from vmtui.files import sweep, write_whole
from vmtui.model import VMId
from vmtui.whole import whole_in_thread

NOTE = "trashed.json"
_FOLDER = ".trash"
_S_PER_DAY = 86_400.0


class Note(msgspec.Struct, frozen=True):
    """What is remembered of a deletion, in the folder of the VM."""

    name: str
    deleted_at_s: float  # Unix time, as all here
    due_since_s: float | None = None  # when its time was first found to be up


class TrashedMachine(Machine):
    """A VM in the trash. Its disks still lean on what they lean on."""

    def __init__(self, store: Store, note: Note, folder: Path) -> None:
        self._folder = folder
        super().__init__(Store(folder.parent, store.runtime_root), folder.name)
        self.reload()
        self.name = f"{note.name} (in the trash)"

    @property
    def folder(self) -> Path:
        """Where its definition and disks are."""
        return self._folder


class TrashBin:
    """A hidden folder of the store, with a folder a VM by its id."""

    def __init__(self, store: Store, days: float = TRASH_DAYS) -> None:
        self._store = store
        self._days = days
        self._root = store.root / _FOLDER

    async def put(self, machine: Machine) -> None:
        """Take a VM that is off out of the store. Its lock is held."""
        note = Note(machine.name, time.time())
        await whole_in_thread(write_whole, machine.folder / NOTE, msgspec.json.encode(note))
        to = self._root / machine.id
        if to.exists():  # one that can't be read has no id but its name, as the one before it
            numbered = (self._root / f"{machine.id}-{number}" for number in itertools.count(2))
            to.rename(next(folder for folder in numbered if not folder.exists()))
        await self._store.move_out(machine.name, to)

    def machines(self) -> Iterator[TrashedMachine]:
        """All that are in it, for looking at."""
        for folder, note in self._entries():
            yield TrashedMachine(self._store, note, folder)

    def content(self) -> tuple[Trashed, ...]:
        """All that are in it, the last deleted first. Blocks."""
        found = [
            Trashed(
                VMId(folder.name),
                note.name,
                note.deleted_at_s,
                note.deleted_at_s + self._days * _S_PER_DAY,
                sum(disks.own_file_bytes(path) or 0 for path in folder.rglob("*")),
            )
            for folder, note in self._entries()
        ]
        return tuple(sorted(found, key=lambda item: item.deleted_at_s, reverse=True))

    async def restore(self, vm: VMId) -> str:
        """Put it back into the store; its name. Raises NoSuchVMError, InputError."""
        folder, note = self._find(vm)
        await self._store.move_in(folder, note.name)
        (self._store.folder(note.name) / NOTE).unlink(missing_ok=True)
        self._tidy()
        return note.name

    async def purge(self, vm: VMId) -> None:
        """Remove it for good. Raises NoSuchVMError."""
        folder, _ = self._find(vm)
        await self._store.discard(folder)
        self._tidy()

    async def sweep(self) -> None:
        """Remove what has been in it for too long."""
        for folder, note in self._entries():
            with suppress(VmtuiError):  # another vmtui is at it, or the next time
                if await self._is_due(folder, note):
                    await self._store.discard(folder)
        for name in self._store.names():
            await self._unmark(name)
        self._tidy()

    async def _is_due(self, folder: Path, note: Note) -> bool:
        """Whether its time is up, and was a day ago: a clock that jumps ahead costs nobody a VM."""
        now_s, due_since_s = time.time(), note.due_since_s
        if now_s < note.deleted_at_s + self._days * _S_PER_DAY:
            due_since_s = None
        elif due_since_s is None or now_s < due_since_s:
            due_since_s = now_s
        if due_since_s != note.due_since_s:
            noted = msgspec.structs.replace(note, due_since_s=due_since_s)
            await whole_in_thread(write_whole, folder / NOTE, msgspec.json.encode(noted))
        grace_s = min(1.0, self._days) * _S_PER_DAY
        return due_since_s is not None and now_s >= due_since_s + grace_s

    async def _unmark(self, name: str) -> None:
        """Take the note out of a VM whose way into the trash, or out of it, was cut short."""
        note = self._store.folder(name) / NOTE
        sweep(note)
        if note.exists():
            with suppress(VmtuiError):
                async with self._store.locked(name, timeout_s=0):
                    note.unlink(missing_ok=True)

    def _entries(self) -> list[tuple[Path, Note]]:
        found = []
        with suppress(FileNotFoundError, NotADirectoryError):
            for folder in sorted(self._root.iterdir()):
                with suppress(OSError, msgspec.DecodeError):
                    note = msgspec.json.decode((folder / NOTE).read_bytes(), type=Note)
                    if Path(note.name).name == note.name:  # written by hand, it may be any path
                        found.append((folder, note))
        return found

    def _find(self, vm: VMId) -> tuple[Path, Note]:
        for folder, note in self._entries():
            if folder.name == vm:
                return folder, note
        names = [note.name for _, note in self._entries()]
        raise NoSuchVMError(
            f"{vm} is not in the trash", hint=f"There is: {', '.join(names)}." if names else ""
        )

    def _tidy(self) -> None:
        with suppress(OSError):
            self._root.rmdir()
