"""What every backend that configures VMs has to keep."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.contract.cases import CONFIGURING, BackendCase, in_state, made, wiped
from tests.contract.test_contract import NOBODY, client
from vmtui.backends.abilities import Configures
from vmtui.backends.base import Backend, Feature
from vmtui.errors import NoSuchVMError, RefusedError, StateError, VmtuiError
from vmtui.hardware.changes import Assign, Attach, Change, Detach, When
from vmtui.hardware.devices import NewDisk
from vmtui.hardware.settings import setting
from vmtui.hardware.tree import Entry, Hardware, Takes
from vmtui.hardware.values import Kind, Value
from vmtui.model import Power, State, VMId
from vmtui.parts import NicSpec
from vmtui.units import GIB, MIB

pytestmark = pytest.mark.usefixtures("no_stalls")


@pytest.fixture(params=CONFIGURING)
def case(request: pytest.FixtureRequest) -> BackendCase:
    """Each backend that configures, in turn."""
    found: BackendCase = request.getfixturevalue(f"{request.param}_case")
    return found


@pytest.fixture
def configures(backend: Backend) -> Configures:
    assert Feature.CONFIGURE in backend.features
    assert isinstance(backend, Configures)
    return backend


@pytest.fixture
async def vm(case: BackendCase, backend: Backend, configures: Configures, name: str) -> VMId:
    """One that is off."""
    return await made(backend, replace(case.spec(name), vcpus=2, description="one of a kind"))


async def changed(
    configures: Configures, vm: VMId, *changes: Change, when: When = When.AUTO
) -> tuple[Change, ...]:
    """Do it; gives what undoes it."""
    outcome = await configures.change(await configures.plan(vm, changes, when))
    assert [one.problem for one in outcome.done] == [""] * len(changes)
    return outcome.undo


def entry_of(hardware: Hardware, key: str) -> Entry:
    found = hardware.entry(key)
    assert found is not None, f"{key} is not in {[part.entries for part in hardware.parts]}"
    return found


def entries(hardware: Hardware) -> Iterator[Entry]:
    for part in hardware.parts:
        yield from part.entries


# -- what there is ---------------------------------------------------------------------------------


async def test_hardware_is_what_the_vm_says(
    backend: Backend, configures: Configures, vm: VMId
) -> None:
    hardware, seen = await configures.hardware(vm), await backend.vm(vm)
    assert (hardware.vm, hardware.name, hardware.active) == (vm, seen.name, False)
    assert hardware.pending == ()
    assert not seen.pending
    said = {
        "name": seen.name,
        "cpus": seen.vcpus,
        "memory": seen.memory_bytes,
        "description": "one of a kind",
        "tags": seen.tags,
        "protected": False,
        "autostart": seen.autostart,
    }
    assert {key: entry_of(hardware, key).next for key in said} == said
    ids = [part.id for part in hardware.parts]
    keys = [entry.key for entry in entries(hardware)]
    assert (len(set(ids)), len(set(keys))) == (len(ids), len(keys))
    assert all(part.there_next for part in hardware.parts)
    for entry in entries(hardware):
        one = setting(entry.key)
        assert entry.now is None, entry
        assert one.form.parse(one.form.text(entry.next)) == entry.next, entry
        assert set(entry.choices) <= set(one.form.choices) or not one.form.choices, entry
        assert entry.takes is not Takes.NEVER or entry.why, entry


async def test_an_unknown_vm_can_not_be_configured(configures: Configures, vm: VMId) -> None:
    definition = await configures.definition(vm)
    for attempt in (
        configures.hardware(NOBODY),
        configures.plan(NOBODY, [Assign("cpus", 1)]),
        configures.definition(NOBODY),
        configures.plan_text(NOBODY, definition),
    ):
        with pytest.raises(NoSuchVMError):
            await attempt


# -- off: planned, changed, undone -----------------------------------------------------------------


async def test_a_plan_changes_nothing(case: BackendCase, configures: Configures, vm: VMId) -> None:
    before, left = await configures.hardware(vm), case.paths_left()
    text = await configures.definition(vm)
    changes = (Assign("memory", 192 * MIB), Assign("notes", "n\nm"), Attach(NewDisk(8 * MIB)))
    plan = await configures.plan(vm, changes)
    assert (plan.vm, plan.name, plan.changes) == (vm, before.name, changes)
    assert [step.takes for step in plan.steps] == [Takes.NEXT_BOOT] * 3
    assert all(step.text for step in plan.steps)
    assert "→ 192 MiB" in plan.steps[0].text
    assert any(line.startswith("+") for line in plan.diff.splitlines())
    assert not plan.loses
    assert await configures.hardware(vm) == before
    assert await configures.definition(vm) == text
    assert case.paths_left() == left


_ALTERNATIVES: dict[str, Value] = {
    "description": "other <b>&amp; \"quoted\" 'ü' # ]]>",
    "notes": "two\nlines, and a = sign",
    "tags": ("lab", "grün & <web>"),
    "cpus": 1,
    "cpus.max": 4,
    "memory": 256 * MIB,
    "memory.floor": 96 * MIB,
    "cpu.weight": 200,
    "balance.weight": 50,
    "balance.least": 128 * MIB,
    "boot.order": ("network", "disk"),
}
"""Other values for the settings that most VMs have; switches are turned, of choices another."""


def _other(entry: Entry) -> Value:
    form = setting(entry.key).form
    if form.kind is Kind.SWITCH:
        return not entry.next
    if form.kind is Kind.CHOICE:
        choices = entry.choices or form.choices
        return next((choice for choice in choices if choice != entry.next), None)
    return _ALTERNATIVES.get(entry.key)


async def test_whatever_can_be_changed_is_there_afterwards_and_can_be_undone(
    backend: Backend, configures: Configures, vm: VMId
) -> None:
    before = await configures.hardware(vm)
    seen = await backend.vm(vm)
    done = []
    for entry in entries(before):
        value = _other(entry)
        if entry.takes is Takes.NEVER or value is None:
            continue
        try:
            undo = await changed(configures, vm, Assign(entry.key, value))
        except VmtuiError:
            # Such as a TPM without a program for it: nothing may have changed then.
            assert await configures.hardware(vm) == before, entry.key
            continue
        # A disk on another bus may have another name, as its guest would call it.
        same = [
            one.next
            for one in entries(await configures.hardware(vm))
            if setting(one.key) is setting(entry.key)
        ]
        assert value in same, entry.key
        await changed(configures, vm, *undo)
        after = await configures.hardware(vm)
        assert after == before, entry.key
        done.append(entry.key)
    assert await backend.vm(vm) == seen
    assert {"description", "notes", "tags", "cpus", "cpus.max", "memory", "protected"} <= {*done}


async def test_several_changes_are_one(backend: Backend, configures: Configures, vm: VMId) -> None:
    """Together they make sense, one by one they would not."""
    before = await configures.hardware(vm)
    undo = await changed(configures, vm, Assign("cpus", 3), Assign("cpus.max", 4))
    assert (await backend.vm(vm)).vcpus == 3
    await changed(configures, vm, *undo)
    assert await configures.hardware(vm) == before


async def test_disks_and_cards_come_and_go(
    case: BackendCase, backend: Backend, configures: Configures, vm: VMId
) -> None:
    before, seen = await configures.hardware(vm), await backend.vm(vm)
    undo = await changed(configures, vm, Attach(NewDisk(8 * MIB)), Attach(NicSpec()))
    now = await backend.vm(vm)
    assert len(now.disks) == len(seen.disks) + 1
    assert len(now.nics) == len(seen.nics) + 1
    if case.has_real_guest:
        assert now.disks[-1].capacity_bytes == 8 * MIB
    hardware = await configures.hardware(vm)
    new = [part for part in hardware.parts if before.part(part.id) is None]
    assert sorted(part.id.partition(".")[0] for part in new) == ["disk", "nic"]
    assert all(part.detach is Takes.NEXT_BOOT for part in new)
    left = case.paths_left()
    await changed(configures, vm, *undo)
    assert await configures.hardware(vm) == before
    assert case.paths_left() == left, "the file of a disk that is detached stays"
    again = Attach(NewDisk(path=Path(now.disks[-1].source or "")))
    await changed(configures, vm, again)
    assert len((await backend.vm(vm)).disks) == len(seen.disks) + 1


# -- refused before anything is changed ------------------------------------------------------------


async def test_what_can_not_be_is_refused_before_anything_is_changed(
    case: BackendCase, backend: Backend, configures: Configures, vm: VMId, name: str
) -> None:
    other = await made(backend, case.spec(f"{name}-other"))
    source = (await backend.vm(other)).disks[0].source
    host = await backend.host()
    before, left = await configures.hardware(vm), case.paths_left()
    memory = (await backend.vm(vm)).memory_bytes
    refused: list[list[Change]] = [
        [Assign("memory", host.memory_bytes + GIB)],
        [Assign("cpus", 0)],
        [Assign("cpus", 100_000)],
        [Assign("memory.floor", memory + MIB)],
        [Assign("memory.target", 96 * MIB)],  # it is off
        [Assign("name", f"{name}-other")],
        [Assign("name", "../x")],
        [Assign("colour", "red")],
        [Assign("memory", "lots")],
        [Assign("restart", "sometimes")],
        [Assign("cpu.pin", "all=zzz")],
        [Assign("cpu.topology", "round")],
        [Assign("boot.order", ("floppy",))],
        [Assign("firmware.keys", True)],  # it has no Secure Boot
        [Assign("disk.vdz.size", GIB)],
        [Detach("disk.vdz")],
        [Detach("memory")],
        [Attach(NewDisk(path=Path(source or "")))],
        [Assign("notes", "changed"), Assign("cpus", 0)],
    ]
    if case.has_real_guest:
        refused.append([Attach(NewDisk(path=Path("/nowhere/at/all.qcow2")))])
        refused.append([Assign("firmware", "secure-boot")])  # QEMU boots its kernel
    planned = []
    for changes in refused:
        with contextlib.suppress(VmtuiError):
            planned.append(await configures.plan(vm, changes))
    assert [plan.changes for plan in planned] == []
    with pytest.raises(VmtuiError):
        await configures.plan(vm, [Assign("cpus", 1)], When.LIVE)  # it is off
    assert await configures.hardware(vm) == before
    assert case.paths_left() == left


async def test_a_disk_never_shrinks(configures: Configures, vm: VMId) -> None:
    size = next(e for e in entries(await configures.hardware(vm)) if e.key.endswith(".size"))
    assert isinstance(size.next, int)
    with pytest.raises(VmtuiError):
        await configures.plan(vm, [Assign(size.key, size.next // 2)])


async def test_a_plan_is_void_once_something_else_changed(configures: Configures, vm: VMId) -> None:
    first = await configures.plan(vm, [Assign("notes", "first")])
    second = await configures.plan(vm, [Assign("description", "second")])
    await configures.change(first)
    for stale in (first, second):
        with pytest.raises(StateError):
            await configures.change(stale)
    hardware = await configures.hardware(vm)
    assert entry_of(hardware, "notes").next == "first"
    assert entry_of(hardware, "description").next == "one of a kind"


async def test_a_read_only_client_changes_nothing(
    case: BackendCase, backend: Backend, configures: Configures, vm: VMId
) -> None:
    async with client(case, read_only=True) as other:
        target = vm if case.shares_vms else (await other.vms())[0].id
        before = await other.hardware(target)
        assert before.parts
        with pytest.raises(RefusedError):
            plan = await other.plan(target, [Assign("notes", "changed")])
            await other.change(plan)
        assert await other.hardware(target) == before


async def test_a_protected_vm_is_neither_deleted_nor_forced_off(
    backend: Backend, configures: Configures, vm: VMId
) -> None:
    await changed(configures, vm, Assign("protected", True))
    assert (await backend.vm(vm)).protected
    with pytest.raises(RefusedError, match="protected"):
        await wiped(backend, vm)
    await backend.power(vm, Power.START)
    with pytest.raises(RefusedError, match="protected"):
        await backend.power(vm, Power.STOP)
    with pytest.raises(RefusedError, match="protected"):
        await wiped(backend, vm)
    assert (await backend.vm(vm)).state is State.RUNNING
    await changed(configures, vm, Assign("protected", False))  # live, too
    await backend.power(vm, Power.STOP)


# -- the definition as text ------------------------------------------------------------------------


async def test_an_edited_definition_is_checked_applied_and_undone(
    backend: Backend, configures: Configures, vm: VMId
) -> None:
    stored = await configures.definition(vm)
    assert "one of a kind" in stored.text
    same = await configures.plan_text(vm, stored)
    assert same.diff == ""
    edited = replace(stored, text=stored.text.replace("one of a kind", "another of its kind"))
    plan = await configures.plan_text(vm, edited)
    assert "another of its kind" in plan.diff
    assert (await configures.definition(vm)) == stored
    await configures.change(plan)
    assert (await backend.vm(vm)).description == "another of its kind"
    after = await configures.definition(vm)
    # libvirt has an order of its own for what it adds by itself.
    assert sorted(after.text.splitlines()) == sorted(edited.text.splitlines())
    with pytest.raises(StateError):
        await configures.plan_text(vm, edited)
    back = replace(stored, base=after.base)
    await configures.change(await configures.plan_text(vm, back))
    again = await configures.definition(vm)
    assert sorted(again.text.splitlines()) == sorted(stored.text.splitlines())


async def test_a_wrong_definition_is_told_with_its_line(configures: Configures, vm: VMId) -> None:
    stored = await configures.definition(vm)
    before = await configures.hardware(vm)
    lines = stored.text.splitlines(keepends=True)
    for wrong in (
        "".join([*lines[:2], "<<< what is that?\n", *lines[2:]]),
        "".join(lines[: len(lines) // 2]) + "<[\n",
        "\x00",
    ):
        with pytest.raises(VmtuiError) as error:
            await configures.plan_text(vm, replace(stored, text=wrong))
        assert error.value.why.startswith("line "), str(error.value)
    assert await configures.hardware(vm) == before
    assert await configures.definition(vm) == stored


# -- while it runs ---------------------------------------------------------------------------------


async def test_what_runs_tells_now_and_next_apart(
    backend: Backend, configures: Configures, vm: VMId
) -> None:
    memory = (await backend.vm(vm)).memory_bytes
    await backend.power(vm, Power.START)
    hardware = await configures.hardware(vm)
    assert hardware.active
    assert hardware.pending == (), [e for e in entries(hardware) if e.now != e.next]
    assert not (await backend.vm(vm)).pending
    assert entry_of(hardware, "memory").now == entry_of(hardware, "memory").next == memory
    assert entry_of(hardware, "name").takes is Takes.NEVER
    with pytest.raises(VmtuiError):
        await configures.plan(vm, [Assign("name", "another")])
    with pytest.raises(VmtuiError):
        await configures.plan(vm, [Assign("memory", 2 * memory)], When.LIVE)
    # Words are both at once; its ceiling waits.
    plan = await configures.plan(vm, [Assign("notes", "seen"), Assign("memory", 2 * memory)])
    assert [step.takes for step in plan.steps] == [Takes.BOTH, Takes.NEXT_BOOT]
    undo = (await configures.change(plan)).undo
    hardware = await configures.hardware(vm)
    assert hardware.pending == ("memory",)
    assert (entry_of(hardware, "memory").now, entry_of(hardware, "memory").next) == (
        memory,
        2 * memory,
    )
    assert (await backend.vm(vm)).pending
    assert (await backend.vm(vm)).notes == "seen"
    await changed(configures, vm, *undo)
    assert (await configures.hardware(vm)).pending == ()
    await changed(configures, vm, Assign("memory", 2 * memory), when=When.NEXT_BOOT)
    await backend.power(vm, Power.STOP)
    await in_state(backend, vm, State.OFF)
    assert not (await backend.vm(vm)).pending
    await backend.power(vm, Power.START)
    assert entry_of(await configures.hardware(vm), "memory").now == 2 * memory


async def test_a_disk_is_attached_live(backend: Backend, configures: Configures, vm: VMId) -> None:
    await backend.power(vm, Power.START)
    before = await configures.hardware(vm)
    plan = await configures.plan(vm, [Attach(NewDisk(8 * MIB))])
    assert [step.takes for step in plan.steps] == [Takes.BOTH]
    outcome = await configures.change(plan)
    assert [one.problem for one in outcome.done] == [""]
    hardware = await configures.hardware(vm)
    [new] = [part for part in hardware.parts if before.part(part.id) is None]
    assert (new.there_now, new.there_next) == (True, True)
    assert hardware.pending == ()
    later = await configures.plan(vm, [Attach(NewDisk(8 * MIB))], When.NEXT_BOOT)
    await configures.change(later)
    hardware = await configures.hardware(vm)
    [waiting] = [part for part in hardware.parts if not part.there_now]
    assert waiting.there_next
    assert hardware.pending == (waiting.id,)
