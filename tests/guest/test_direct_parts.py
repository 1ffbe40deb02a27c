"""What a VM of the direct backend is made of, as real QEMU and a real guest see it."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from tests.guest.direct import Desk, desk, prints
from tests.guest.sector import write_image
from vmtui.backends.base import Progress, no_progress
from vmtui.command import run
from vmtui.errors import InputError, OperationError, StateError, UnsupportedError
from vmtui.model import Firmware, Power, State
from vmtui.parts import (
    CloudInit,
    DiskBus,
    DiskSpec,
    Forward,
    NetworkKind,
    NicSpec,
    SharedFolder,
    Topology,
)
from vmtui.spec import BLANK, VMSpec
from vmtui.units import MIB

pytestmark = pytest.mark.slow


@pytest.fixture
async def site(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Desk]:
    monkeypatch.setenv("VMTUI_ACCEL", "tcg")
    async with desk() as site:
        yield site


async def test_a_disk_leans_on_its_image_and_clones_lean_on_it(site: Desk) -> None:
    backend = await site.backend()
    boot = await site.image(user="me")
    web = await backend.create(VMSpec("web", boot, disk_bytes=8 * MIB), no_progress)
    vm = await backend.vm(web)
    [disk] = vm.disks
    assert (disk.backing, disk.capacity_bytes) == (str(boot.path), 8 * MIB)
    assert Path(disk.source or "").stat().st_blocks * 512 < MIB
    assert (vm.ssh.user, vm.ssh.host) == ("me", "127.0.0.1")
    assert vm.addresses == (), "it is off"
    await backend.power(web, Power.START)
    await prints(backend, web, "this is tiny")
    assert (await backend.vm(web)).addresses == (f"127.0.0.1:{vm.ssh.port}",)
    with pytest.raises(StateError, match="can't clone web"):
        await backend.clone(web, "x", linked=True, cloud_init=None, progress=no_progress)
    await backend.power(web, Power.STOP)

    linked = await backend.clone(web, "two", linked=True, cloud_init=None, progress=no_progress)
    again = await backend.clone(linked, "three", linked=True, cloud_init=None, progress=no_progress)
    full = await backend.clone(linked, "whole", linked=False, cloud_init=None, progress=no_progress)
    for clone, backing in (
        (linked, disk.source),
        (again, str(site.store.folder("two") / "disk.qcow2")),
        (full, None),
    ):
        assert [d.backing for d in (await backend.vm(clone)).disks] == [backing]
    for source, user in ((web, "three, two"), (linked, "three")):
        with pytest.raises(StateError, match=f"the disks of {user}") as refused:
            await backend.power(source, Power.START)
        assert "lean on its own" in refused.value.why
        with pytest.raises(StateError):
            await backend.delete_plan(source)
    for clone in (again, full):
        await backend.power(clone, Power.START)
        await prints(backend, clone, "this is tiny")
    vms = await backend.vms()
    for different in ({vm.id for vm in vms}, {vm.nics[0].mac for vm in vms}):
        assert len(different) == 4
    assert len({vm.ssh.port for vm in vms}) == 4
    assert await backend.images_in_use() == {"tiny": ("three", "two", "web")}
    broken = site.store.folder("three") / "vm.toml"
    broken.write_text(broken.read_text() + "\nx = ")
    assert await backend.images_in_use() == {"tiny": ("three", "two", "web")}
    with pytest.raises(StateError, match="the disks of three"):
        await backend.power(linked, Power.START)


async def test_an_image_that_is_gone_or_another_is_told_before_the_start(site: Desk) -> None:
    backend = await site.backend()
    boot = await site.image()
    assert boot.path is not None
    web = await backend.create(VMSpec("web", boot), no_progress)
    copy = await backend.create(VMSpec("copy", boot, full_copy=True), no_progress)
    assert [disk.backing for disk in (await backend.vm(copy)).disks] == [None]
    os.utime(boot.path, ns=(1, 1))
    with pytest.raises(OperationError, match="was changed since"):
        await backend.power(web, Power.START)
    boot.path.unlink()
    with pytest.raises(OperationError, match="vmtui images pull tiny"):
        await backend.power(web, Power.START)
    await backend.power(copy, Power.START)
    await prints(backend, copy, "this is tiny")


async def test_all_parts_at_once_run(site: Desk, tmp_path: Path) -> None:
    backend = await site.backend()
    medium = tmp_path / "drivers, 1.iso"
    medium.write_bytes(bytes(MIB))
    spec = VMSpec(
        "web",
        BLANK,
        vcpus=4,
        disk_bytes=MIB,
        firmware=Firmware.UEFI,
        topology=Topology(1, 2, 2),
        cpu_model="Nehalem",
        balloon_floor_bytes=128 * MIB,
        disks=(
            *(DiskSpec(MIB, bus, discard=False) for bus in DiskBus),
            *(DiskSpec(MIB, cache=cache) for cache in ("none", "writethrough", "unsafe")),
        ),
        media=(medium,),
        nics=(NicSpec(NetworkKind.ISOLATED, forwards=(Forward(22),)), NicSpec(model="e1000e")),
        shares=(
            SharedFolder(tmp_path, "work"),
            SharedFolder(tmp_path, "seen", read_only=True, protocol="9p"),
        ),
        graphics=False,
        boot_order=("cdrom", "disk", "network"),
        hyperv=True,
        tags=("lab", "old"),
    )
    web = await backend.create(spec, no_progress)
    await backend.power(web, Power.START)
    vm = await backend.vm(web)
    assert (vm.state, vm.tags, vm.displays) == (State.RUNNING, ("lab", "old"), 0)
    assert [disk.target for disk in vm.disks] == [
        *("vda", "vdb", "sda", "sdb", "nvme0n1", "sdc", "vdc", "vdd", "vde", "sr0")
    ]
    assert [nic.network for nic in vm.nics] == ["isolated", "user"]
    line = (await backend.log(web)).partition("\n")[0]
    assert "virtio-9p-pci" in line
    assert "tag=work" in line
    if os.getuid() == 0:  # others need a virtiofsd that is newer than some systems'
        assert "vhost-user-fs-pci" in line
    assert "Nehalem" in await backend.preview(replace(spec, name="db"))
    for wrong in (
        replace(spec, autostart=True),
        replace(spec, nics=(NicSpec(NetworkKind.NETWORK),)),
    ):
        with pytest.raises(UnsupportedError):
            await backend.create(replace(wrong, name="db"), no_progress)


async def test_the_order_of_starting_is_kept(site: Desk, tmp_path: Path) -> None:
    backend = await site.backend()
    first = write_image(tmp_path / "first.raw", "the first disk")
    boot = await site.image()
    spec = VMSpec("web", boot, nics=(), boot_order=("disk",))
    web = await backend.create(spec, no_progress)
    path = site.store.folder("web") / "vm.toml"
    path.write_text(f'{path.read_text()}\n[[disk]]\nfile = "{first}"\nformat = "raw"\n')
    with pytest.raises(InputError, match="not in its folder"):
        await backend.clone(web, "two", linked=True, cloud_init=None, progress=no_progress)
    await backend.power(web, Power.START)
    await prints(backend, web, "this is tiny")
    assert (await backend.vm(web)).nics == ()


async def test_found_ports_move_when_taken_and_others_do_not(site: Desk) -> None:
    backend = await site.backend()
    boot = await site.image(user="me")
    web = await backend.create(VMSpec("web", boot), no_progress)
    before = (await backend.vm(web)).ssh.port
    with socket.create_server(("127.0.0.1", before)):
        await backend.power(web, Power.START)
    after = (await backend.vm(web)).ssh.port
    assert after != before
    assert f"port {before} is taken: 22 is at {after} now" in await backend.log(web)
    nics = (NicSpec(forwards=(Forward(80, before),)),)
    fixed = await backend.create(VMSpec("db", boot, nics=nics), no_progress)
    with (
        socket.create_server(("127.0.0.1", before)),
        pytest.raises(OperationError, match=f"port {before} of this machine"),
    ):
        await backend.power(fixed, Power.START)


async def test_the_seed_stays_and_a_clone_has_one_of_its_own(site: Desk) -> None:
    backend = await site.backend()
    boot = replace(await site.image(user="debian"), cloud=True)
    orders = CloudInit(user="me", ssh_keys=("ssh-ed25519 AAAA me",), password_hash="$6$x$y")
    web = await backend.create(VMSpec("web", boot, cloud_init=orders), no_progress)
    folder = site.store.folder("web")
    for private in ("seed.iso", "cloud-init.json", "vm.toml"):
        assert (folder / private).stat().st_mode & 0o077 == 0
    assert "$6$" not in (folder / "vm.toml").read_text()
    assert web.encode() in (folder / "seed.iso").read_bytes()
    vm = await backend.vm(web)
    assert (vm.ssh.user, [disk.target for disk in vm.disks]) == ("me", ["vda", "sr0"])
    told: list[Progress] = []
    two = await backend.clone(web, "two", linked=True, cloud_init=None, progress=told.append)
    seed = (site.store.folder("two") / "seed.iso").read_bytes()
    assert two.encode() in seed
    assert b"ssh-ed25519 AAAA me" in seed
    assert web.encode() not in seed
    assert not any("warning" in progress.text for progress in told)
    other = CloudInit(hostname="else")
    await backend.clone(web, "three", linked=False, cloud_init=other, progress=no_progress)
    assert b"else" in (site.store.folder("three") / "seed.iso").read_bytes()
    bare = await backend.create(VMSpec("bare", boot), no_progress)
    await backend.clone(bare, "bare2", linked=True, cloud_init=None, progress=told.append)
    assert any("machine-id" in progress.text for progress in told)


async def test_a_clone_has_the_variables_and_a_tpm_of_its_own(site: Desk) -> None:
    backend = await site.backend()
    spec = VMSpec("web", BLANK, disk_bytes=MIB, firmware=Firmware.SECURE_BOOT, tpm=True)
    web = await backend.create(spec, no_progress)
    folder, other = site.store.folder("web"), site.store.folder("two")
    (folder / "efivars.fd").write_bytes(b"its own")
    (folder / "efivars.fd").chmod(0o644)
    told: list[Progress] = []
    await backend.clone(web, "two", linked=True, cloud_init=None, progress=told.append)
    assert (other / "efivars.fd").read_bytes() == b"its own"
    assert (other / "efivars.fd").stat().st_mode & 0o777 == 0o600
    states = [next((at / "tpm").glob("tpm2-*")).read_bytes() for at in (folder, other)]
    assert states[0] != states[1]
    assert any("new TPM" in progress.text for progress in told)
    definition = msgspec.toml.decode((other / "vm.toml").read_bytes())
    assert definition["disk"][0]["base"][0]["vm"] == web


async def test_cards_are_put_on_a_bridge_that_root_allows(tmp_path: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("bridges and namespaces take root")
    apart = ("unshare", "--mount", "--net", "--propagation", "private")
    said = await run(
        *apart, sys.executable, "-m", "tests.guest.on_bridge", str(tmp_path), timeout_s=60
    )
    assert said == "done\n"


async def test_what_can_be_made_here_is_told(site: Desk) -> None:
    backend = await site.backend()
    boot = await site.image()
    await backend.create(VMSpec("web", boot), no_progress)
    limits = await backend.limits()
    assert limits.taken_names == {"web"}
    assert limits.missing.keys() == {"autostart"}
    assert (limits.free_bytes or 0) > 0
    for shown, where in (
        (boot, str(boot.path)),
        (replace(boot, image="other", path=None), "other/"),
    ):
        assert where in await backend.preview(VMSpec("db", shown, cloud_init=CloudInit()))
    assert site.left() == ["web"]
