"""Creations of the direct backend that end early: killed, cancelled, out of space, two at once."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.guest.direct import Desk, desk, prints
from vmtui.backends.base import Progress, ProgressSink, no_progress
from vmtui.backends.kvm.backend import KvmBackend
from vmtui.errors import InputError, NoSuchVMError, OperationError, VmtuiError
from vmtui.model import EventKind, Firmware, Power, VMId
from vmtui.parts import CloudInit, DiskSpec, NicSpec, SharedFolder
from vmtui.spec import BLANK, VMSpec
from vmtui.units import KIB, MIB

pytestmark = pytest.mark.slow

STAGES = ("disk", "seed", "firmware", "TPM")


@pytest.fixture
async def site(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Desk]:
    monkeypatch.setenv("VMTUI_ACCEL", "tcg")
    async with desk() as site:
        yield site


async def everything(site: Desk) -> VMSpec:
    """What goes through every stage."""
    return VMSpec(
        "web",
        await site.image(),
        firmware=Firmware.UEFI,
        tpm=True,
        disks=(DiskSpec(MIB),),
        cloud_init=CloudInit(user="me"),
    )


CREATION = """
import asyncio, os, signal, sys
from pathlib import Path
from tests.guest.direct import Desk
from vmtui.model import Firmware
from vmtui.parts import CloudInit, DiskSpec
from vmtui.spec import Boot, BootKind, VMSpec

def stop_at_stage(progress):
    if progress.stage == sys.argv[2]:
        os.kill(os.getpid(), signal.SIGSTOP)

async def main():
    desk = Desk(Path(sys.argv[1]))
    image = desk.library.image("tiny")
    boot = Boot(BootKind.DISK, image.path, image.format, image.virtual_size_bytes, image="tiny")
    backend = await desk.backend()
    await backend.create(
        VMSpec("web", boot, firmware=Firmware.UEFI, tpm=True, disks=(DiskSpec(1 << 20),),
               cloud_init=CloudInit(user="me")),
        stop_at_stage,
    )

asyncio.run(main())
"""


def stopped_in(stage: str, root: Path) -> subprocess.Popen[bytes]:
    """A process that stopped itself when its creation came to `stage`."""
    process = subprocess.Popen([sys.executable, "-c", CREATION, str(root), stage])
    state = os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
    assert state is not None
    assert state.si_code == os.CLD_STOPPED, f"no stage {stage}"
    return process


async def test_a_creation_that_is_killed_at_any_stage_leaves_nothing(site: Desk) -> None:
    await site.image()
    backend = await site.backend()
    # All at once, of one name: none of them knows of the others.
    processes = await asyncio.gather(
        *(asyncio.to_thread(stopped_in, stage, site.root) for stage in STAGES)
    )
    assert len(site.left()) == len(STAGES)
    for left, process in zip(range(len(STAGES))[::-1], processes, strict=True):
        process.kill()
        await asyncio.to_thread(process.wait)
        await backend.open()
        assert len(site.left()) == left, "what others are at stays"
        assert await backend.vms() == ()


async def test_a_creation_that_is_cancelled_at_any_stage_leaves_nothing(site: Desk) -> None:
    backend = await site.backend()
    spec = await everything(site)
    for stage in STAGES:
        with pytest.raises(asyncio.CancelledError):
            await asyncio.create_task(backend.create(spec, cancelling(stage)))
        assert site.left() == []
    assert await backend.images_in_use() == {}
    vm = await backend.create(spec, no_progress)
    for stage in STAGES:
        clone = backend.clone(vm, "two", linked=True, cloud_init=None, progress=cancelling(stage))
        with pytest.raises(asyncio.CancelledError):
            await asyncio.create_task(clone)
        assert site.left() == ["web"]


def cancelling(stage: str) -> ProgressSink:
    """Cancels the task that comes to `stage`."""

    def sink(progress: Progress) -> None:
        if progress.stage == stage:
            task = asyncio.current_task()
            assert task is not None
            task.cancel()

    return sink


async def test_of_many_creations_of_one_name_one_wins(site: Desk) -> None:
    boot = await site.image()
    backends = [await site.backend() for _ in range(3)]
    results = await asyncio.gather(
        *(b.create(VMSpec("web", boot), no_progress) for b in backends for _ in range(2)),
        return_exceptions=True,
    )
    assert sum(isinstance(result, InputError) for result in results) == 5
    assert site.left() == ["web"]


@pytest.mark.parametrize("room_bytes", [64 * KIB, 512 * KIB])
async def test_a_full_disk_leaves_nothing(site: Desk, room_bytes: int) -> None:
    """There is room for no disk, and for no firmware's variables."""
    if os.getuid() != 0:
        pytest.skip("mounting a small file system takes root")
    spec = replace(await everything(site), tpm=False)
    backend = await site.backend()
    with mounted(site.root / "vms", room_bytes):
        with pytest.raises(OperationError) as caught:
            await backend.create(spec, no_progress)
        assert "No space left" in caught.value.why
        assert "Free some space" in caught.value.hint
        assert site.left() == []


@contextmanager
def mounted(target: Path, size_bytes: int) -> Iterator[None]:
    """A file system of that size at `target`."""
    options = f"size={size_bytes}"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", target], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", target], check=True)


async def test_a_throwaway_vm_goes_when_its_guest_powers_off(site: Desk) -> None:
    backend = await site.backend()
    boot = await site.image(power_off=True)
    vm = await backend.create(VMSpec("box", boot, throwaway=True), no_progress)
    shown = await backend.vm(vm)
    assert shown.throwaway
    assert shown.nics == ()
    assert [entry.name for entry in await backend.vms()] == ["box"], "it has not been on yet"
    watching = asyncio.create_task(gone(backend, vm))
    await backend.power(vm, Power.START)
    async with asyncio.timeout(10):
        await watching
    assert site.left() == []
    assert await backend.images_in_use() == {}


async def gone(backend: KvmBackend, vm: VMId) -> None:
    """By its own events, until the VM is no more."""
    async for event in backend.events():
        if event.vm == vm and event.kind is EventKind.REMOVED:
            return


async def test_a_throwaway_vm_goes_however_it_ends_and_whoever_sees_it(site: Desk) -> None:
    backend = await site.backend()
    boot = await site.image()
    spec = VMSpec("box", boot, throwaway=True, nics=(NicSpec(),))

    vm = await backend.create(spec, no_progress)
    await backend.power(vm, Power.START)
    await prints(backend, vm, "this is tiny")
    await backend.power(vm, Power.STOP)
    assert site.left() == [], "it was told to"
    with pytest.raises(NoSuchVMError):
        await backend.vm(vm)

    vm = await backend.create(spec, no_progress)
    await backend.power(vm, Power.START)
    await backend.close()
    record = site.store.runtime("box") / "process.json"
    pid = int((site.store.runtime("box") / "qemu.pid").read_text())
    os.kill(pid, signal.SIGKILL)
    assert record.exists()
    looker = await site.backend(read_only=True)
    assert [entry.name for entry in await looker.vms()] == ["box"], "who only looks removes nothing"
    await site.backend()
    assert site.left() == [], "it crashed while nobody looked"

    await backend.open()
    await backend.create(spec, no_progress)
    path = site.store.folder("box") / "vm.toml"
    path.write_text(path.read_text().replace('boot_id = "', 'boot_id = "another-'))
    await site.backend()
    assert site.left() == [], "the machine was booted since"


async def test_a_throwaway_vm_writes_nothing_outside(site: Desk, tmp_path: Path) -> None:
    backend = await site.backend()
    shares = (SharedFolder(tmp_path, "work"),)
    spec = VMSpec("box", BLANK, disk_bytes=MIB, shares=shares, throwaway=True)
    with pytest.raises(InputError, match="read-only"):
        await backend.create(spec, no_progress)
    shares = (SharedFolder(tmp_path, "work", read_only=True),)
    vm = await backend.create(replace(spec, shares=shares), no_progress)
    with pytest.raises(InputError, match="thrown away"):
        await backend.clone(vm, "two", linked=True, cloud_init=None, progress=no_progress)
    await backend.power(vm, Power.START)
    line = (await backend.log(vm)).partition("\n")[0]
    assert "readonly=on" in line
    assert "-netdev" not in line


async def test_a_clone_and_a_start_of_its_source_exclude_each_other(site: Desk) -> None:
    boot = await site.image()
    one, two = await site.backend(), await site.backend()
    vm = await one.create(VMSpec("web", boot), no_progress)
    results = await asyncio.gather(
        one.clone(vm, "two", linked=True, cloud_init=None, progress=no_progress),
        two.power(vm, Power.START),
        return_exceptions=True,
    )
    assert sum(isinstance(result, VmtuiError) for result in results) == 1
