"""New VMs over libvirt: what they are made of, and that nothing half-made is ever left."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("libvirt")

from tests.contract.cases import made, until, wiped
from vmtui.backends.abilities import Clones, LeanOnImages, Previews
from vmtui.backends.base import Feature, Progress, no_progress
from vmtui.backends.libvirt.backend import LibvirtBackend
from vmtui.backends.libvirt.domain_facts import parse
from vmtui.errors import InputError, NoSuchVMError, StateError, UnsupportedError, VmtuiError
from vmtui.images.image import Image, ImageKind
from vmtui.images.library import Library
from vmtui.model import VM, Accel, Power, VMId
from vmtui.parts import CloudInit, DiskBus, DiskSpec, Forward, NetworkKind, NicSpec, SharedFolder
from vmtui.spec import BLANK, Boot, BootKind, VMSpec
from vmtui.units import MIB

if TYPE_CHECKING:
    from tests.contract.daemon import PrivateLibvirtd

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("no_stalls")]

IMAGE_BYTES = 6 * MIB
"""More than is sent at once."""
CLOUD = CloudInit(user="me", ssh_keys=("ssh-ed25519 AAAA me@desk",), password_hash="$6$a$b")


def only(name: str) -> pytest.MarkDecorator:
    """For what is the same on both, and is quicker shown on one."""
    return pytest.mark.parametrize("daemon", [name], indirect=True)


@pytest.fixture(params=["session", "system"])
def daemon(request: pytest.FixtureRequest) -> PrivateLibvirtd:
    """Where QEMU runs as the user, and where it does not."""
    name = "libvirtd" if request.param == "session" else "system_libvirtd"
    found: PrivateLibvirtd = request.getfixturevalue(name)
    return found


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Library:
    """The user's."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    return Library()


@pytest.fixture
async def backend(daemon: PrivateLibvirtd, library: Library) -> AsyncIterator[LibvirtBackend]:
    opened = LibvirtBackend(daemon.uri, places=daemon.places, library=library)
    await opened.open()
    try:
        yield opened
    finally:
        # Clones before what they lean on.
        for vm in sorted(await opened.vms(), key=lambda vm: vm.name, reverse=True):
            await wiped(opened, vm.id)
        await opened.close()
        await asyncio.to_thread(_forget_images, daemon)


def _forget_images(daemon: PrivateLibvirtd) -> None:
    """The daemon is that of other tests, too."""
    with daemon.client() as connection:
        for volume in connection.storagePoolLookupByName("default").listAllVolumes():
            if volume.name().startswith("vmtui-image-"):
                volume.delete()


@pytest.fixture
async def boot(tmp_path: Path, library: Library) -> Boot:
    """A disk image, unlike that of any other test."""
    raw, disk = tmp_path / "raw", tmp_path / "disk.qcow2"
    raw.write_bytes(os.urandom(IMAGE_BYTES))
    await ran("qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, disk)
    image = await library.add(
        Image("tiny-1", ImageKind.DISK, disk, "qcow2", IMAGE_BYTES, ""),
    )
    return Boot(BootKind.DISK, image.path, "qcow2", IMAGE_BYTES, image="tiny-1", user="tiny")


async def ran(*argv: object) -> str:
    process = await asyncio.create_subprocess_exec(*map(str, argv), stdout=-1)
    output, _ = await process.communicate()
    assert process.returncode == 0
    return output.decode()


def spec(name: str, boot: Boot = BLANK) -> VMSpec:
    size = None if boot.image else MIB
    return VMSpec(name, boot=boot, memory_bytes=128 * MIB, disk_bytes=size, nics=())


def volumes(daemon: PrivateLibvirtd) -> set[str]:
    return {path.name for path in daemon.images.iterdir()} if daemon.images.exists() else set()


async def content(vm: VM, folder: Path) -> bytes:
    """What the guest reads of its first disk."""
    flat = folder / "flat"
    await ran("qemu-img", "convert", "-f", "qcow2", "-O", "raw", vm.disks[0].source, flat)
    return flat.read_bytes()


# -- disks ---------------------------------------------------------------------------------------


async def test_a_disk_leans_on_the_image_which_stays(
    daemon: PrivateLibvirtd, backend: LibvirtBackend, boot: Boot
) -> None:
    before = volumes(daemon)
    one = await made(backend, replace(spec("one", boot), disk_bytes=8 * MIB))
    two = await made(backend, spec("two", boot))
    full = await made(backend, replace(spec("full", boot), full_copy=True))
    vm = await backend.vm(one)
    assert vm.disks[0].capacity_bytes == 8 * MIB
    assert (await backend.vm(two)).disks[0].capacity_bytes == IMAGE_BYTES
    base = vm.disks[0].backing or ""
    shared = {name for name in volumes(daemon) - before if name.startswith("vmtui-image-")}
    in_place = daemon.places.session
    assert base == str(boot.path) if in_place else base.rpartition("/")[2] in shared
    assert len(shared) == (0 if in_place else 1)
    assert (await backend.vm(full)).disks[0].backing is None
    assert isinstance(backend, LeanOnImages)
    assert await backend.images_in_use() == {"tiny-1": ("one", "two")}
    # QEMU opens it, with its chain as it is told and not as the header says.
    await backend.power(one, Power.START)
    plan = await backend.delete_plan(one)
    assert base in {item.name for item in plan.kept}
    for vm_id in (one, two, full):
        await wiped(backend, vm_id)
    assert volumes(daemon) - before == shared
    assert await backend.images_in_use() == {}


async def test_all_parts_are_there_and_go_with_the_vm(
    daemon: PrivateLibvirtd, backend: LibvirtBackend, boot: Boot, tmp_path: Path
) -> None:
    before = volumes(daemon)
    drivers = tmp_path / "drivers.iso"
    drivers.write_bytes(bytes(MIB))
    wanted = replace(
        spec("rich", boot),
        disks=(DiskSpec(MIB, DiskBus.SCSI, "none"), DiskSpec(2 * MIB, DiskBus.SATA)),
        media=(drivers,),
        nics=(NicSpec(), NicSpec(NetworkKind.ISOLATED, mac="52:54:00:01:02:03")),
        boot_order=("network", "disk", "cdrom"),
        cpu_model="qemu64",
        shares=(SharedFolder(tmp_path, "work"),),  # by 9p in a session, else by virtiofs
        graphics=True,
        cloud_init=CLOUD,
        tags=("a", "b"),
        description="all of it",
        autostart=True,
        hyperv=True,
    )
    assert isinstance(backend, Previews)
    shown = parse(await backend.preview(wanted))
    assert shown is not None
    assert volumes(daemon) == before
    vm = await made(backend, wanted)
    await backend.power(vm, Power.START)
    rich = await backend.vm(vm)
    assert (rich.tags, rich.autostart, rich.ssh.user) == (("a", "b"), True, "me")
    assert (rich.displays, len(rich.nics), rich.image) == (1, 2, "tiny-1")
    sources = [disk.source for disk in rich.disks]
    foreseen = [element.get("file") for element in shown.iterfind("devices/disk/source")]
    assert sorted(map(str, foreseen)) == sorted(map(str, sources))
    plan = await backend.delete_plan(vm)
    assert {item.what for item in plan.doomed} >= {"disk", "cloud-init seed"}
    added = volumes(daemon) - before
    assert {"rich.qcow2", "rich-1.qcow2", "rich-2.qcow2", "rich-seed.iso"} <= added
    await backend.delete(vm, plan)
    left = volumes(daemon) - before
    assert all(name.startswith(("vmtui-image-", "drivers-")) for name in left)


@only("session")
async def test_what_the_host_has_not_is_refused_with_the_way_out(
    daemon: PrivateLibvirtd,
    backend: LibvirtBackend,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = volumes(daemon)
    monkeypatch.setenv("PATH", str(tmp_path))  # no passt in it
    forwarded = NicSpec(forwards=(Forward(22),))
    for wrong, error in (
        (replace(spec("x"), disks=(DiskSpec(MIB, DiskBus.NVME),)), UnsupportedError),
        (replace(spec("x"), disks=(DiskSpec(MIB, DiskBus.IDE),)), UnsupportedError),
        (replace(spec("x"), cpu_model="z80"), InputError),
        (replace(spec("x"), cpu_model="host", accel=Accel.TCG), InputError),
        (replace(spec("x"), nics=(NicSpec(NetworkKind.NETWORK, "nowhere"),)), InputError),
        (replace(spec("x"), nics=(NicSpec(NetworkKind.BRIDGE, "nowhere0"),)), InputError),
        (replace(spec("x"), shares=(SharedFolder(tmp_path / "no", "t"),)), InputError),
        (replace(spec("x"), nics=(forwarded,)), UnsupportedError),
        (
            replace(spec("x"), nics=(replace(forwarded, network=NetworkKind.ISOLATED),)),
            UnsupportedError,
        ),
    ):
        with pytest.raises(error) as raised:
            await made(backend, wrong)
        assert raised.value.hint or raised.value.why
    assert await backend.vms() == []
    assert volumes(daemon) == before
    limits = await backend.limits()
    assert limits.free_bytes is None or limits.free_bytes > 0
    assert limits.missing.keys() <= {"virtiofs", "forward"}


# -- clones --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("daemon", "linked"),
    [("session", True), ("system", True), ("session", False)],
    indirect=["daemon"],
    ids=["session-linked", "system-linked", "session-full"],
)
async def test_a_clone_has_all_its_own(
    daemon: PrivateLibvirtd, backend: LibvirtBackend, boot: Boot, linked: bool, tmp_path: Path
) -> None:
    assert isinstance(backend, Clones)
    before = volumes(daemon)
    source = await made(
        backend, replace(spec("a-source", boot), cloud_init=CLOUD, nics=None, tags=("kept",))
    )
    clone = await backend.clone(
        source, "b-clone", linked=linked, cloud_init=CloudInit(), progress=no_progress
    )
    old, new = await backend.vm(source), await backend.vm(clone)
    assert new.tags == old.tags
    assert new.nics[0].mac != old.nics[0].mac
    assert new.disks[0].capacity_bytes == IMAGE_BYTES
    assert not {disk.source for disk in old.disks} & {disk.source for disk in new.disks}
    assert (new.disks[0].backing == old.disks[0].source) is linked
    if daemon.places.session:
        assert await content(new, tmp_path) == await content(old, tmp_path)
    await backend.power(clone, Power.START)
    if linked:
        for refused in (
            backend.power(source, Power.START),
            backend.delete_plan(source),
        ):
            with pytest.raises(StateError, match="a-source") as raised:
                await refused
            assert "b-clone" in raised.value.why
    else:
        await backend.power(source, Power.START)
        with pytest.raises(StateError):
            await backend.clone(source, "c", linked=False, cloud_init=None, progress=no_progress)
    await wiped(backend, clone)
    await wiped(backend, source)
    assert all(name.startswith("vmtui-image-") for name in volumes(daemon) - before)


# -- throwaway -----------------------------------------------------------------------------------


@only("session")
async def test_a_throwaway_vm_goes_when_it_is_off_whoever_sees_it(
    daemon: PrivateLibvirtd, backend: LibvirtBackend
) -> None:
    assert Feature.SANDBOX in backend.features
    before = volumes(daemon)
    stopped, ended = [
        await made(backend, replace(spec(name), throwaway=True)) for name in ("x", "y")
    ]
    for vm in (stopped, ended):
        assert (await backend.vm(vm)).throwaway
        await backend.power(vm, Power.START)
    await backend.power(stopped, Power.STOP)
    with pytest.raises(NoSuchVMError):
        await backend.vm(stopped)
    # While no vmtui is there, as after a crash: the next one sees to it.
    await backend.close()
    await asyncio.to_thread(_destroy, daemon, ended)
    await backend.open()
    await backend.vms()
    await until(_empty(backend))
    assert volumes(daemon) == before


def _destroy(daemon: PrivateLibvirtd, vm: VMId) -> None:
    with daemon.client() as connection:
        connection.lookupByUUIDString(vm).destroy()


def _empty(backend: LibvirtBackend) -> Callable[[], Awaitable[bool]]:
    async def empty() -> bool:
        return not await backend.vms()

    return empty


# -- interruption --------------------------------------------------------------------------------


@only("system")
async def test_a_creation_can_be_cancelled_at_every_step(
    daemon: PrivateLibvirtd, backend: LibvirtBackend, boot: Boot
) -> None:
    before = volumes(daemon)
    wanted = replace(spec("never", boot), disks=(DiskSpec(MIB),), cloud_init=CLOUD)
    for step in itertools.count(1):
        left = itertools.count(1)

        def cancel(_: Progress) -> None:
            if next(left) == step:  # noqa: B023 (called in this turn of the loop only)
                creation.cancel()  # noqa: B023

        creation = asyncio.ensure_future(backend.create(wanted, cancel))
        try:
            vm = await creation
        except asyncio.CancelledError:
            assert await backend.vms() == []
            kept = volumes(daemon) - before
            assert all(name.startswith("vmtui-image-") for name in kept)
        else:
            await wiped(backend, vm)
            break
    assert step > 4


@only("session")
async def test_of_two_creations_of_one_name_one_is_whole_and_one_refused(
    daemon: PrivateLibvirtd, backend: LibvirtBackend, boot: Boot
) -> None:
    other = LibvirtBackend(daemon.uri, places=daemon.places)
    await other.open()
    try:
        wanted = replace(spec("same", boot), cloud_init=CLOUD)
        results = await asyncio.gather(
            *(made(one, wanted) for one in (backend, other)), return_exceptions=True
        )
    finally:
        await other.close()
    [refused] = [result for result in results if isinstance(result, BaseException)]
    assert isinstance(refused, VmtuiError)
    [vm] = await backend.vms()
    assert not vm.problem
    assert {"same.qcow2", "same-seed.iso"} <= volumes(daemon)
    await backend.power(vm.id, Power.START)


STAGES = ("looking", "uploading", "making the disk", "making the seed", "defining")

MAKER = """
import asyncio, os, signal, sys
from pathlib import Path
from vmtui.backends.libvirt.backend import LibvirtBackend
from vmtui.backends.libvirt.places import Places
from vmtui.parts import CloudInit
from vmtui.spec import Boot, BootKind, VMSpec

uri, path, stage, *places = sys.argv[1:]

def on_progress(progress):
    if progress.text.startswith(stage):
        os.kill(os.getpid(), signal.SIGKILL)

async def main():
    session, images, logs, run = places
    backend = LibvirtBackend(
        uri, places=Places(True, session == "True", Path(images), Path(logs), Path(run))
    )
    await backend.open()
    boot = Boot(BootKind.DISK, Path(path), "qcow2", image="tiny-1")
    await backend.create(
        VMSpec("killed", boot=boot, memory_bytes=2**27, nics=(), cloud_init=CloudInit()),
        on_progress,
    )

asyncio.run(main())
"""


@pytest.mark.parametrize("stage", STAGES)
async def test_a_maker_that_is_killed_leaves_nothing(
    system_libvirtd: PrivateLibvirtd, library: Library, boot: Boot, stage: str
) -> None:
    daemon, places = system_libvirtd, system_libvirtd.places
    before = volumes(daemon)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", MAKER, daemon.uri, str(boot.path), stage),
        *(str(places.session), str(places.images), str(places.logs), str(places.run)),
    )
    assert await process.wait() == -signal.SIGKILL
    backend = LibvirtBackend(daemon.uri, places=places, library=library)
    await backend.open()
    try:
        await backend.vms()
        await until(_empty(backend))
        # A copy of the image that is whole is not sent there again; a part of it goes.
        copied = stage not in ("looking", "uploading")
        await until(lambda: len(volumes(daemon) - before) == copied)
        assert all(name.startswith("vmtui-image-") for name in volumes(daemon) - before)
        vm = await made(backend, spec("killed", boot))
        await wiped(backend, vm)
    finally:
        await backend.close()
        await asyncio.to_thread(_forget_images, daemon)
