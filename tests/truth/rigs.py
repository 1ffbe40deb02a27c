"""A backend with real QEMU, and how to get at its processes behind its back."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.contract.cases import opened
from vmtui.backends.base import Backend, no_progress
from vmtui.backends.kvm.backend import KvmBackend
from vmtui.backends.kvm.process import read_record
from vmtui.backends.kvm.store import Store
from vmtui.model import Power, VMId
from vmtui.spec import VMSpec
from vmtui.units import MIB

if TYPE_CHECKING:
    from tests.contract.daemon import PrivateLibvirtd

_numbers = itertools.count(1)


@dataclass
class Rig:
    """One open backend; `pid` is that of a running VM's QEMU, by the VM's name."""

    connect: Callable[[], Backend]
    """A new unopened client of the same place."""
    pid: Callable[[str], int]
    store: Store | None = None
    daemon: PrivateLibvirtd | None = None

    def __post_init__(self) -> None:
        self.backend = self.connect()

    async def made(
        self, *, vcpus: int = 1, memory_bytes: int = 160 * MIB, disk_bytes: int | None = None
    ) -> VMId:
        """A VM with the micro image, off."""
        spec = VMSpec(
            f"truth-{next(_numbers)}",
            vcpus=vcpus,
            memory_bytes=memory_bytes,
            disk_bytes=disk_bytes,
        )
        return await self.backend.create(spec, no_progress)

    async def started(
        self, *, vcpus: int = 1, memory_bytes: int = 160 * MIB, disk_bytes: int | None = None
    ) -> VMId:
        """As `made`, and running."""
        vm = await self.made(vcpus=vcpus, memory_bytes=memory_bytes, disk_bytes=disk_bytes)
        await self.backend.power(vm, Power.START)
        return vm

    async def process(self, vm: VMId) -> int:
        """The pid of its QEMU."""
        return self.pid((await self.backend.vm(vm)).name)


@asynccontextmanager
async def direct() -> AsyncIterator[Rig]:
    """The direct backend on a store of its own."""
    # Not tmp_path: the path of a socket may have 107 bytes.
    with tempfile.TemporaryDirectory(prefix="vmtui-") as folder:
        store = Store(Path(folder) / "vms", Path(folder) / "run")

        def pid(name: str) -> int:
            record = read_record(store.runtime(name) / "process.json")
            assert record is not None
            return record.pid

        rig = Rig(lambda: KvmBackend(store=store), pid, store=store)
        async with opened(rig.backend):
            yield rig


@asynccontextmanager
async def over_libvirt(daemon: PrivateLibvirtd) -> AsyncIterator[Rig]:
    """A real libvirtd."""
    from vmtui.backends.libvirt.backend import LibvirtBackend

    def connect() -> Backend:
        return LibvirtBackend(daemon.uri, places=daemon.places)

    rig = Rig(connect, daemon.qemu_pid, daemon=daemon)
    async with opened(rig.backend):
        yield rig
