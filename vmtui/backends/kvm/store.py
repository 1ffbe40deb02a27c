"""The folders of VMs on disk: definitions read and written whole, names taken once, locks held."""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import platformdirs
import tomli_w

from vmtui import toml
from vmtui.backends.kvm import leftovers
from vmtui.backends.kvm.checked import convert
from vmtui.backends.kvm.definition import Definition
from vmtui.backends.kvm.leftovers import HIDDEN, MAKING, NEW, OLD, lock_path
from vmtui.errors import BusyError, InputError, OperationError
from vmtui.files import not_writable, write_whole
from vmtui.locks import try_lock, wait_lock
from vmtui.whole import whole_in_thread

LOCK_TIMEOUT_S = 10.0


def default_runtime_root() -> Path:
    """Where sockets go: the same for every process of the user, with or without a login session.

    Sockets are reached by short paths only, so the last resort is a folder in /tmp; `prepare`
    refuses one that somebody else has put there.
    """
    session = os.environ.get("XDG_RUNTIME_DIR", "")
    if session.startswith("/"):
        return Path(session) / "vmtui"
    login = Path(f"/run/user/{os.getuid()}")
    if login.is_dir() and os.access(login, os.W_OK):
        return login / "vmtui"
    return Path(f"/tmp/vmtui-{os.getuid()}")  # noqa: S108


class Store:
    """`root` holds a folder per VM; `runtime_root` holds what belongs to running ones."""

    def __init__(self, root: Path | None = None, runtime_root: Path | None = None) -> None:
        self.root = root or platformdirs.user_data_path("vmtui") / "vms"
        self.runtime_root = runtime_root or default_runtime_root()

    def prepare(self) -> None:
        """Make both roots, private to the user. Raises OperationError."""
        for folder in (self.root, self.runtime_root):
            try:
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                status = folder.lstat()
            except OSError as error:
                raise not_writable(folder, error) from error
            if status.st_uid != os.getuid() or not stat.S_ISDIR(status.st_mode):
                raise OperationError(
                    f"{folder} can't be used",
                    why="it belongs to another user",
                    hint="Remove it, or set XDG_RUNTIME_DIR and XDG_DATA_HOME to folders of yours.",
                )
        # Sockets in it are consoles and monitors: nobody else may reach them.
        if self.runtime_root.stat().st_mode & 0o077:
            self.runtime_root.chmod(0o700)

    def folder(self, name: str) -> Path:
        """Where a VM's definition and disks are."""
        return self.root / name

    def runtime(self, name: str) -> Path:
        """Where a running VM's sockets, logs and pid are."""
        return self.runtime_root / name

    def names(self) -> list[str]:
        """All VMs. An unreadable store raises OperationError."""
        try:
            with os.scandir(self.root) as entries:
                return sorted(
                    entry.name
                    for entry in entries
                    if not entry.name.startswith(HIDDEN) and entry.is_dir()
                )
        except OSError as error:
            raise OperationError(f"{self.root} can't be read", why=error.strerror or "") from error

    def stamp(self, name: str) -> tuple[int, int, int]:
        """Changes whenever the definition was rewritten."""
        try:
            status = (self.folder(name) / "vm.toml").stat()
        except OSError:
            return (0, 0, 0)
        return (status.st_ino, status.st_mtime_ns, status.st_size)

    def read(self, name: str) -> Definition:
        """The definition of `name`. Raises InputError with file, key and reason."""
        text, path = self.text(name), self.folder(name) / "vm.toml"
        try:
            return convert(toml.tables(text))
        except ValueError as error:  # TOML's and msgspec's are of this kind
            raise InputError(
                f"{path} is not a VM's definition",
                why=str(error),
                hint=f"Mend the file, or remove the VM with: vmtui delete {name}",
            ) from error

    async def write(self, folder: Path, definition: Definition) -> None:
        """Write `vm.toml` into `folder`: the old content or the new, never a part.

        Of one that is there, what stays the same stays as it was written, comments included.
        """
        path = folder / "vm.toml"
        content = await asyncio.to_thread(_edited, path, definition)
        await whole_in_thread(write_whole, path, content)

    def text(self, name: str) -> str:
        """What `vm.toml` has. Raises InputError."""
        path = self.folder(name) / "vm.toml"
        try:
            return path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise InputError(f"{path} can't be read", why=reason or "") from error

    async def write_text(self, name: str, text: str) -> None:
        """Replace `vm.toml` by a text that was found good."""
        await whole_in_thread(write_whole, self.folder(name) / "vm.toml", text.encode())

    async def rename(self, name: str, to: str) -> None:
        """Give the folder of a VM that is off another name. Raises InputError if that is taken."""
        async with self._locked(self.root / ".lock", "the store"):
            for other in self.names():
                if other.lower() == to.lower() and other != name:
                    raise InputError(f"a VM named {other} exists already", hint="Use another name.")
            try:
                self.folder(name).rename(self.folder(to))
            except OSError as error:
                raise not_writable(self.root, error) from error
        await asyncio.to_thread(shutil.rmtree, self.runtime(name), ignore_errors=True)
        self._lock_path(name).unlink(missing_ok=True)

    @asynccontextmanager
    async def staged(self, name: str) -> AsyncIterator[Path]:
        """A new VM's folder, hidden until the block ends well, gone if it does not.

        Raises InputError if the name was taken meanwhile, in any case of letters.
        """
        stage, lock = self._stage(name)
        try:
            yield stage
            async with self._locked(self.root / ".lock", "the store"):
                self._refuse_taken(name)
                stage.rename(self.folder(name))
            (self.folder(name) / MAKING).unlink(missing_ok=True)
        except BaseException:
            await asyncio.to_thread(shutil.rmtree, stage, ignore_errors=True)
            raise
        finally:
            os.close(lock)

    def _stage(self, name: str) -> tuple[Path, int]:
        """A hidden folder, and the lock in it by which `sweep` knows that somebody works there."""
        while True:
            try:
                stage = Path(tempfile.mkdtemp(prefix=f"{NEW}{name}-", dir=self.root))
            except OSError as error:
                raise not_writable(self.root, error) from error
            try:
                lock = try_lock(stage / MAKING)
            except OperationError:
                if stage.exists():
                    raise
                continue  # swept before it was locked
            if lock is not None:
                return stage, lock

    def _refuse_taken(self, name: str) -> None:
        for other in self.names():
            if other.lower() == name.lower():
                raise InputError(f"a VM named {other} exists already", hint="Use another name.")

    async def remove(self, name: str) -> None:
        """Delete the VM's folder and its runtime folder with all that is in them."""
        await self.discard(self.folder(name))
        await self._forget_runtime(name)

    async def discard(self, folder: Path) -> None:
        """Delete a folder of the store: at once out of sight, whatever comes then."""
        try:
            # An empty folder is replaced by what is renamed to it.
            grave = Path(tempfile.mkdtemp(prefix=f"{OLD}{folder.name}-", dir=self.root))
            await asyncio.to_thread(folder.rename, grave)
        except OSError as error:
            raise not_writable(self.root, error) from error
        await asyncio.to_thread(shutil.rmtree, grave, ignore_errors=True)

    async def move_out(self, name: str, to: Path) -> None:
        """Take the VM's folder out of the store, whole, to where there is nothing yet."""
        try:
            to.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.folder(name).rename(to)
        except OSError as error:
            raise not_writable(to.parent, error) from error
        await self._forget_runtime(name)

    async def move_in(self, folder: Path, name: str) -> None:
        """Make a folder that of a VM again. Raises InputError if the name was taken meanwhile."""
        async with self._locked(self.root / ".lock", "the store"):
            self._refuse_taken(name)
            try:
                await asyncio.to_thread(folder.rename, self.folder(name))
            except OSError as error:
                raise not_writable(self.root, error) from error

    async def _forget_runtime(self, name: str) -> None:
        await asyncio.to_thread(shutil.rmtree, self.runtime(name), ignore_errors=True)
        self._lock_path(name).unlink(missing_ok=True)

    def sweep(self) -> None:
        """Remove what a killed process left half-made or half-deleted."""
        leftovers.sweep(self.root, self.runtime_root)

    @asynccontextmanager
    async def locked(self, name: str, timeout_s: float | None = None) -> AsyncIterator[None]:
        """Hold the VM against changes by other vmtui processes. Raises BusyError after a while."""
        async with self._locked(self._lock_path(name), name, timeout_s):
            try:
                self._make_runtime(name)
                yield
            finally:
                if not self.folder(name).exists():  # by this change, or the one before
                    await self._forget_runtime(name)

    def _make_runtime(self, name: str) -> None:
        try:
            self.runtime(name).mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise not_writable(self.runtime_root, error) from error

    def _lock_path(self, name: str) -> Path:
        return lock_path(self.runtime_root, name)

    @asynccontextmanager
    async def _locked(
        self, path: Path, what: str, timeout_s: float | None = None
    ) -> AsyncIterator[None]:
        try:
            lock = await wait_lock(path, LOCK_TIMEOUT_S if timeout_s is None else timeout_s)
        except TimeoutError as error:
            raise BusyError(
                f"{what} is being changed by another vmtui", hint="Try again when that is done."
            ) from error
        try:
            yield
        finally:
            os.close(lock)


def _edited(path: Path, definition: Definition) -> bytes:
    try:
        text = path.read_text("utf-8")
        before = convert(toml.tables(text))
    except (OSError, ValueError):
        return _toml(definition)
    from vmtui.backends.kvm.written import edited  # noqa: PLC0415 (listing has to be quick)

    return edited(text, before, definition).encode()


def _toml(definition: Definition) -> bytes:
    content = msgspec.to_builtins(definition)
    return tomli_w.dumps({key: value for key, value in content.items() if value != {}}).encode()
