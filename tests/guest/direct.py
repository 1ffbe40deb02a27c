"""A store and a library of their own, and any number of direct backends on them."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.guest.sector import write_image
from vmtui.backends.kvm.backend import KvmBackend
from vmtui.backends.kvm.store import Store
from vmtui.errors import NoSuchVMError, StateError
from vmtui.images.library import Image, ImageKind, Library
from vmtui.model import VMId
from vmtui.spec import Boot, BootKind
from vmtui.units import MIB

PRINT_LIMIT_S = 30.0
END_LIMIT_S = 10.0


@dataclass
class Desk:
    """What one user has, seen by several vmtui."""

    root: Path
    backends: list[KvmBackend] = field(default_factory=list)

    @property
    def store(self) -> Store:
        return Store(self.root / "vms", self.root / "run")

    @property
    def library(self) -> Library:
        return Library(self.root / "images")

    async def backend(self, *, read_only: bool = False) -> KvmBackend:
        backend = KvmBackend(store=self.store, library=self.library, read_only=read_only)
        await backend.open()
        self.backends.append(backend)
        return backend

    async def image(self, name: str = "tiny", *, power_off: bool = False, user: str = "") -> Boot:
        """An image of the library that prints its name when it boots."""
        path = write_image(self.root / "made.raw", f"this is {name}", power_off=power_off)
        image = await self.library.add(Image(name, ImageKind.DISK, path, "raw", MIB, ""))
        path.unlink()
        return Boot(BootKind.DISK, image.path, image.format, MIB, image=name, user=user)

    def left(self) -> list[str]:
        """What is in the store, hidden things included."""
        return sorted(path.name for path in (self.root / "vms").iterdir() if path.name != ".lock")


@asynccontextmanager
async def desk() -> AsyncIterator[Desk]:
    """Everything on it is removed; a process or a file that is left fails."""
    # Not tmp_path: the path of a socket may have 107 bytes.
    with tempfile.TemporaryDirectory(prefix="vmtui-") as folder:
        made = Desk(Path(folder))
        try:
            yield made
        finally:
            await _cleared(made)
        assert list((made.root / "run").iterdir()) == []
        assert made.left() == []
        async with asyncio.timeout(END_LIMIT_S):
            while _processes(folder):  # they end by themselves, after QEMU
                await asyncio.sleep(0.01)


def _processes(folder: str) -> list[str]:
    """The command lines that have to do with `folder`."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            line = path.read_text("utf-8", "replace").replace("\0", " ")
            if folder in line:
                found.append(line)
    return found


async def _cleared(made: Desk) -> None:
    cleaner = await made.backend()
    for _ in range(len(vms := await cleaner.vms())):
        for vm in vms:
            # What others lean on has to wait for its turn; what is gone is gone.
            with suppress(StateError, NoSuchVMError):
                await cleaner.delete(vm.id, await cleaner.delete_plan(vm.id))
    for backend in made.backends:
        await backend.close()


async def prints(backend: KvmBackend, vm: VMId, text: str) -> None:
    """Wait until the guest has printed `text`."""
    seen = b""
    async with asyncio.timeout(PRINT_LIMIT_S):
        async for data in backend.console_output(vm):
            seen += data
            if text.encode() in seen:
                return
    raise AssertionError(f"no {text!r} in {seen!r}")
