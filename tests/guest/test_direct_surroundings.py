"""What surrounds a direct VM that runs: its threads' CPUs, its barriers, its protection."""

from __future__ import annotations

import msgspec
import pytest

from tests.guest.direct import desk
from vmtui.backends.base import no_progress
from vmtui.backends.kvm import placing
from vmtui.backends.kvm.backend import KvmBackend
from vmtui.backends.kvm.hardware import TuningDefinition
from vmtui.errors import InputError, RefusedError
from vmtui.hardware.around import Mark
from vmtui.hardware.changes import Assign, Change, Outcome, When
from vmtui.model import Power, State, VMId
from vmtui.spec import BLANK, VMSpec
from vmtui.units import MIB

pytestmark = pytest.mark.slow

SPEC = VMSpec("web", BLANK, disk_bytes=8 * MIB, vcpus=2)


async def changed(
    backend: KvmBackend, vm: VMId, *changes: Change, when: When = When.AUTO
) -> Outcome:
    return await backend.change(await backend.plan(vm, changes, when))


async def test_threads_have_their_places_and_what_is_protected_stays_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("VMTUI_ACCEL", "tcg")
    async with desk() as made:
        backend = await made.backend()
        vm = await backend.create(SPEC, no_progress)
        host = await backend.cores()
        first, *_, last = sorted(host.numbers)
        store, folder = made.store, made.store.folder("web")

        async def say(tuning: TuningDefinition) -> None:
            definition = msgspec.structs.replace(store.read("web"), tuning=tuning)
            await store.write(folder, definition)

        await say(TuningDefinition(pin="0=4000"))
        with pytest.raises(InputError) as refused:
            await backend.power(vm, Power.START)
        assert refused.value.why == "this host has no CPU 4000"
        await say(TuningDefinition(pin=f"0={first} 1={last}", emulator=str(first), iothreads=1))
        await backend.power(vm, Power.START)
        threads = {row.what: row.cpus for row in (await backend.cores()).placed}
        assert threads == {
            "vCPU 0": {first},
            "vCPU 1": {last},
            placing.IO: {first},
            placing.EMULATOR: {first},
        }
        outcome = await changed(
            backend, vm, Assign("cpu.pin", f"1={first}"), Assign("cpu.emulator", "")
        )
        assert [done.problem for done in outcome.done] == ["", ""]
        threads = {row.what: row.cpus for row in (await backend.cores()).placed}
        assert threads["vCPU 1"] == {first}
        assert threads["vCPU 0"] == threads[placing.EMULATOR] == host.numbers
        await changed(backend, vm, Assign("cpu.pin", f"0={last}"), when=When.LIVE)
        threads = {row.what: row.cpus for row in (await backend.cores()).placed}
        assert threads["vCPU 0"] == {last}
        assert store.read("web").tuning.pin == f"1={first}"
        with pytest.raises(InputError, match="can't have its CPUs"):
            await changed(backend, vm, Assign("cpu.pin", "0=4000"))
        barriers = {one.topic: one for one in await backend.isolation(vm)}
        assert barriers["system calls"].mark is Mark.GOOD  # as the kernel tells of QEMU
        assert barriers["consoles"].mark is Mark.GOOD
        definition = msgspec.structs.replace(store.read("web"), protected=True)
        await store.write(folder, definition)
        with pytest.raises(RefusedError, match="force off"):
            await backend.power(vm, Power.STOP)
        assert (await backend.vm(vm)).state is State.RUNNING
        await store.write(folder, msgspec.structs.replace(definition, protected=False))
        await backend.power(vm, Power.STOP)
        assert (await backend.cores()).placed == ()
