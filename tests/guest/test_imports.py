"""A disk that boots, exported and imported by every way there is: it is the same, and boots."""

from __future__ import annotations

import asyncio
import hashlib
import subprocess
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.guest.screen import ScreenGuest, built
from vmtui.backends.base import no_progress
from vmtui.backends.kvm.backend import KvmBackend
from vmtui.backends.kvm.store import Store
from vmtui.images.export import export_ova
from vmtui.images.imports.foreign import Foreign, ForeignDisk, ForeignNic
from vmtui.images.imports.importing import import_file
from vmtui.images.library import Library
from vmtui.images.qemu_img import Source
from vmtui.images.resolve import resolve
from vmtui.model import Firmware
from vmtui.units import MIB

pytestmark = pytest.mark.slow

MACHINE = Foreign(
    origin="vmtui",
    name="screen",
    vcpus=2,
    memory_bytes=96 * MIB,
    firmware=Firmware.BIOS,
    disks=(ForeignDisk("disk"),),
    nics=(ForeignNic(model="e1000"),),
)


@pytest.fixture
async def backend(tmp_path: Path) -> AsyncIterator[KvmBackend]:
    # Not tmp_path for all: the path of a socket may have 107 bytes.
    with tempfile.TemporaryDirectory(prefix="vmtui-") as folder:
        store = Store(Path(folder) / "vms", Path(folder) / "run")
        backend = KvmBackend(store=store, library=Library(tmp_path / "images"))
        await backend.open()
        yield backend
        for vm in await backend.vms():
            await backend.delete(vm.id, await backend.delete_plan(vm.id))
        await backend.close()


async def qemu_img(*arguments: str | Path) -> None:
    command = ["qemu-img", *map(str, arguments)]
    await asyncio.to_thread(subprocess.run, command, check=True, capture_output=True)


async def guest_sum(path: Path, image_format: str) -> str:
    raw = path.with_name(f"{path.name}.guest")
    await qemu_img("convert", "-f", image_format, "-O", "raw", path, raw)
    return hashlib.sha256(raw.read_bytes()).hexdigest()


async def test_what_goes_out_comes_in_again_and_boots(backend: KvmBackend, tmp_path: Path) -> None:
    disk = await asyncio.to_thread(built, tmp_path)
    with disk.open("ab") as file:
        file.write(hashlib.shake_256(b"the guest's own data").digest(3 * MIB))
    expected = await guest_sum(disk, "raw")
    library = Library(tmp_path / "images")
    vhd = ("-o", "force_size")
    for ending, kind, options in (
        ("vmdk", "vmdk", ()),
        ("vdi", "vdi", ()),
        ("vhdx", "vhdx", ()),
        ("vhd", "vpc", vhd),
    ):
        path = tmp_path / f"{ending}.{ending}"
        await qemu_img("convert", "-f", "raw", "-O", kind, *options, disk, path)
        [image] = (await import_file(path, ending, library)).images
        assert await guest_sum(image.path, "qcow2") == expected
    ova = tmp_path / "screen.ova"
    await export_ova(MACHINE, [Source(disk, "raw")], ova)
    imported = await import_file(ova, "screen", library)
    assert await guest_sum(imported.images[0].path, "qcow2") == expected

    boot = await resolve("screen", library)
    vm = await backend.create(imported.foreign.spec("screen", boot), no_progress)
    made = await backend.vm(vm)
    assert (made.vcpus, made.memory_bytes, made.firmware) == (2, 96 * MIB, Firmware.BIOS)
    async with ScreenGuest(backend, vm).running():
        pass
