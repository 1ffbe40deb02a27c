"""Deleting direct VMs: into the trash and back, with parts spared, protected ones not at all."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from vmtui.backends.base import DeletePlan, no_progress
from vmtui.backends.kvm import swtpm
from vmtui.backends.kvm.backend import KvmBackend
from vmtui.backends.kvm.hardware import BaseDefinition
from vmtui.backends.kvm.store import Store
from vmtui.errors import InputError, NoSuchVMError, OperationError, RefusedError, StateError
from vmtui.model import Power, VMId
from vmtui.spec import BLANK, VMSpec
from vmtui.units import MIB

SPEC = VMSpec("web", BLANK, disk_bytes=MIB)


@pytest.fixture
async def backend(tmp_path: Path) -> AsyncIterator[KvmBackend]:
    opened = KvmBackend(store=store_in(tmp_path))
    await opened.open()
    yield opened
    await opened.close()


def store_in(root: Path) -> Store:
    return Store(root / "vms", root / "run")


async def made(backend: KvmBackend, root: Path, **keys: object) -> VMId:
    """A VM with a TPM's state, and with what is said in its definition."""
    vm = await backend.create(SPEC, no_progress)
    (root / "vms" / "web" / swtpm.STATE).mkdir()
    (root / "vms" / "web" / swtpm.STATE / "tpm2-00.permall").write_bytes(b"sealed")
    store = store_in(root)
    changed = msgspec.structs.replace(store.read("web"), **keys)
    await store.write(root / "vms" / "web", changed)
    return vm


def files(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }


async def trashed(backend: KvmBackend, vm: VMId) -> None:
    await backend.delete(vm, replace(await backend.delete_plan(vm), to_trash=True))


def sparing(plan: DeletePlan, *what: str) -> DeletePlan:
    doomed = tuple(replace(item, spared=item.what in what) for item in plan.doomed)
    return replace(plan, doomed=doomed)


async def test_what_is_in_the_trash_comes_back_as_it_was(
    backend: KvmBackend, tmp_path: Path
) -> None:
    vm = await made(backend, tmp_path)
    before = files(tmp_path / "vms")
    earliest_s = time.time()
    await trashed(backend, vm)
    assert list(await backend.vms()) == []
    assert list((tmp_path / "run").iterdir()) == []
    [item] = await backend.trashed()
    assert (item.vm, item.name) == (vm, "web")
    assert earliest_s <= item.deleted_at_s <= time.time()
    assert item.gone_at_s == item.deleted_at_s + 30 * 86400
    assert item.size_bytes
    await backend.restore(vm)
    assert [found.id for found in await backend.vms()] == [vm]
    assert files(tmp_path / "vms") == before
    assert list(await backend.trashed()) == []
    assert not (tmp_path / "vms" / ".trash").exists()


async def test_a_name_that_was_taken_meanwhile_is_not_taken_back(
    backend: KvmBackend, tmp_path: Path
) -> None:
    vm = await made(backend, tmp_path)
    await trashed(backend, vm)
    other = await backend.create(replace(SPEC, name="Web"), no_progress)
    with pytest.raises(InputError, match="exists already"):
        await backend.restore(vm)
    assert [item.vm for item in await backend.trashed()] == [vm]
    await trashed(backend, other)
    assert [item.vm for item in await backend.trashed()] == [other, vm]
    await backend.purge(other)
    await backend.restore(vm)
    assert [found.id for found in await backend.vms()] == [vm]


async def test_what_was_purged_or_never_there_does_not_come_back(
    backend: KvmBackend, tmp_path: Path
) -> None:
    vm = await made(backend, tmp_path)
    await trashed(backend, vm)
    await backend.purge(vm)
    assert files(tmp_path / "vms") == {}
    for change in (backend.restore(vm), backend.purge(vm), backend.purge(VMId("../../etc"))):
        with pytest.raises(NoSuchVMError, match="not in the trash"):
            await change


async def test_two_that_can_not_be_read_fit_into_the_trash(
    backend: KvmBackend, tmp_path: Path
) -> None:
    for content in ("first", "second"):
        folder = tmp_path / "vms" / "web"
        folder.mkdir()
        (folder / "vm.toml").write_text(content)
        (vm,) = await backend.vms()
        await trashed(backend, vm.id)
    last, first = await backend.trashed()
    for item, content in ((first, "first"), (last, "second")):
        await backend.restore(item.vm)
        assert (folder / "vm.toml").read_text() == content
        (vm,) = await backend.vms()
        await backend.delete(vm.id, await backend.delete_plan(vm.id))


async def test_the_trash_is_emptied_when_its_time_is_up(
    backend: KvmBackend, tmp_path: Path
) -> None:
    vm = await made(backend, tmp_path)
    await trashed(backend, vm)
    for days, read_only, left in ((1.0, False, 1), (0.0, True, 1), (0.0, False, 0)):
        later = KvmBackend(store=store_in(tmp_path), trash_days=days, read_only=read_only)
        await later.open()
        assert len(await later.trashed()) == left
        await later.close()


async def test_read_only_brings_nothing_back_and_purges_nothing(
    backend: KvmBackend, tmp_path: Path
) -> None:
    vm = await made(backend, tmp_path)
    await trashed(backend, vm)
    looking = KvmBackend(store=store_in(tmp_path), read_only=True)
    await looking.open()
    assert len(await looking.trashed()) == 1
    for change in (looking.restore(vm), looking.purge(vm)):
        with pytest.raises(RefusedError, match="read-only"):
            await change
    await looking.close()


async def test_read_only_changes_nothing(backend: KvmBackend, tmp_path: Path) -> None:
    vm = await made(backend, tmp_path)
    before = files(tmp_path / "vms")
    looking = KvmBackend(store=store_in(tmp_path), read_only=True)
    await looking.open()
    for change in (
        looking.power(vm, Power.RESUME),
        looking.create(replace(SPEC, name="db"), no_progress),
        looking.clone(vm, "db", linked=False, cloud_init=None, progress=no_progress),
        looking.delete(vm, await looking.delete_plan(vm)),
    ):
        with pytest.raises(RefusedError, match="read-only"):
            await change
    await looking.close()
    assert files(tmp_path / "vms") == before


async def test_what_is_in_the_trash_still_leans_on_what_it_leans_on(
    backend: KvmBackend, tmp_path: Path
) -> None:
    vm = await made(backend, tmp_path)
    base = await backend.create(replace(SPEC, name="base"), no_progress)
    store = store_in(tmp_path)
    definition = store.read("web")
    leaning = msgspec.structs.replace(
        definition.disk[0],
        base=(BaseDefinition("/a", "qcow2", 1, 1, image="tiny", vm=base),),
    )
    changed = msgspec.structs.replace(definition, disk=(leaning,))
    await store.write(store.folder("web"), changed)
    await trashed(backend, vm)
    assert await backend.images_in_use() == {"tiny": ("web (in the trash)",)}
    with pytest.raises(StateError) as refused:
        await backend.delete_plan(base)
    assert "web (in the trash)" in refused.value.why
    await backend.purge(vm)
    assert (await backend.delete_plan(base)).name == "base"


async def test_also_a_definition_that_can_not_be_read_leans_on_what_it_names(
    backend: KvmBackend, tmp_path: Path
) -> None:
    await made(backend, tmp_path)
    base = await backend.create(replace(SPEC, name="base"), no_progress)
    (tmp_path / "vms" / "web" / "vm.toml").write_text(f'[[disk.base]]\nvm = "{base}"\n')
    with pytest.raises(StateError) as refused:
        await backend.delete_plan(base)
    assert "the disks of web lean on its own" in refused.value.why


# -- what is spared --------------------------------------------------------------------------


async def test_what_is_spared_is_kept_beside_the_store(backend: KvmBackend, tmp_path: Path) -> None:
    for folder in ("web", "web-2"):
        vm = await made(backend, tmp_path)
        plan = await backend.delete_plan(vm)
        warned = {item.what: (item.warning, item.sparable) for item in plan.doomed}
        assert warned == {
            "disk": ("", True),
            "TPM state": ("disk keys sealed in it are lost", True),
        }
        assert plan.spared_to == str(tmp_path / "kept" / folder)
        await backend.delete(vm, sparing(plan, "TPM state"))
        assert sorted(files(tmp_path / "kept" / folder)) == ["tpm/tpm2-00.permall", "vm.toml"]
        assert files(tmp_path / "vms") == {}
    assert (tmp_path / "kept").stat().st_mode & 0o077 == 0


async def test_what_is_nothing_alone_can_not_be_spared(backend: KvmBackend, tmp_path: Path) -> None:
    vm = await made(backend, tmp_path)
    (tmp_path / "vms" / "web" / "stray").touch()
    plan = await backend.delete_plan(vm)
    with pytest.raises(InputError, match="can't be spared"):
        await backend.delete(vm, sparing(plan, "file"))
    assert (tmp_path / "vms" / "web" / "stray").exists()


async def test_what_was_confirmed_is_what_goes(backend: KvmBackend, tmp_path: Path) -> None:
    vm = await made(backend, tmp_path)
    plan = await backend.delete_plan(vm)
    (tmp_path / "vms" / "web" / "stray").touch()
    with pytest.raises(StateError, match="is not deleted") as refused:
        await backend.delete(vm, plan)
    assert "since the deletion was confirmed" in refused.value.why
    assert (tmp_path / "vms" / "web" / "disk.qcow2").exists()


async def test_a_failure_to_keep_leaves_the_vm_whole(backend: KvmBackend, tmp_path: Path) -> None:
    vm = await made(backend, tmp_path)
    before = files(tmp_path / "vms")
    (tmp_path / "kept").touch()  # no folder can be made there
    plan = await backend.delete_plan(vm)
    with pytest.raises(OperationError, match="can't be written"):
        await backend.delete(vm, sparing(plan, "disk"))
    assert files(tmp_path / "vms") == before


async def test_what_is_protected_is_not_deleted(backend: KvmBackend, tmp_path: Path) -> None:
    vm = await made(backend, tmp_path, protected=True)
    plan = await backend.delete_plan(vm)
    for wanted in (plan, replace(plan, to_trash=True)):
        with pytest.raises(RefusedError) as refused:
            await backend.delete(vm, wanted)
        assert refused.value.why == "it is protected"
        assert "protected=off" in refused.value.hint
    assert [found.id for found in await backend.vms()] == [vm]
