"""What domains share without meaning to: files, names that were others', keys; a real daemon.

No guest runs: where libvirt has to start a VM, there is nothing that it could boot.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

pytest.importorskip("libvirt")

import libvirt

from tests.contract.daemon import PrivateLibvirtd
from vmtui.backends.base import no_progress
from vmtui.backends.libvirt import belongings, definitions
from vmtui.backends.libvirt.backend import LibvirtBackend
from vmtui.errors import InputError, StateError
from vmtui.hardware.changes import Assign
from vmtui.model import Firmware, Power, State, VMId
from vmtui.spec import BLANK, VMSpec
from vmtui.units import MIB

pytestmark = pytest.mark.slow

STORED = libvirt.VIR_DOMAIN_XML_INACTIVE
CONFIG = libvirt.VIR_DOMAIN_AFFECT_CONFIG


@pytest.fixture
async def backend(libvirtd: PrivateLibvirtd) -> AsyncIterator[LibvirtBackend]:
    opened = LibvirtBackend(libvirtd.uri, places=libvirtd.places)
    await opened.open()
    try:
        yield opened
    finally:
        for _ in range(2):  # the first time, another one's disk may lean on it
            for vm in await opened.vms():
                with suppress(StateError):
                    await opened.delete(vm.id, await opened.delete_plan(vm.id))
        await opened.close()


async def made(backend: LibvirtBackend, name: str, firmware: Firmware = Firmware.BIOS) -> VMId:
    spec = VMSpec(name, BLANK, memory_bytes=64 * MIB, disk_bytes=MIB, firmware=firmware)
    return await backend.create(spec, no_progress)


async def changed(backend: LibvirtBackend, vm: VMId, key: str, value: object) -> None:
    plan = await backend.plan(vm, [Assign(key, value)])  # type: ignore[arg-type]
    await backend.change(plan)


def stored(libvirtd: PrivateLibvirtd, vm: VMId) -> str:
    with libvirtd.client() as connection:
        return str(connection.lookupByUUIDString(vm).XMLDesc(STORED))


async def test_a_disk_that_others_got_behind_our_back_is_not_written_to(
    backend: LibvirtBackend, libvirtd: PrivateLibvirtd, monkeypatch: pytest.MonkeyPatch
) -> None:
    base, other = await made(backend, "base"), await made(backend, "other")
    await backend.vms()

    def lean() -> None:
        with libvirtd.client() as connection:
            overlay = f"""<disk type='file' device='disk'><driver name='qemu' type='qcow2'/>
                <source file='{libvirtd.images}/overlay.qcow2'/><backingStore type='file'>
                <format type='qcow2'/><source file='{libvirtd.images}/base.qcow2'/>
                <backingStore/></backingStore><target dev='vdz'/></disk>"""
            connection.lookupByUUIDString(other).attachDeviceFlags(overlay, CONFIG)

    await asyncio.to_thread(lean)
    # libvirt 9 has no event for that: in the list it comes with time, where it counts at once.
    with pytest.raises(StateError, match="disks of other lean on its own"):
        await backend.power(base, Power.START)
    assert len((await backend.vm(other)).disks) == 2

    def no_more() -> None:
        with libvirtd.client() as connection:
            disk = f"""<disk type='file' device='disk'>
                <source file='{libvirtd.images}/overlay.qcow2'/><target dev='vdz'/></disk>"""
            connection.lookupByUUIDString(other).detachDeviceFlags(disk, CONFIG)

    await asyncio.to_thread(no_more)
    monkeypatch.setattr(definitions, "RENEW_AFTER_S", 0.0)
    counts = [[len(vm.disks) for vm in await backend.vms() if vm.id == other] for _ in range(3)]
    assert counts[-1] == [1]


async def test_a_vm_with_saved_memory_is_not_booted_once_from_elsewhere(
    backend: LibvirtBackend, libvirtd: PrivateLibvirtd
) -> None:
    vm = await made(backend, "web")
    await backend.power(vm, Power.START)

    def save() -> None:
        with libvirtd.client() as connection:
            connection.lookupByUUIDString(vm).managedSave(0)

    await asyncio.to_thread(save)
    await changed(backend, vm, "boot.once", "network")
    with pytest.raises(StateError, match="its memory is saved"):
        await backend.power(vm, Power.START)
    await changed(backend, vm, "boot.once", None)
    await backend.power(vm, Power.START)
    assert (await backend.vm(vm)).state is State.RUNNING


async def test_a_name_that_was_anothers_is_free_with_all_that_goes_by_it(
    backend: LibvirtBackend, libvirtd: PrivateLibvirtd
) -> None:
    old = await made(backend, "web", Firmware.UEFI)
    await backend.power(old, Power.START)
    await backend.power(old, Power.STOP)
    await changed(backend, old, "name", "old")
    with pytest.raises(InputError, match="it is in use by old") as caught:
        await made(backend, "web", Firmware.UEFI)
    assert "vol-delete" not in str(caught.value)
    # Its disk out of the way: the rest is free.
    spec = VMSpec("web", BLANK, memory_bytes=64 * MIB, firmware=Firmware.UEFI)
    new = await backend.create(spec, no_progress)
    for vm in (old, new):
        await backend.power(vm, Power.START)
    files = [await asyncio.to_thread(belongings_of, libvirtd, vm) for vm in (old, new)]
    assert not files[0] & files[1]
    assert any(file.endswith("/old-console.log") for file in files[0])
    for vm in (old, new):
        await backend.power(vm, Power.STOP)


def belongings_of(libvirtd: PrivateLibvirtd, vm: VMId) -> set[str]:
    with libvirtd.client() as connection:
        plan = belongings.plan(connection, libvirtd.places, vm)
    return {item.name for item in plan.doomed if Path(item.name).is_absolute()}


async def test_variables_that_two_have_go_with_the_last(
    backend: LibvirtBackend, libvirtd: PrivateLibvirtd
) -> None:
    one, two = [await made(backend, name, Firmware.UEFI) for name in ("one", "two")]
    await backend.power(one, Power.START)
    await backend.power(one, Power.STOP)
    assert libvirtd.places.variables is not None
    path = libvirtd.places.variables / "one_VARS.fd"

    def share() -> None:
        with libvirtd.client() as connection:
            xml = connection.lookupByUUIDString(two).XMLDesc(STORED)
            nvram = re.compile("<nvram.*</nvram>|(?=</os>)")
            connection.defineXML(nvram.sub(f"<nvram>{path}</nvram>", xml, count=1))

    await asyncio.to_thread(share)
    plan = await backend.delete_plan(one)
    assert (str(path), "UEFI variables, also used by two") in [(k.name, k.why) for k in plan.kept]
    await backend.delete(one, plan)
    assert path.exists()
    await backend.delete(two, await backend.delete_plan(two))
    assert not path.exists()


async def test_a_clone_has_a_key_of_its_own_for_its_tpm(
    backend: LibvirtBackend, libvirtd: PrivateLibvirtd
) -> None:
    vm = await made(backend, "web")
    await changed(backend, vm, "tpm", "crb")
    await changed(backend, vm, "tpm.encrypted", value=True)
    clone = await backend.clone(vm, "two", linked=False, cloud_init=None, progress=no_progress)
    await backend.delete(vm, await backend.delete_plan(vm))
    await backend.power(clone, Power.START)  # which needs the key
    assert (await backend.vm(clone)).state is State.RUNNING

    def keys() -> list[str]:
        with libvirtd.client() as connection:
            return [str(secret.UUIDString()) for secret in connection.listAllSecrets()]

    assert len(await asyncio.to_thread(keys)) == 1
    await backend.delete(clone, await backend.delete_plan(clone))
    assert await asyncio.to_thread(keys) == []


def test_a_file_is_the_same_however_it_is_named(libvirtd: PrivateLibvirtd) -> None:
    with libvirt.open("test:///default") as connection:
        pool = connection.storagePoolLookupByName("default-pool")
        pool.createXML("<volume><name>x</name><capacity>1</capacity></volume>")
        ids = []
        for number, source in enumerate(
            ("file='/default-pool/x'", "pool='default-pool' volume='x'")
        ):
            kind = source.partition("=")[0].replace("pool", "volume")
            domain = connection.defineXML(f"""<domain type='test'><name>{number}</name>
                <memory>1024</memory><os><type>hvm</type></os><devices>
                <disk type='{kind}' device='disk'><source {source}/><target dev='vda'/></disk>
                </devices></domain>""")
            ids.append(VMId(domain.UUIDString()))
        for vm in ids:
            plan = belongings.plan(connection, libvirtd.places, vm)
            assert plan.doomed == ()
            assert plan.kept[0].why.startswith("also used by")
