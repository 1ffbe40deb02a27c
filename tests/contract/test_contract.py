"""What every backend has to keep, whatever is behind it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import replace

import pytest

from tests.contract.cases import (
    BOOT_LIMIT_S,
    BackendCase,
    Listener,
    in_state,
    made,
    offered,
    until,
    wiped,
)
from vmtui.backends.abilities import (
    Balloons,
    Clones,
    Configures,
    FirmwareVariables,
    HostDevices,
    Tpms,
    Trash,
)
from vmtui.backends.base import Backend, Feature, Progress, no_progress
from vmtui.backends.ways_in import Console, Consoles, Displays, Ending, Logs, Watchable
from vmtui.counters import Counters, Stalled
from vmtui.errors import (
    BusyError,
    InputError,
    NoSuchVMError,
    RefusedError,
    StateError,
    VmtuiError,
)
from vmtui.metrics import rates
from vmtui.model import ACTIVE_STATES, INACTIVE_STATES, EventKind, Power, State, VMId

pytestmark = pytest.mark.usefixtures("no_stalls")

HISTORY_BYTES = 65536
NOBODY = VMId("00000000-0000-4000-8000-000000000000")


@contextlib.asynccontextmanager
async def client(case: BackendCase, *, read_only: bool = False):  # type: ignore[no-untyped-def]
    """Another client of the same place."""
    other = case.connect(read_only)
    await other.open()
    try:
        yield other
    finally:
        await other.close()


# -- the connection ------------------------------------------------------------------------------


async def test_it_can_be_closed_twice_and_opened_again(backend: Backend) -> None:
    before = {vm.id for vm in await backend.vms()}
    await backend.close()
    await backend.close()
    await backend.open()
    assert {vm.id for vm in await backend.vms()} == before


async def test_features_are_what_it_implements(backend: Backend) -> None:
    for feature, protocol in (
        (Feature.CONSOLE, Consoles),
        (Feature.LOG, Logs),
        (Feature.DISPLAY, Displays),
        (Feature.CLONE, Clones),
        (Feature.CONFIGURE, Configures),
        (Feature.BALLOON, Balloons),
        (Feature.TPM, Tpms),
        (Feature.VARIABLES, FirmwareVariables),
        (Feature.PASSTHROUGH, HostDevices),
        (Feature.TRASH, Trash),
    ):
        if feature in backend.features:
            assert isinstance(backend, protocol)


async def test_the_host_is_described(backend: Backend) -> None:
    host = await backend.host()
    assert host.name
    assert host.hypervisor
    assert host.cpus >= 1
    assert host.memory_bytes > 0


async def test_host_counters_never_go_back(backend: Backend) -> None:
    first, second = await backend.host_counters(), await backend.host_counters()
    assert second.at_s >= first.at_s
    for before, after in (
        (first.cpu, second.cpu),
        *zip(first.cpus, second.cpus, strict=True),
    ):
        if before is not None and after is not None:
            assert after.user_s + after.system_s >= before.user_s + before.system_s
    if second.memory_total_bytes is not None and second.memory_available_bytes is not None:
        assert 0 < second.memory_available_bytes <= second.memory_total_bytes


# -- making and finding --------------------------------------------------------------------------


async def test_a_new_vm_is_as_specified_and_off(
    case: BackendCase, backend: Backend, name: str
) -> None:
    spec = replace(case.spec(name), vcpus=2, description="<b>&amp; \"quoted\" 'ü'")
    vm_id = await made(backend, spec)
    vm = await backend.vm(vm_id)
    assert (vm.name, vm.state, vm.vcpus) == (name, State.OFF, 2)
    assert vm.memory_bytes == spec.memory_bytes
    assert vm.description == spec.description
    assert vm.image == spec.boot.label
    assert [disk.capacity_bytes for disk in vm.disks] == [spec.disk_bytes]
    assert not vm.problem
    assert vm in await backend.vms()


async def test_a_taken_name_is_refused_in_any_case(
    case: BackendCase, backend: Backend, name: str
) -> None:
    await made(backend, case.spec(name))
    left = case.paths_left()
    for taken in (name, name.upper()):
        with pytest.raises(InputError):
            await made(backend, case.spec(taken))
    assert [vm.name for vm in await backend.vms()].count(name) == 1
    assert case.paths_left() == left


@pytest.mark.parametrize("bad", ["", "a/b", "..", "-x", "a b", "[red]", "\x1b[31m", "x" * 300])
async def test_a_bad_name_is_refused(case: BackendCase, backend: Backend, bad: str) -> None:
    left = case.paths_left()
    with pytest.raises(InputError):
        await made(backend, case.spec(bad))
    assert case.paths_left() == left


async def test_a_clone_is_a_vm_of_its_own(case: BackendCase, backend: Backend, name: str) -> None:
    if not isinstance(backend, Clones) or Feature.CLONE not in backend.features:
        assert Feature.CLONE not in backend.features
        return
    source = await made(backend, replace(case.spec(name), description="one of a kind"))
    made_before = case.paths_left()
    with pytest.raises(InputError):
        await backend.clone(source, name, linked=True, cloud_init=None, progress=no_progress)
    assert case.paths_left() == made_before
    clones = {}
    for linked in (True, False):
        clones[linked] = await backend.clone(
            source, f"{name}-{linked}", linked=linked, cloud_init=None, progress=no_progress
        )
        one, other = await backend.vm(source), await backend.vm(clones[linked])
        assert (other.name, other.state) == (f"{name}-{linked}", State.OFF)
        for same in ("vcpus", "memory_bytes", "description", "firmware"):
            assert getattr(other, same) == getattr(one, same), same
        assert [d.capacity_bytes for d in other.disks] == [d.capacity_bytes for d in one.disks]
        assert not {nic.mac for nic in other.nics} & {nic.mac for nic in one.nics}
        assert not {d.source for d in other.disks} & {d.source for d in one.disks}
    assert len({source, *clones.values()}) == 3
    if case.has_real_guest:  # the others have no disks that could lean on each other
        with pytest.raises((StateError, RefusedError)):
            await backend.power(source, Power.START)
        with pytest.raises((StateError, RefusedError)):
            await wiped(backend, source)
    await backend.power(clones[True], Power.START)
    await backend.power(clones[False], Power.START)
    for clone in clones.values():
        await wiped(backend, clone)
    assert case.paths_left() == made_before
    await backend.power(source, Power.START)


async def test_an_unknown_vm_is_one_clear_error(backend: Backend) -> None:
    for attempt in (
        backend.vm(NOBODY),
        backend.delete_plan(NOBODY),
        *(backend.power(NOBODY, op) for op in offered(backend)),
    ):
        with pytest.raises(NoSuchVMError):
            await attempt
    assert await backend.counters([NOBODY]) == {}


async def test_a_cancelled_creation_leaves_nothing(
    case: BackendCase, backend: Backend, name: str
) -> None:
    left, vms = case.paths_left(), {vm.id for vm in await backend.vms()}
    for steps in range(12):
        creation = asyncio.create_task(backend.create(case.spec(name), no_progress))
        for _ in range(steps * steps):
            if creation.done():
                break
            await asyncio.sleep(0.001)
        if not creation.cancel():
            break
        with contextlib.suppress(asyncio.CancelledError):
            vm_id = await creation
            await wiped(backend, vm_id)
        assert {vm.id for vm in await backend.vms()} == vms
        assert case.paths_left() == left
    else:
        return
    await wiped(backend, await creation)


async def test_creation_can_be_cancelled_from_its_own_progress(
    case: BackendCase, backend: Backend, name: str
) -> None:
    left, vms = case.paths_left(), {vm.id for vm in await backend.vms()}

    def cancel(_: Progress) -> None:
        creation.cancel()

    creation = asyncio.create_task(backend.create(case.spec(name), cancel))
    try:
        vm_id = await creation
    except asyncio.CancelledError:
        pass
    else:
        await wiped(backend, vm_id)
    assert {vm.id for vm in await backend.vms()} == vms
    assert case.paths_left() == left


# -- power ---------------------------------------------------------------------------------------


async def test_the_whole_life_of_a_vm(case: BackendCase, backend: Backend, name: str) -> None:
    others = case.paths_left()
    vm = await made(backend, case.spec(name))
    await backend.power(vm, Power.START)
    running = await backend.vm(vm)
    assert running.state is State.RUNNING
    if case.has_real_guest:
        assert running.started_at_s is not None
        assert abs(running.started_at_s - time.time()) < 30
        assert running.accel is not None
    await backend.power(vm, Power.PAUSE)
    assert (await backend.vm(vm)).state is State.PAUSED
    await backend.power(vm, Power.RESUME)
    assert (await backend.vm(vm)).state is State.RUNNING
    await backend.power(vm, Power.RESET)
    assert (await backend.vm(vm)).state is State.RUNNING
    await backend.power(vm, Power.STOP)
    off = await backend.vm(vm)
    assert off.state is State.OFF
    assert off.started_at_s is None
    await backend.delete(vm, await backend.delete_plan(vm))
    with pytest.raises(NoSuchVMError):
        await backend.vm(vm)
    assert vm not in {one.id for one in await backend.vms()}
    assert case.paths_left() == others


async def test_what_does_not_fit_the_state_is_refused_without_effect(
    case: BackendCase, backend: Backend, name: str
) -> None:
    vm = await made(backend, case.spec(name))
    wrong = {
        State.OFF: set(Power) - {Power.START},
        State.RUNNING: {Power.START, Power.RESUME},
        State.PAUSED: {Power.START, Power.PAUSE, Power.REBOOT},
    }
    for state, leads_there in (
        (State.OFF, None),
        (State.RUNNING, Power.START),
        (State.PAUSED, Power.PAUSE),
    ):
        if leads_there:
            await backend.power(vm, leads_there)
        for op in wrong[state] & set(offered(backend)):
            with pytest.raises(StateError):
                await backend.power(vm, op)
            assert (await backend.vm(vm)).state is state, op


async def test_a_shutdown_turns_the_guest_off(
    case: BackendCase, backend: Backend, name: str
) -> None:
    vm = await made(backend, case.spec(name))
    await backend.power(vm, Power.START)
    if case.has_real_guest:
        await prompt(backend, vm)
    asked_s = time.monotonic()
    await backend.power(vm, Power.SHUTDOWN)
    assert time.monotonic() - asked_s < 2, "it returns once the guest was asked"
    await in_state(backend, vm, State.OFF, limit_s=BOOT_LIMIT_S)


# -- events --------------------------------------------------------------------------------------


async def test_every_change_is_told_within_a_second(
    case: BackendCase, backend: Backend, name: str
) -> None:
    async with Listener(backend).running() as listener:
        vm = await made(backend, case.spec(name))
        await listener.sees(vm, EventKind.ADDED, EventKind.CHANGED)
        for op in (Power.START, Power.PAUSE, Power.RESUME, Power.STOP):
            await backend.power(vm, op)
            await listener.sees(vm, EventKind.CHANGED)
        await wiped(backend, vm)
        await listener.sees(vm, EventKind.REMOVED)


async def test_who_stops_listening_leaves_nothing_at_work(backend: Backend) -> None:
    before = asyncio.all_tasks()
    async with Listener(backend).running():
        assert asyncio.all_tasks() > before
    assert asyncio.all_tasks() <= before


async def test_changes_of_another_client_are_told_too(
    case: BackendCase, backend: Backend, name: str
) -> None:
    if not case.shares_vms:
        pytest.skip("its clients share nothing")
    async with client(case) as other, Listener(backend).running() as listener:
        vm = await made(other, case.spec(name))
        await listener.sees(vm, EventKind.ADDED, EventKind.CHANGED)
        assert (await backend.vm(vm)).name == name
        for op, state in (
            (Power.START, State.RUNNING),
            (Power.PAUSE, State.PAUSED),
            (Power.STOP, State.OFF),
        ):
            await other.power(vm, op)
            await listener.sees(vm, EventKind.CHANGED)
            assert (await backend.vm(vm)).state is state
        await wiped(other, vm)
        await listener.sees(vm, EventKind.REMOVED, EventKind.CHANGED)
        with pytest.raises(NoSuchVMError):
            await backend.vm(vm)


# -- counters ------------------------------------------------------------------------------------


async def test_counters_grow_within_one_run_and_start_anew_with_the_next(
    case: BackendCase, backend: Backend, name: str
) -> None:
    vm = await made(backend, case.spec(name))
    assert await backend.counters([vm]) == {}, "a VM that is off has none"
    await backend.power(vm, Power.START)
    # That none of the three who ask first and beside each other fails is the test.
    await asyncio.gather(*(backend.counters([vm]) for _ in range(3)))
    first = await sampled(backend, vm)
    for answer in await asyncio.gather(*(backend.counters([vm]) for _ in range(3))):
        beside_others = answer[vm]
        assert not isinstance(beside_others, Stalled)
        assert beside_others.epoch == first.epoch
    await until(lambda: time.monotonic() > first.at_s + 0.05)
    second = await sampled(backend, vm)
    assert second.epoch == first.epoch
    assert second.at_s > first.at_s
    assert first.cpu is not None
    assert second.cpu is not None
    assert first.cpu.time_ns is not None
    assert second.cpu.time_ns is not None
    assert second.cpu.time_ns >= first.cpu.time_ns
    assert rates(first, second, 1) is not None
    await backend.power(vm, Power.STOP)
    await backend.power(vm, Power.START)
    third = await sampled(backend, vm, after=second)
    assert rates(second, third, 1) is None


async def sampled(backend: Backend, vm: VMId, after: Counters | None = None) -> Counters:
    """The first of this run, or of the next `after` one.

    Where libvirt keeps a look waiting, what was seen before it is told again.
    """
    found: list[Counters] = []

    async def came() -> bool:
        sample = (await backend.counters([vm])).get(vm)
        if isinstance(sample, Counters) and (after is None or sample.epoch != after.epoch):
            found.append(sample)
        return bool(found)

    await until(came, what=f"a sample of {vm}")
    return found[0]


# -- refusals ------------------------------------------------------------------------------------


async def test_read_only_refuses_every_change(
    case: BackendCase, backend: Backend, name: str
) -> None:
    if case.shares_vms:
        vm = await made(backend, case.spec(name))
    else:
        vm = next(one.id for one in await backend.vms())
    async with client(case, read_only=True) as reader:
        before, left = await reader.vm(vm), case.paths_left()
        plan = await reader.delete_plan(vm)
        for op in Power:
            with pytest.raises(RefusedError):
                await reader.power(vm, op)
        with pytest.raises(RefusedError):
            await made(reader, case.spec(f"{name}-more"))
        with pytest.raises(RefusedError):
            await reader.delete(vm, plan)
        if isinstance(reader, Consoles):
            with pytest.raises(RefusedError):
                await reader.console(vm)
        assert (await reader.vm(vm)).state is before.state
        assert case.paths_left() == left


async def test_deletion_names_all_and_removes_exactly_that(
    case: BackendCase, backend: Backend, name: str
) -> None:
    stays = await made(backend, case.spec(f"{name}-stays"))
    left = case.paths_left()
    vm = await made(backend, case.spec(name))
    await backend.power(vm, Power.START)
    plan = await backend.delete_plan(vm)
    assert plan.name == name
    assert plan.force_off
    disks = {disk.source for disk in (await backend.vm(vm)).disks}
    assert disks <= {item.name for item in plan.doomed}
    added = case.paths_left() - left
    named = {item.name.rpartition("/")[2] for item in plan.doomed}
    assert {path.rpartition("/")[2] for path in added} <= named
    await backend.delete(vm, plan)
    assert case.paths_left() == left
    assert (await backend.vm(stays)).state is State.OFF


async def test_a_plan_made_while_it_was_off_does_not_force_it_off(
    case: BackendCase, backend: Backend, name: str
) -> None:
    vm = await made(backend, case.spec(name))
    plan = await backend.delete_plan(vm)
    assert not plan.force_off
    await backend.power(vm, Power.START)
    with pytest.raises(StateError):
        await backend.delete(vm, plan)
    assert (await backend.vm(vm)).state is State.RUNNING


async def test_two_deletions_at_once_are_one(
    case: BackendCase, backend: Backend, name: str
) -> None:
    vm = await made(backend, case.spec(name))
    plan = await backend.delete_plan(vm)
    results = await asyncio.gather(
        backend.delete(vm, plan), backend.delete(vm, plan), return_exceptions=True
    )
    assert results.count(None) == 1
    assert all(isinstance(result, VmtuiError) for result in results if result is not None)


# -- consoles and logs ---------------------------------------------------------------------------


async def test_the_console_reaches_a_shell_and_can_be_taken_over(
    case: BackendCase, backend: Backend, name: str
) -> None:
    if Feature.CONSOLE not in backend.features or not case.has_real_guest:
        pytest.skip("it has no console")
    assert isinstance(backend, Consoles)
    vm = await made(backend, case.spec(name))
    with pytest.raises(VmtuiError):
        await backend.console(vm)
    await backend.power(vm, Power.START)
    await prompt(backend, vm)
    first = await backend.console(vm)
    await say(first, b"root\n", b"assword")
    await say(first, b"micro\n", b"# ")
    await say(first, b"echo $((6*7))-answer\n", b"42-answer")
    async with client(case) as other:
        with pytest.raises(BusyError):
            await other.console(vm)
        assert isinstance(backend, Watchable)
        watched = await backend.watch_console(vm, history_bytes=HISTORY_BYTES)
        await hears(watched, b"42-answer")
        second = await other.console(vm, force=True, history_bytes=HISTORY_BYTES)
        assert await drained(first)
        assert first.ending is Ending.TAKEN
        assert "off" not in first.ended_because
        await first.close()
        printed = await past(second)
        assert b"login: " in printed
        assert printed.count(b"42-answer") == 1
        await say(second, b"echo $((6*8))-answer\n", b"48-answer")
        await say(watched, b"echo never\n", b"48-answer")
        await backend.power(vm, Power.STOP)
        for console in (second, watched):
            assert await drained(console)
            assert console.ending is Ending.OFF
            assert "off" in console.ended_because
            await console.close()
        await second.close()
        await second.close()


async def test_a_console_that_is_closed_can_be_attached_again(
    case: BackendCase, backend: Backend, name: str
) -> None:
    if Feature.CONSOLE not in backend.features or not case.has_real_guest:
        pytest.skip("it has no console")
    assert isinstance(backend, Consoles)
    vm = await made(backend, case.spec(name))
    await backend.power(vm, Power.START)
    [name] = (await backend.vm(vm)).consoles
    for asked in ("", name, ""):
        console = await backend.console(vm, asked)
        await console.close()
        assert await console.read() == b""
        assert console.ending is Ending.DETACHED
    assert isinstance(backend, Logs)
    for attempt in (backend.console(vm, "nonsense"), backend.console_history(vm, "nonsense")):
        with pytest.raises(InputError, match="nonsense") as error:
            await attempt
        assert name in error.value.hint
    await (await backend.console(vm)).close()


async def test_what_the_guest_prints_can_be_followed_to_its_end(
    case: BackendCase, backend: Backend, name: str
) -> None:
    if Feature.CONSOLE not in backend.features or not case.has_real_guest:
        pytest.skip("it has no console")
    assert isinstance(backend, Consoles)
    assert isinstance(backend, Logs)
    vm = await made(backend, case.spec(name))
    await backend.power(vm, Power.START)
    async with asyncio.timeout(BOOT_LIMIT_S):
        text = b""
        async for piece in backend.console_output(vm):
            text += piece
            if f"{name} login: ".encode() in text:
                await backend.power(vm, Power.STOP)
    assert b"login: " in await backend.console_history(vm)
    assert "qemu" in (await backend.log(vm)).lower()


async def prompt(backend: Backend, vm: VMId) -> None:
    assert isinstance(backend, Consoles)
    text = b""
    async with asyncio.timeout(BOOT_LIMIT_S):
        async for piece in backend.console_output(vm):
            text += piece
            if b"login: " in text:
                return
    pytest.fail(f"no prompt in {text[-2000:]!r}")


async def say(console: Console, words: bytes, answer: bytes) -> None:
    await console.write(words)
    await hears(console, answer)


async def hears(console: Console, words: bytes) -> None:
    """Read until the guest has said that: what it prints is in its log a moment later."""
    text = b""
    async with asyncio.timeout(20):
        while words not in text:
            piece = await console.read()
            assert piece, (console.ended_because, text)
            text += piece


async def past(console: Console) -> bytes:
    """What was printed before it was attached."""
    text = b""
    async with asyncio.timeout(20):
        while len(text) < console.history_bytes:
            text += await console.read()
    return text


async def drained(console: Console) -> bool:
    async with asyncio.timeout(20):
        while await console.read():
            pass
    return bool(console.ended_because)


def test_the_states_are_covered() -> None:
    assert ACTIVE_STATES | INACTIVE_STATES | {State.BROKEN} == set(State)
