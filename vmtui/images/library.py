"""The library of images: a folder for each, whose content never changes once it is there."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import platformdirs

from vmtui.errors import BusyError, InputError, OperationError, RefusedError
from vmtui.files import flush_folder, not_writable, sweep
from vmtui.images import image as record
from vmtui.images.image import Image, ImageKind, no_such_image
from vmtui.locks import try_lock, wait_lock
from vmtui.progress import ProgressSink, no_progress
from vmtui.spec import BootKind, name_problem
from vmtui.whole import whole_in_thread

__all__ = ["Image", "ImageKind", "Library", "default_root", "no_such_image"]

LOCK_TIMEOUT_S = 10.0
RESERVED = (BootKind.MICRO.value, BootKind.NONE.value)
"""What `--image` means otherwise."""

_ARRIVING, _LEAVING = ".new-", ".old-"
_READ_ONLY = 0o444


Users = Callable[[], Awaitable[Sequence[str]]]
"""Tells the names of the VMs whose disks lean on an image."""


async def nobody() -> Sequence[str]:
    """For an image that nobody can know of yet."""
    return ()


def default_root() -> Path:
    """Where this user's images are."""
    return platformdirs.user_data_path("vmtui") / "images"


class Library:
    """The images in `root`. Several processes may use it at once; it reads anew at each call."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = root or default_root()

    def images(self) -> list[Image]:
        """All images that can be used, by name. Blocks for a short while."""
        return [image for image in map(self._readable, self._names()) if image is not None]

    def broken(self) -> list[InputError]:
        """What is wrong with those that can't be."""
        problems = []
        for name in self._names():
            try:
                record.read(self.root / name)
            except InputError as error:
                problems.append(error)
        return problems

    def find(self, name: str) -> Image | None:
        """The image of that name, or None. Raises InputError if it is broken."""
        if name_problem(name) or not (self.root / name).is_dir():
            return None
        return record.read(self.root / name)

    def image(self, name: str) -> Image:
        """The image of that name. Raises InputError, with the names that are like it."""
        image = self.find(name)
        if image is None:
            raise no_such_image(name, self._names())
        return image

    def _names(self) -> list[str]:
        try:
            with os.scandir(self.root) as entries:
                return sorted(e.name for e in entries if e.name[0] != "." and e.is_dir())
        except FileNotFoundError:
            return []
        except OSError as error:
            raise OperationError(f"{self.root} can't be read", why=error.strerror or "") from error

    def _readable(self, name: str) -> Image | None:
        try:
            return record.read(self.root / name)
        except InputError:
            return None

    def refuse_name(self, name: str) -> None:
        """Raise InputError unless a new image can be called `name`."""
        problem = name_problem(name)
        if problem:
            raise InputError(
                f"{name!r} can't be an image's name", why=problem.replace("A VM", "An image")
            )
        if name.lower() in RESERVED:
            raise InputError(f"an image can't be called {name}", why="that has a meaning already")
        for other in self._names():
            if other.lower() == name.lower():
                raise InputError(
                    f"the library has an image {other} already",
                    hint=f"Use another name, or remove it: vmtui images remove {other}",
                )

    @asynccontextmanager
    async def scratch(self) -> AsyncIterator[Path]:
        """A hidden folder beside the images, for what becomes one; gone when the block ends.

        What is left in it by a killed process is removed by the next one.
        """
        async with self._changing():
            folder = Path(await whole_in_thread(_new_folder, self.root))
            lock = try_lock(folder / ".lock")
        try:
            yield folder
        finally:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
            if lock is not None:
                os.close(lock)

    async def add(
        self, image: Image, progress: ProgressSink = no_progress, *, summed: bool = True
    ) -> Image:
        """Take the image's files into the library: all of it, or nothing.

        A file in a folder of `scratch` is moved, any other copied. Without `summed` a sum that is
        not known is left to the first `verify`: for what was made here, and comes with none.
        Raises InputError if the name can't be used or is taken, OperationError.
        """
        self.refuse_name(image.name)
        async with self.scratch() as folder:
            stage = folder / "image"
            try:
                stage.mkdir()
                added = await whole_in_thread(self._taken, image, stage)
            except OSError as error:
                raise not_writable(self.root, error) from error
            if summed:
                added = await record.summed(added, progress)
            await whole_in_thread(record.write, stage, replace(added, added_at_s=time.time()))
            async with self._changing():
                self.refuse_name(image.name)
                try:
                    stage.rename(self.root / image.name)
                except OSError as error:
                    raise not_writable(self.root, error) from error
            await asyncio.to_thread(flush_folder, self.root)
        return self.image(image.name)

    def _taken(self, image: Image, stage: Path) -> Image:
        """The same with its files in `stage`."""
        file = self._take(image.path, stage / record.file_name(image.kind, image.format))
        initrd = self._take(image.initrd, stage / record.INITRD) if image.initrd else None
        return replace(image, path=file, initrd=initrd)

    def _take(self, source: Path, file: Path) -> Path:
        ours = source.parent.parent == self.root and source.parent.name.startswith(_ARRIVING)
        if ours:
            source.rename(file)
        else:
            shutil.copyfile(source, file)
        # Nothing may write to what disks lean on.
        file.chmod(_READ_ONLY)
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        return file

    @asynccontextmanager
    async def held(self, name: str) -> AsyncIterator[Image]:
        """The image, which nobody removes while the block runs: for making a disk from it."""
        async with self._changing():
            image = self.image(name)
            lock = try_lock(self._lock_path(name), shared=True)
        if lock is None:  # only for a moment: `remove` has both locks
            raise BusyError(f"the image {name} is being removed")
        try:
            yield image
        finally:
            os.close(lock)

    async def remove(self, name: str, in_use: Users = nobody) -> None:
        """Delete an image, or a broken one. Raises RefusedError if VMs lean on it, BusyError.

        Who `in_use` is is asked while nobody can make a VM from it.
        """
        if name_problem(name) or name not in await asyncio.to_thread(self._names):
            raise no_such_image(name, self._names())
        async with self._changing():
            lock = try_lock(self._lock_path(name))
            if lock is None:
                raise BusyError(
                    f"the image {name} is in use",
                    why="it is being read, or a VM being made from it",
                )
            try:
                _refuse_used(name, await in_use())
                grave = self.root / f"{_LEAVING}{name}-{os.getpid()}"
                (self.root / name).rename(grave)
                self._lock_path(name).unlink(missing_ok=True)
            except OSError as error:
                raise not_writable(self.root, error) from error
            finally:
                os.close(lock)
        await asyncio.to_thread(shutil.rmtree, grave, ignore_errors=True)

    async def verify(self, name: str, progress: ProgressSink = no_progress) -> Image:
        """Compute its sums again. Raises OperationError if a file is no longer what it was.

        An image that came without one has it from now on.
        """
        async with self.held(name) as image:
            found = await record.summed(replace(image, sha256="", initrd_sha256=""), progress)
            if not image.sha256:
                await whole_in_thread(record.write, image.path.parent, found)
                return found
        for whose, now, then in (
            ("its", found.sha256, image.sha256),
            ("its initrd's", found.initrd_sha256, image.initrd_sha256),
        ):
            if now != then:
                raise OperationError(
                    f"the image {name} is not what it was",
                    why=f"{whose} SHA-256 is {now}, and it came with {then}",
                    hint=f"Remove it and get it again: vmtui images remove {name}",
                )
        return image

    def sweep(self) -> None:
        """Remove what killed processes left, unless somebody is at it. Blocks."""
        if self.root.is_dir():
            with suppress(OperationError):
                lock = try_lock(self.root / ".lock")
                if lock is not None:
                    self._sweep()
                    os.close(lock)

    def _lock_path(self, name: str) -> Path:
        return self.root / f".{name}.lock"

    @asynccontextmanager
    async def _changing(self) -> AsyncIterator[None]:
        """Hold what the library consists of; what killed processes left is removed first."""
        try:
            await asyncio.to_thread(self.root.mkdir, mode=0o700, parents=True, exist_ok=True)
            lock = await wait_lock(self.root / ".lock", LOCK_TIMEOUT_S)
        except OSError as error:
            if isinstance(error, TimeoutError):
                raise BusyError("the library of images is being changed") from error
            raise not_writable(self.root, error) from error
        try:
            await asyncio.to_thread(self._sweep)
            yield
        finally:
            os.close(lock)

    def _sweep(self) -> None:
        for folder in self.root.glob(f"{_LEAVING}*"):
            shutil.rmtree(folder, ignore_errors=True)
        for folder in self.root.glob(f"{_ARRIVING}*"):
            with suppress(OperationError):  # its maker has just removed it
                lock = try_lock(folder / ".lock")
                if lock is not None:
                    shutil.rmtree(folder, ignore_errors=True)
                    os.close(lock)
        for name in self._names():
            sweep(self.root / name / record.RECORD)


def _new_folder(root: Path) -> str:
    try:
        return tempfile.mkdtemp(prefix=_ARRIVING, dir=root)
    except OSError as error:
        raise not_writable(root, error) from error


def _refuse_used(name: str, names: Sequence[str]) -> None:
    if names:
        raise RefusedError(
            f"the image {name} is in use",
            why=f"{', '.join(names)} can't do without it",
            hint="Delete those VMs first.",
        )
