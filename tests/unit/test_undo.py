"""The last change of a VM: what is remembered of it, and what undoing it does."""

from __future__ import annotations

import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmtui.backends.base import Endpoint
from vmtui.backends.demo import DemoBackend
from vmtui.configuring import change, plan, plan_text, plan_undo
from vmtui.errors import OperationError, StateError
from vmtui.fleet import Fleet
from vmtui.hardware.changes import (
    Assign,
    Attach,
    Change,
    ChangePlan,
    DefinitionText,
    Detach,
    Language,
    Outcome,
    When,
)
from vmtui.hardware.devices import ConsoleKind, HostBus, HostDevice, NewConsole, NewDisk
from vmtui.model import VMId
from vmtui.parts import DiskBus, Forward, NetworkKind, NicSpec, SharedFolder
from vmtui.progress import ProgressSink, no_progress
from vmtui.undo import Undo, Undos, _change, _plain
from vmtui.units import GIB
from vmtui.views import VMRef

REF = VMRef("kvm:", VMId("1b4e28ba-2fa1-41d2-883f-0016d3cca427"))

_text = st.text(max_size=20)
_values = st.none() | st.booleans() | st.integers(0, 2**50) | _text | st.lists(_text).map(tuple)
_paths = st.sampled_from([Path("/a/b c.qcow2"), Path("/ü.raw")])
_devices = st.one_of(
    st.builds(NewDisk, st.integers(1, 2**50), bus=st.sampled_from(DiskBus)),
    st.builds(NewDisk, path=_paths, read_only=st.booleans()),
    st.builds(
        NicSpec,
        st.sampled_from(NetworkKind),
        _text,
        st.lists(st.builds(Forward, st.integers(1, 9), st.integers(0, 9))).map(tuple),
    ),
    st.builds(SharedFolder, _paths, _text, st.booleans()),
    st.builds(HostDevice, st.sampled_from(HostBus), _text, group=st.none() | st.integers(0, 99)),
    st.builds(NewConsole, st.sampled_from(ConsoleKind)),
)
_changes: st.SearchStrategy[Change] = st.one_of(
    st.builds(Assign, _text, _values), st.builds(Attach, _devices), st.builds(Detach, _text)
)


@given(_changes)
def test_every_change_can_be_kept_in_a_file(change: Change) -> None:
    assert _change(_plain(change)) == change


async def test_only_the_last_is_kept_and_nobody_else_can_read_it(tmp_path: Path) -> None:
    undos = Undos(tmp_path)
    assert await undos.last(REF) is None
    before = DefinitionText(Language.XML, "<domain/>", "1")
    for undo in (
        Undo(("a",), When.AUTO, "1", (Assign("cpus", 2), Detach("disk.vdb"))),
        Undo(("b",), When.LIVE, "2", before=before),
    ):
        await undos.keep(REF, undo)
        assert await Undos(tmp_path).last(REF) == undo
    [path] = tmp_path.rglob("*.json")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert await undos.last(VMRef("qemu:///system", REF.id)) is None
    path.write_text("{}")
    with pytest.raises(OperationError, match=r"\.json can't be read"):
        await undos.last(REF)
    await undos.forget(REF)
    await undos.forget(REF)
    assert await undos.last(REF) is None


async def test_a_folder_that_can_not_be_written_is_told_and_keeps_nobody_from_deleting(
    tmp_path: Path,
) -> None:
    (tmp_path / "undo").write_text("not a folder")
    undos = Undos(tmp_path / "undo")
    with pytest.raises(OperationError, match="can't be written"):
        await undos.keep(REF, Undo((), When.AUTO, "1"))
    await undos.forget(REF)


async def test_what_is_only_in_memory_leaves_no_files(tmp_path: Path) -> None:
    undos = Undos(tmp_path)
    ref = VMRef("demo:", REF.id)
    undo = Undo((), When.AUTO, "1", (Assign("cpus", 2),))
    await undos.keep(ref, undo)
    assert await undos.last(ref) == undo
    assert list(tmp_path.iterdir()) == []


class Forgetful(DemoBackend):
    """It can't say what would undo a change: the whole definition has to come back."""

    async def change(self, plan: ChangePlan, progress: ProgressSink = no_progress) -> Outcome:
        return Outcome((await super().change(plan, progress)).done)


@pytest.fixture
async def fleet() -> AsyncIterator[Fleet]:
    fleet = Fleet([Endpoint(Forgetful("demo:"), "demo")])
    await fleet.connect()
    yield fleet
    await fleet.close()


async def test_an_edit_is_undone_whole_unless_somebody_changed_it_since(fleet: Fleet) -> None:
    ref = fleet.find("old-db")
    backend = fleet.backend(ref)
    assert isinstance(backend, DemoBackend)
    stored = await backend.definition(ref.id)
    text = stored.text.replace('"memory" = "4G"', '"memory" = "2G"')
    edited = DefinitionText(stored.language, text, stored.base)
    await change(fleet, ref, await plan_text(fleet, ref, edited))
    assert fleet.vm(ref).memory_bytes == 2 * GIB
    by_other = await backend.plan(ref.id, [Assign("notes", "mine")])
    with pytest.raises(StateError, match="changed since"):
        await backend.change(by_other)
        await plan_undo(fleet, ref)
    await backend.change(await backend.plan(ref.id, [Assign("notes", "")]))
    await change(fleet, ref, await plan_undo(fleet, ref))
    assert (await backend.definition(ref.id)).text == stored.text
    assert fleet.vm(ref).memory_bytes == 4 * GIB


async def test_a_change_that_can_not_be_remembered_is_done_and_told(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def full(_: VMRef, __: Undo) -> None:
        raise OperationError("there is no space left")

    monkeypatch.setattr(fleet.undos, "keep", full)
    ref = fleet.find("old-db")
    outcome = await change(fleet, ref, await plan(fleet, ref, [Assign("cpus", 1)]))
    assert len(outcome.done) == 1
    assert fleet.vm(ref).vcpus == 1
    assert "can't be undone: there is no space left" in caplog.text


async def test_a_deleted_vm_leaves_nothing_to_undo(fleet: Fleet) -> None:
    ref = fleet.find("old-db")
    await change(fleet, ref, await plan(fleet, ref, [Assign("cpus", 1)]))
    assert await fleet.undos.last(ref) is not None
    await fleet.delete(ref, await fleet.backend(ref).delete_plan(ref.id))
    assert await fleet.undos.last(ref) is None
