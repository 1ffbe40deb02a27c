"""The TPM beside a QEMU that runs: its end is told, and survived by the next start."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import msgspec
import pytest

from tests.contract.cases import in_state
from tests.guest.direct import Desk, desk
from vmtui.backends.base import no_progress
from vmtui.backends.kvm import swtpm
from vmtui.backends.kvm.backend import KvmBackend
from vmtui.backends.kvm.definition import Definition
from vmtui.backends.kvm.process import Record, read_record
from vmtui.backends.kvm.procfs import start_ticks
from vmtui.errors import StateError, UnsupportedError
from vmtui.model import Power, State, VMId
from vmtui.spec import BLANK, VMSpec
from vmtui.units import MIB

pytestmark = pytest.mark.slow

SPEC = VMSpec("web", BLANK, disk_bytes=8 * MIB, tpm=True)


async def test_a_tpm_whose_process_ends_is_told_and_works_again_after_a_power_cycle(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("VMTUI_ACCEL", "tcg")
    async with desk() as made:
        backend, other = await made.backend(), await made.backend()
        vm = await backend.create(SPEC, no_progress)
        state = made.store.folder("web") / "tpm" / "tpm2-00.permall"
        await _edited(made.root, tpm_key="tpm.key")  # its state is not encrypted
        with pytest.raises(StateError, match="can't be used"):
            await backend.power(vm, Power.START)
        await _edited(made.root, tpm_key="")
        before = state.read_bytes()
        await backend.power(vm, Power.START)
        assert (await backend.tpm(vm)).health == "running"
        for change in (other.back_up_tpm(vm, made.root / "x"), other.clear_tpm(vm)):
            with pytest.raises(StateError, match="TPM"):
                await change
        told = asyncio.create_task(_told(other, vm))
        _signalled(made.root / "run" / "web" / "tpm.json", signal.SIGKILL)
        async with asyncio.timeout(20):
            assert await told == swtpm.LOST
        for each in (backend, other):
            assert (await each.vm(vm)).problem == swtpm.LOST
            assert (await each.vm(vm)).state is State.RUNNING
            assert (await each.tpm(vm)).health == swtpm.LOST
        await backend.power(vm, Power.STOP)
        await backend.power(vm, Power.START)
        assert (await other.tpm(vm)).health == "running"
        assert (await other.vm(vm)).problem == ""
        await backend.power(vm, Power.STOP)
        assert len(state.read_bytes()) == len(before)


async def test_a_start_waits_for_the_tpm_of_the_last_run_which_locks_its_state(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with desk() as made:
        backend, vm, hung = await _crashed_with_a_hung_tpm(made, monkeypatch)
        await backend.power(vm, Power.START)
        assert start_ticks(hung.pid) != hung.start_ticks
        assert (await backend.tpm(vm)).health == "running"
        await backend.power(vm, Power.STOP)


async def test_a_tpm_of_the_last_run_writes_to_no_state_that_was_cleared(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with desk() as made:
        backend, vm, hung = await _crashed_with_a_hung_tpm(made, monkeypatch)
        await backend.clear_tpm(vm)
        assert start_ticks(hung.pid) != hung.start_ticks


async def _crashed_with_a_hung_tpm(
    made: Desk, monkeypatch: pytest.MonkeyPatch
) -> tuple[KvmBackend, VMId, Record]:
    """A VM whose QEMU was killed, and whose swtpm does not end by itself."""
    monkeypatch.setenv("VMTUI_ACCEL", "tcg")
    monkeypatch.setattr(swtpm, "END_TIMEOUT_S", 0.1)
    backend = await made.backend()
    vm = await backend.create(SPEC, no_progress)
    await backend.power(vm, Power.START)
    hung = _signalled(made.root / "run" / "web" / "tpm.json", signal.SIGSTOP)
    _signalled(made.root / "run" / "web" / "process.json", signal.SIGKILL)
    await in_state(backend, vm, State.CRASHED)
    return backend, vm, hung


async def test_each_kind_of_tpm_starts_and_one_taken_out_keeps_its_state(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("VMTUI_ACCEL", "tcg")
    async with desk() as made:
        backend = await made.backend()
        vm = await backend.create(VMSpec("web", BLANK, disk_bytes=8 * MIB), no_progress)
        with pytest.raises(UnsupportedError, match="no TPM"):
            await backend.tpm(vm)
        await _edited(made.root, tpm="tis", tpm_version="1.2")
        assert (await _once(backend, vm)).startswith("running tis 1.2 False ('sha1',)")
        await _edited(made.root, tpm="crb", tpm_version="2.0", tpm_key="tpm.key")
        assert (await _once(backend, vm)).startswith("running crb 2.0 True ('sha256',)")
        key = made.store.folder("web") / "tpm.key"
        assert key.stat().st_mode & 0o177 == 0
        state = made.store.folder("web") / "tpm" / "tpm2-00.permall"
        before = state.read_bytes()
        await _edited(made.root, tpm=False)
        assert (await backend.tpm(vm)).health.startswith("taken out")
        await backend.power(vm, Power.START)
        await backend.power(vm, Power.STOP)
        assert state.read_bytes() == before
        await backend.clear_tpm(vm)
        assert not state.exists()


async def _once(backend: KvmBackend, vm: VMId) -> str:
    """What is told of its TPM while it runs."""
    await backend.power(vm, Power.START)
    told = await backend.tpm(vm)
    await backend.power(vm, Power.STOP)
    return f"{told.health} {told.model} {told.version} {told.encrypted} {told.banks}"


async def _edited(root: Path, **keys: object) -> None:
    from vmtui.backends.kvm.store import Store

    store = Store(root / "vms", root / "run")
    content = {**msgspec.to_builtins(store.read("web")), **keys}
    await store.write(store.folder("web"), msgspec.convert(content, Definition))


async def _told(backend: KvmBackend, vm: VMId) -> str:
    async for event in backend.events():
        if event.vm == vm and "swtpm" in event.detail:
            return event.detail
    return ""


def _signalled(path: Path, number: signal.Signals) -> Record:
    """The process that is remembered there, after it got a signal."""
    record = read_record(path)
    assert record is not None
    descriptor = os.pidfd_open(record.pid)
    signal.pidfd_send_signal(descriptor, number)
    os.close(descriptor)
    return record
