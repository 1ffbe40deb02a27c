"""What goes wrong around libvirt: its daemon dies, a QEMU hangs, storage is full of surprises."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("libvirt")

from tests.contract.cases import in_state, made, opened, until
from vmtui.backends.base import Endpoint, Feature, no_progress
from vmtui.backends.libvirt.backend import LibvirtBackend
from vmtui.backends.libvirt.places import Places
from vmtui.counters import Counters, Stalled
from vmtui.errors import NoSuchVMError, StateError, UnreachableError, VmtuiError
from vmtui.fleet import Fleet
from vmtui.model import Power, State, VMId
from vmtui.spec import BLANK, Boot, BootKind, VMSpec
from vmtui.units import MIB
from vmtui.views import ConnectionStatus, ConnectionView

if TYPE_CHECKING:
    from tests.contract.daemon import PrivateLibvirtd

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("no_stalls")]

COME_BACK_S = 20.0


def spec(name: str) -> VMSpec:
    """Powered on it looks for something to boot, and goes on looking."""
    return VMSpec(name, boot=BLANK, memory_bytes=128 * MIB, disk_bytes=MIB)


@pytest.fixture
async def backend(libvirtd: PrivateLibvirtd) -> AsyncIterator[LibvirtBackend]:
    async with opened(LibvirtBackend(libvirtd.uri, places=libvirtd.places)) as backend:
        yield backend


# -- the daemon ----------------------------------------------------------------------------------


async def test_a_killed_daemon_is_told_and_comes_back_by_itself(
    mortal_libvirtd: PrivateLibvirtd,
) -> None:
    daemon = mortal_libvirtd
    backend = LibvirtBackend(daemon.uri, places=daemon.places)
    fleet = Fleet([Endpoint(backend, "lab")], interval_s=0.2)

    def view() -> ConnectionView:
        return fleet.view().connections[0]

    fleet.supervise()
    try:
        await until(lambda: view().status is ConnectionStatus.UP, COME_BACK_S)
        ref = await fleet.create(daemon.uri, spec("survivor"), no_progress)
        await backend.power(ref.id, Power.START)
        await until(lambda: view().vms[0].vm.state is State.RUNNING)

        await asyncio.to_thread(daemon.kill)
        await until(lambda: view().status is ConnectionStatus.DOWN, 5)
        down = view()
        assert isinstance(down.problem, UnreachableError)
        assert down.problem.why
        assert down.vms == ()
        await until(lambda: view().retry_at_s is not None)
        retry_at_s = view().retry_at_s
        assert retry_at_s is not None
        assert retry_at_s > time.monotonic() - 1

        await asyncio.to_thread(daemon.start)
        await until(lambda: view().status is ConnectionStatus.UP, COME_BACK_S)
        await until(lambda: [row.vm.state for row in view().vms] == [State.RUNNING], COME_BACK_S)
        assert view().vms[0].vm.id == ref.id
        assert view().problem is None

        # Events come again, also from others, and once.
        await until(lambda: view().vms[0].rates is not None, COME_BACK_S)
        await asyncio.to_thread(_destroy, daemon, ref.id)
        await until(lambda: [row.vm.state for row in view().vms] == [State.OFF], 1)
    finally:
        await fleet.close()


def _destroy(daemon: PrivateLibvirtd, vm: VMId) -> None:
    with daemon.client() as connection:
        connection.lookupByUUIDString(vm).destroy()


async def test_every_call_and_console_ends_with_the_daemon(
    mortal_libvirtd: PrivateLibvirtd,
) -> None:
    daemon = mortal_libvirtd
    backend = LibvirtBackend(daemon.uri, places=daemon.places)
    await backend.open()
    try:
        vm = await made(backend, spec("lonely"))
        await backend.power(vm, Power.START)
        console = await backend.console(vm)
        events = asyncio.ensure_future(anext(backend.events()))
        reading = asyncio.ensure_future(_read_to_end(console))
        await until(lambda: not events.done())
        await asyncio.to_thread(daemon.kill)
        with pytest.raises(UnreachableError):
            async with asyncio.timeout(5):
                while True:
                    await events
                    events = asyncio.ensure_future(anext(backend.events()))
        async with asyncio.timeout(5):
            assert await reading
        assert "lost" in console.ended_because
        for call in (
            backend.vms(),
            backend.vm(vm),
            backend.host_counters(),
            backend.counters([vm]),
        ):
            with pytest.raises(UnreachableError):
                await call
        await console.close()
    finally:
        await backend.close()


async def qemu_img(*arguments: object) -> None:
    await asyncio.to_thread(subprocess.run, ["qemu-img", *map(str, arguments)], check=True)


async def _read_to_end(console: object) -> bool:
    while await console.read():  # type: ignore[attr-defined]
        pass
    return True


async def test_opening_and_closing_a_real_connection_leaves_no_files(
    libvirtd: PrivateLibvirtd,
) -> None:
    backend = LibvirtBackend(libvirtd.uri, places=libvirtd.places)

    async def once() -> None:
        await backend.open()
        await backend.vms()
        await backend.close()

    def descriptors() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    await once()
    before = descriptors()
    for _ in range(10):
        await once()
    await until(lambda: descriptors() <= before)


# -- a QEMU that hangs ---------------------------------------------------------------------------


@pytest.mark.parametrize("local", [True, False], ids=["local", "remote"])
async def test_a_hung_qemu_is_stalled_and_the_others_keep_their_beat(
    libvirtd: PrivateLibvirtd, backend: LibvirtBackend, local: bool
) -> None:
    hung, well = await made(backend, spec("hung")), await made(backend, spec("well"))
    for vm in (hung, well):
        await backend.power(vm, Power.START)
    # As a remote host is sampled: its processes are not seen, only their silence.
    places = libvirtd.places if local else Places(local=False, session=True)
    watcher = LibvirtBackend(libvirtd.uri, places=places)
    await watcher.open()
    pid = libvirtd.qemu_pid("hung")

    async def is_stalled() -> bool:
        samples = await watcher.counters([hung, well])
        beats.append(samples[well])
        return isinstance(samples[hung], Stalled)

    async def answers() -> bool:
        sample = (await watcher.counters([hung])).get(hung)
        return isinstance(sample, Counters) and sample.memory is not None

    async def was_asked_again() -> bool:
        sample = (await watcher.counters([well]))[well]
        beats.append(sample)
        assert isinstance(sample, Counters)
        return sample.memory not in (None, before)

    beats: list[Counters | Stalled] = []
    try:
        await until(answers, COME_BACK_S)
        await is_stalled()
        os.kill(pid, signal.SIGSTOP)
        await until(is_stalled, 4)
        last = beats[-1]
        assert isinstance(last, Counters)
        before = last.memory
        await until(was_asked_again)
        times = [beat.at_s for beat in beats if isinstance(beat, Counters)]
        assert len(times) == len(beats), "the other one answered at every beat"
        assert times == sorted(times)
        assert {vm.id for vm in await backend.vms()} == {hung, well}
        await backend.power(well, Power.PAUSE)
        await in_state(backend, well, State.PAUSED)
        os.kill(pid, signal.SIGCONT)
        await until(answers, 15)
    finally:
        os.kill(pid, signal.SIGCONT)
        await watcher.close()


async def test_a_hung_vm_can_be_forced_off(
    libvirtd: PrivateLibvirtd, backend: LibvirtBackend
) -> None:
    vm = await made(backend, spec("hung"))
    await backend.power(vm, Power.START)
    pid = libvirtd.qemu_pid("hung")
    os.kill(pid, signal.SIGSTOP)
    try:
        pause = asyncio.ensure_future(backend.power(vm, Power.PAUSE))
        await asyncio.wait({pause}, timeout=0.3)
        with pytest.raises(VmtuiError):
            await backend.power(vm, Power.RESET)
        await backend.power(vm, Power.STOP)
        await in_state(backend, vm, State.OFF)
        with pytest.raises(VmtuiError):
            await pause
    finally:
        if Path(f"/proc/{pid}").exists():
            os.kill(pid, signal.SIGCONT)


# -- definitions and starts ----------------------------------------------------------------------


async def test_a_start_that_fails_carries_what_qemu_said(
    libvirtd: PrivateLibvirtd, backend: LibvirtBackend
) -> None:
    vm = await made(backend, spec("broken"))
    disk = (await backend.vm(vm)).disks[0].source
    assert disk is not None
    Path(disk).write_bytes(b"this is no qcow2 image")
    with pytest.raises(VmtuiError) as raised:
        await backend.power(vm, Power.START)
    assert "qcow2" in raised.value.why
    assert (await backend.vm(vm)).state is State.OFF


async def test_a_transient_vm_of_others_is_shown_and_deleted(
    libvirtd: PrivateLibvirtd, backend: LibvirtBackend
) -> None:
    xml = """<domain type='qemu'><name>passing &amp; odd</name><memory unit='MiB'>64</memory>
      <os><type arch='x86_64' machine='q35'>hvm</type></os></domain>"""

    def create() -> str:
        with libvirtd.client() as connection:
            return str(connection.createXML(xml).UUIDString())

    vm = VMId(await asyncio.to_thread(create))
    shown = await backend.vm(vm)
    assert (shown.name, shown.state, shown.persistent) == ("passing & odd", State.RUNNING, False)
    plan = await backend.delete_plan(vm)
    assert plan.doomed == ()
    await backend.delete(vm, plan)
    with pytest.raises(NoSuchVMError):
        await backend.vm(vm)


async def test_deletion_keeps_what_is_not_the_vms_own(
    libvirtd: PrivateLibvirtd, backend: LibvirtBackend, tmp_path: Path
) -> None:
    own = await made(backend, spec("own"))
    disk = (await backend.vm(own)).disks[0].source
    folder = libvirtd.images
    files = {n: folder / n for n in ("base.qcow2", "top.qcow2", "ro.img", "sh.img", "cd.iso")}
    for path in (files["base.qcow2"], files["ro.img"], files["sh.img"], files["cd.iso"]):
        kind = "qcow2" if path.suffix == ".qcow2" else "raw"
        await qemu_img("create", "-q", "-f", kind, path, "1M")
    base = ("-F", "qcow2", "-b", files["base.qcow2"])
    await qemu_img("create", "-q", "-f", "qcow2", *base, files["top.qcow2"])
    xml = f"""<domain type='qemu'><name>guest</name><memory unit='MiB'>64</memory>
      <os><type arch='x86_64' machine='q35'>hvm</type></os><devices>
      <disk type='file'><driver type='qcow2'/><source file='{files["top.qcow2"]}'/>
        <target dev='vda'/></disk>
      <disk type='file'><source file='{files["ro.img"]}'/><target dev='vdb'/><readonly/></disk>
      <disk type='file'><source file='{files["sh.img"]}'/><target dev='vdc'/><shareable/></disk>
      <disk type='file' device='cdrom'><source file='{files["cd.iso"]}'/><target dev='sda'/></disk>
      <disk type='file'><driver type='qcow2'/><source file='{disk}'/><target dev='vdd'/></disk>
      </devices></domain>"""

    def define() -> str:
        with libvirtd.client() as connection:
            connection.storagePoolLookupByName("default").refresh()
            return str(connection.defineXML(xml).UUIDString())

    vm = VMId(await asyncio.to_thread(define))
    plan = await backend.delete_plan(vm)
    assert [item.name for item in plan.doomed] == [str(files["top.qcow2"])]
    kept = {item.name: item.why for item in plan.kept}
    assert set(kept) == {str(p) for n, p in files.items() if n != "top.qcow2"} | {disk}
    assert "own" in kept[disk or ""]
    await backend.delete(vm, plan)
    left = {path.name for path in folder.iterdir()}
    assert "top.qcow2" not in left
    assert {"base.qcow2", "ro.img", "sh.img", "cd.iso", "own.qcow2"} <= left
    for path in files.values():
        path.unlink(missing_ok=True)
    await asyncio.to_thread(_refresh, libvirtd)


def _refresh(daemon: PrivateLibvirtd) -> None:
    with daemon.client() as connection:
        connection.storagePoolLookupByName("default").refresh()


async def test_a_snapshot_that_came_after_the_plan_stops_the_deletion(
    libvirtd: PrivateLibvirtd, backend: LibvirtBackend
) -> None:
    vm = await made(backend, spec("later"))
    plan = await backend.delete_plan(vm)

    def snapshot() -> None:
        with libvirtd.client() as connection:
            xml = "<domainsnapshot><name>precious</name></domainsnapshot>"
            connection.lookupByUUIDString(vm).snapshotCreateXML(xml)

    await asyncio.to_thread(snapshot)
    with pytest.raises(StateError):
        await backend.delete(vm, plan)
    fresh = await backend.delete_plan(vm)
    assert "precious" in {item.name for item in fresh.doomed}
    await backend.delete(vm, fresh)


async def test_secure_boot_and_tpm_run_and_go_with_the_vm(
    libvirtd: PrivateLibvirtd, backend: LibvirtBackend
) -> None:
    from vmtui.model import Firmware

    vm = await backend.create(
        VMSpec(
            "locked",
            boot=BLANK,
            memory_bytes=256 * MIB,
            disk_bytes=MIB,
            firmware=Firmware.SECURE_BOOT,
            tpm=True,
        ),
        no_progress,
    )
    await backend.power(vm, Power.START)
    shown = await backend.vm(vm)
    assert (shown.firmware, shown.tpm) == (Firmware.SECURE_BOOT, True)
    plan = await backend.delete_plan(vm)
    assert {"disk", "TPM state", "UEFI variables"} <= {item.what for item in plan.doomed}
    await backend.delete(vm, plan)
    left = [path for path in libvirtd.root.rglob(f"*{vm}*") if path.is_file()]
    left += list(libvirtd.root.rglob("locked*VARS*"))
    assert left == []


# -- images --------------------------------------------------------------------------------------


@pytest.mark.parametrize("image_format", ["qcow2", "raw", "vmdk"])
async def test_a_disk_image_is_copied_and_grown(
    libvirtd: PrivateLibvirtd, backend: LibvirtBackend, tmp_path: Path, image_format: str
) -> None:
    source, made_from = tmp_path / "image", b"the content of the disk"
    raw = tmp_path / "content.raw"
    raw.write_bytes(made_from.ljust(3 * MIB, b"\0"))
    await qemu_img("convert", "-f", "raw", "-O", image_format, raw, source)
    boot = Boot(BootKind.DISK, source, image_format, 3 * MIB)
    vm = await backend.create(
        VMSpec("copy", boot=boot, memory_bytes=128 * MIB, disk_bytes=5 * MIB), no_progress
    )
    disk = (await backend.vm(vm)).disks[0]
    assert disk.format == "qcow2"
    assert disk.capacity_bytes == 5 * MIB
    back = tmp_path / "back.raw"
    await qemu_img("convert", "-f", "qcow2", "-O", "raw", disk.source, back)
    assert back.read_bytes() == made_from.ljust(5 * MIB, b"\0")
    assert Feature.CREATE in backend.features


async def test_a_readable_iso_is_used_where_it_is_and_kept(
    libvirtd: PrivateLibvirtd, backend: LibvirtBackend, tmp_path: Path
) -> None:
    iso = tmp_path / "installer.iso"
    iso.write_bytes(bytes(MIB))
    boot = Boot(BootKind.ISO, iso, "raw", MIB)
    vm = await backend.create(
        VMSpec("install", boot=boot, memory_bytes=128 * MIB, disk_bytes=MIB), no_progress
    )
    assert str(iso) in {disk.source for disk in (await backend.vm(vm)).disks}
    plan = await backend.delete_plan(vm)
    assert {item.name: item.why for item in plan.kept} == {str(iso): "a medium"}
    await backend.delete(vm, plan)
    assert iso.exists()
