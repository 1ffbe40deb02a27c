"""What every backend has to keep of what surrounds a VM: its trash, TPM, firmware, isolation."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.contract.cases import CONFIGURING, BackendCase, made
from tests.contract.test_contract import NOBODY
from vmtui.backends.abilities import (
    Configures,
    FirmwareVariables,
    HostDevices,
    Isolates,
    MapsCores,
    MergesPages,
    Tpms,
    Trash,
)
from vmtui.backends.base import Backend, Feature
from vmtui.deletion import consequences
from vmtui.errors import InputError, NoSuchVMError, UnsupportedError
from vmtui.hardware.around import Mark
from vmtui.model import Power, VMId

pytestmark = pytest.mark.usefixtures("no_stalls")


@pytest.fixture(params=CONFIGURING)
def case(request: pytest.FixtureRequest) -> BackendCase:
    """Each backend that configures, in turn."""
    found: BackendCase = request.getfixturevalue(f"{request.param}_case")
    return found


@pytest.fixture
async def vm(case: BackendCase, backend: Backend, name: str) -> VMId:
    """One that is off."""
    return await made(backend, case.spec(name))


async def test_what_is_in_the_trash_comes_back_as_it_was(
    case: BackendCase, backend: Backend, vm: VMId, name: str
) -> None:
    if Feature.TRASH not in backend.features:
        return
    assert isinstance(backend, Trash)
    assert isinstance(backend, Configures)
    seen, hardware = await backend.vm(vm), await backend.hardware(vm)
    plan = replace(await backend.delete_plan(vm), to_trash=True)
    await backend.delete(vm, plan)
    with pytest.raises(NoSuchVMError):
        await backend.vm(vm)
    [trashed] = [one for one in await backend.trashed() if one.vm == vm]
    assert (trashed.name, trashed.gone_at_s > trashed.deleted_at_s) == (name, True)
    another = await made(backend, case.spec(name))
    with pytest.raises(InputError, match=name):
        await backend.restore(vm)
    await backend.delete(another, await backend.delete_plan(another))
    await backend.restore(vm)
    assert await backend.vm(vm) == seen
    assert await backend.hardware(vm) == hardware
    assert vm not in {one.vm for one in await backend.trashed()}
    await backend.delete(vm, replace(await backend.delete_plan(vm), to_trash=True))
    await backend.purge(vm)
    assert vm not in {one.vm for one in await backend.trashed()}
    with pytest.raises(NoSuchVMError):
        await backend.restore(vm)
    assert case.paths_left() == set()


async def test_a_deletion_names_what_goes_and_what_is_lost(backend: Backend, vm: VMId) -> None:
    plan = await backend.delete_plan(vm)
    assert all(doomed.what and doomed.name for doomed in plan.doomed)
    lines = consequences(plan)
    for doomed in plan.doomed:
        assert any(doomed.name in line for line in lines)


async def test_what_is_spared_stays(case: BackendCase, backend: Backend, vm: VMId) -> None:
    plan = await backend.delete_plan(vm)
    sparable = [doomed for doomed in plan.doomed if doomed.sparable]
    if not sparable:
        return
    spared = tuple(replace(d, spared=d.sparable) for d in plan.doomed)
    await backend.delete(vm, replace(plan, doomed=spared))
    if not case.has_real_guest:
        return
    for doomed in sparable:
        kept = Path(plan.spared_to or "/") / (
            Path(doomed.name).name if plan.spared_to else doomed.name
        )
        path = Path(case.outside(str(kept)))
        assert path.exists(), f"{path} of {plan}"
        path.unlink()


async def test_a_tpm_that_is_not_there_is_told(backend: Backend, vm: VMId, tmp_path: Path) -> None:
    if Feature.TPM not in backend.features:
        return
    assert isinstance(backend, Tpms)
    for attempt in (
        backend.tpm(vm),
        backend.back_up_tpm(vm, tmp_path / "tpm"),
        backend.restore_tpm(vm, tmp_path / "tpm"),
        backend.clear_tpm(vm),
    ):
        with pytest.raises(UnsupportedError, match="TPM"):
            await attempt
    for unknown in (backend.tpm(NOBODY), backend.clear_tpm(NOBODY)):
        with pytest.raises(NoSuchVMError):
            await unknown
    assert list(tmp_path.iterdir()) == []


async def test_a_bios_has_no_variables(backend: Backend, vm: VMId, tmp_path: Path) -> None:
    if Feature.VARIABLES not in backend.features:
        return
    assert isinstance(backend, FirmwareVariables)
    for attempt in (
        backend.firmware(vm),
        backend.reset_variables(vm),
        backend.back_up_variables(vm, tmp_path / "variables"),
    ):
        with pytest.raises(UnsupportedError, match="variables"):
            await attempt
    assert list(tmp_path.iterdir()) == []


async def test_whatever_would_isolate_better_can_be_done(backend: Backend, vm: VMId) -> None:
    if not isinstance(backend, Isolates):
        return
    assert isinstance(backend, Configures)
    for state in ("off", "on"):
        if state == "on":
            await backend.power(vm, Power.START)
        barriers = await backend.isolation(vm)
        topics = [barrier.topic for barrier in barriers]
        assert len(set(topics)) == len(topics)
        assert all(b.value for b in barriers)
        assert all(b.advice or b.mark in (Mark.GOOD, Mark.UNKNOWN) for b in barriers), barriers
        changes = [change for barrier in barriers for change in barrier.changes]
        assert changes, "its network can be taken away, at least"
        plan = await backend.plan(vm, changes)
        assert plan.changes == tuple(changes)
    await backend.change(plan)
    tighter = await backend.isolation(vm)
    assert len([c for b in tighter for c in b.changes]) < len(changes)


async def test_the_host_s_devices_and_cores_are_told(backend: Backend) -> None:
    if Feature.PASSTHROUGH in backend.features:
        assert isinstance(backend, HostDevices)
        devices = await backend.host_devices()
        assert len({(one.bus, one.address) for one in devices}) == len(devices)
    if isinstance(backend, MapsCores):
        cores = await backend.cores()
        assert len(cores.cpus) == (await backend.host()).cpus
        assert all(placed.cpus <= cores.numbers for placed in cores.placed)
    assert isinstance(backend, MergesPages)
    told = (await backend.host_counters()).ksm
    if told is not None:
        sharing = await backend.page_sharing()
        assert sharing.running is told.running
    else:
        with pytest.raises(UnsupportedError):
            await backend.page_sharing()


async def test_a_bios_has_no_variables_to_reset(backend: Backend, vm: VMId) -> None:
    if Feature.VARIABLES not in backend.features:
        return
    assert isinstance(backend, FirmwareVariables)
    with pytest.raises(UnsupportedError):
        await backend.reset_variables(vm)
