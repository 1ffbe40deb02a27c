"""Images, media, firmware and TPM of the direct backend, as far as QEMU running with them."""

from __future__ import annotations

import asyncio
import subprocess
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from vmtui.backends.base import no_progress
from vmtui.backends.kvm.backend import KvmBackend
from vmtui.backends.kvm.store import Store
from vmtui.images.resolve import resolve
from vmtui.model import DiskKind, Firmware, Power, State
from vmtui.spec import VMSpec
from vmtui.units import MIB

pytestmark = pytest.mark.slow


@pytest.fixture
async def backend() -> AsyncIterator[KvmBackend]:
    # Not tmp_path: the path of a socket may have 107 bytes.
    with tempfile.TemporaryDirectory(prefix="vmtui-") as folder:
        backend = KvmBackend(store=Store(Path(folder) / "vms", Path(folder) / "run"))
        await backend.open()
        yield backend
        for vm in await backend.vms():
            await backend.delete(vm.id, await backend.delete_plan(vm.id))
        await backend.close()


async def qemu_img(*arguments: str | Path) -> str:
    command = ["qemu-img", *map(str, arguments)]
    done = await asyncio.to_thread(
        subprocess.run, command, check=True, capture_output=True, text=True
    )
    return str(done.stdout)


@pytest.mark.parametrize("image_format", ["qcow2", "raw", "vmdk", "vdi", "vhdx"])
async def test_a_disk_image_is_copied_whole_and_grown(
    backend: KvmBackend, tmp_path: Path, image_format: str
) -> None:
    content = tmp_path / "content.raw"
    content.write_bytes(b"\xa5" * MIB + bytes(3 * MIB))
    image = tmp_path / f"image.{image_format}"
    if image_format == "raw":
        content.rename(image)
        content = image
    else:
        await qemu_img("convert", "-f", "raw", "-O", image_format, content, image)
    boot = await resolve(str(image))
    vm = await backend.create(VMSpec("web", boot, disk_bytes=8 * MIB), no_progress)
    [disk] = (await backend.vm(vm)).disks
    assert (disk.format, disk.capacity_bytes) == ("qcow2", 8 * MIB)
    assert disk.source is not None
    copy = tmp_path / "copy.raw"
    await qemu_img("convert", "-f", "qcow2", "-O", "raw", disk.source, copy)
    assert copy.read_bytes()[: 4 * MIB] == content.read_bytes()
    await backend.power(vm, Power.START)
    assert (await backend.vm(vm)).state is State.RUNNING
    assert image.exists()


async def test_a_medium_stays_where_it_is(backend: KvmBackend, tmp_path: Path) -> None:
    iso = tmp_path / "a, b.iso"
    iso.write_bytes(b"\0" * 0x8001 + b"CD001" + b"\0" * (MIB - 0x8006))
    vm = await backend.create(VMSpec("web", await resolve(str(iso)), disk_bytes=MIB), no_progress)
    kinds = {disk.kind: disk for disk in (await backend.vm(vm)).disks}
    assert kinds[DiskKind.CDROM].source == str(iso)
    assert kinds[DiskKind.CDROM].read_only
    await backend.power(vm, Power.START)
    plan = await backend.delete_plan(vm)
    assert [kept.name for kept in plan.kept] == [str(iso)]
    await backend.delete(vm, plan)
    assert iso.exists()


async def test_secure_boot_with_a_tpm_runs_and_its_keys_are_named_before_deletion(
    backend: KvmBackend,
) -> None:
    spec = VMSpec("web", firmware=Firmware.SECURE_BOOT, tpm=True)
    vm = await backend.create(spec, no_progress)
    await backend.power(vm, Power.START)
    shown = await backend.vm(vm)
    assert (shown.state, shown.firmware, shown.tpm) == (
        State.RUNNING,
        Firmware.SECURE_BOOT,
        True,
    )
    doomed = {item.what for item in (await backend.delete_plan(vm)).doomed}
    assert {"UEFI variables", "TPM state"} <= doomed
