"""What every backend with balloons has to keep, and that real guests comply."""

from __future__ import annotations

import pytest

from tests.contract.cases import CONFIGURING, BackendCase, made
from tests.contract.test_contract import NOBODY, client, prompt
from vmtui.backends.abilities import Balloons
from vmtui.backends.base import Backend, Endpoint, Feature
from vmtui.ballooning import Compliance, ask, follow
from vmtui.errors import NoSuchVMError, RefusedError, StateError, VmtuiError
from vmtui.fleet import Fleet
from vmtui.model import Power, VMId
from vmtui.units import MIB
from vmtui.views import VMRef

pytestmark = pytest.mark.usefixtures("no_stalls")


@pytest.fixture(params=CONFIGURING)
def case(request: pytest.FixtureRequest) -> BackendCase:
    """Each backend that has balloons, in turn."""
    found: BackendCase = request.getfixturevalue(f"{request.param}_case")
    return found


@pytest.fixture
async def vm(case: BackendCase, backend: Backend, name: str) -> VMId:
    """One that is off."""
    return await made(backend, case.spec(name))


async def test_a_balloon_needs_a_vm_that_is_on(
    case: BackendCase, backend: Backend, vm: VMId
) -> None:
    assert Feature.BALLOON in backend.features
    assert isinstance(backend, Balloons)
    for attempt in (backend.balloon(vm), backend.ask_memory(vm, 96 * MIB)):
        with pytest.raises(StateError, match="off"):
            await attempt
    for unknown in (backend.balloon(NOBODY), backend.ask_memory(NOBODY, 96 * MIB)):
        with pytest.raises(NoSuchVMError):
            await unknown


async def test_a_guest_is_asked_and_complies(case: BackendCase, backend: Backend, vm: VMId) -> None:
    assert isinstance(backend, Balloons)
    await backend.power(vm, Power.START)
    ceiling = (await backend.vm(vm)).memory_bytes
    if case.has_real_guest:
        await prompt(backend, vm)
    before = await backend.balloon(vm)
    assert (before.ceiling_bytes, before.actual_bytes) == (ceiling, ceiling)
    if case.shares_vms:
        async with client(case, read_only=True) as other:
            with pytest.raises(RefusedError):
                await other.ask_memory(vm, ceiling // 2)
            assert await other.balloon(vm) == before
    with pytest.raises(VmtuiError):
        await backend.ask_memory(vm, 2 * ceiling)
    assert (await backend.balloon(vm)).actual_bytes == ceiling
    fleet = Fleet([Endpoint(backend, "here")])
    await fleet.connect()
    ref = VMRef(backend.uri, vm)
    for target in (ceiling - 32 * MIB, ceiling):
        await ask(fleet, ref, target)
        came = await follow(fleet, ref, target)
        assert came.compliance is Compliance.REACHED, came
        now = await backend.balloon(vm)
        assert now.target_bytes in (None, target)
        assert now.actual_bytes == pytest.approx(target, rel=0.02)
        assert now.answers is not False
