"""A running VM of the direct backend is changed, and its guest sees it: one guest for all of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import pytest

from tests.guest.direct import PRINT_LIMIT_S, Desk, desk
from tests.guest.room import takes_vcpus
from tests.guest.shell import shell
from vmtui.backends.base import no_progress
from vmtui.backends.kvm import held
from vmtui.backends.kvm.backend import KvmBackend
from vmtui.backends.kvm.configuring import live
from vmtui.counters import Counters
from vmtui.errors import BusyError, InputError, RefusedError, StateError, UnsupportedError
from vmtui.hardware.changes import Assign, Attach, Change, Detach, Outcome, When
from vmtui.hardware.devices import HostBus, HostDevice, NewDisk
from vmtui.hardware.tree import Takes
from vmtui.model import Power, State, VMId
from vmtui.parts import NicSpec
from vmtui.spec import MICRO, VMSpec
from vmtui.units import MIB

pytestmark = pytest.mark.slow

DISKS = "ls /sys/block | tr '\\n' ' '"
CARDS = "ls /sys/class/net | tr '\\n' ' '"
BLOCKS = "ls -d /sys/devices/system/memory/memory* | wc -l"


@pytest.fixture
async def site(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Desk]:
    monkeypatch.setenv("VMTUI_ACCEL", "tcg")
    async with desk() as site:
        yield site


async def changed(
    backend: KvmBackend, vm: VMId, *changes: Change, when: When = When.AUTO
) -> Outcome:
    """Planned and done, without a problem."""
    outcome = await backend.change(await backend.plan(vm, changes, when))
    assert [done.problem for done in outcome.done] == [""] * len(changes)
    return outcome


def takes(outcome: Outcome) -> Sequence[Takes]:
    return [done.step.takes for done in outcome.done]


async def test_a_guest_sees_what_is_changed_while_it_runs(
    site: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend, other = await site.backend(), await site.backend()
    medium = site.root / "a.iso"
    medium.write_bytes(bytes(MIB))
    spec = VMSpec("web", MICRO, disk_bytes=8 * MIB, media=(medium,))
    vm = await backend.create(spec, no_progress)
    path = site.store.folder("web") / "vm.toml"
    path.write_text(f'# Ann\'s\n{path.read_text()}memory_hotplug = "dimm"\n')
    await changed(
        backend,
        vm,
        Assign("cpus.max", 2),
        Assign("memory.max", 512 * MIB),
        Assign("watchdog", "i6300esb"),
        Assign("display", True),
        Assign("disk.vda.iops", 2000),
        Assign("nic.net0.link", False),
        Assign("boot.once", "cdrom"),
    )
    await backend.power(vm, Power.START)
    assert (await backend.vm(vm)).state is State.RUNNING, "it was held, and let go"
    assert "boot_once" not in path.read_text(), "used up"
    async with shell(backend, vm) as guest:
        # -- limits and cables of the start
        assert await guest.run("cat /sys/class/net/eth0/carrier") == "0"
        assert await iops(backend, vm) == 2000
        outcome = await changed(backend, vm, Assign("nic.net0.link", True))
        assert takes(outcome) == [Takes.BOTH]
        await guest.sees("cat /sys/class/net/eth0/carrier", "1")
        await changed(backend, vm, Assign("disk.vda.iops", None))
        assert await iops(backend, vm) == 0

        # -- drives and cards come, grow and go
        outcome = await changed(backend, vm, Attach(NewDisk(4 * MIB)), Attach(NicSpec()))
        assert takes(outcome) == [Takes.BOTH, Takes.BOTH]
        await guest.sees(DISKS, "vda vdb")
        await guest.sees(CARDS, "eth0 eth1 lo")
        await changed(backend, vm, Assign("disk.vda.size", 16 * MIB))
        await guest.sees("cat /sys/block/vda/size", str(16 * MIB // 512))
        seen = await other.vm(vm)
        assert [disk.target for disk in seen.disks] == ["vda", "sr0", "vdb"]
        assert (seen.disks[0].capacity_bytes, len(seen.nics)) == (16 * MIB, 2)
        assert not seen.pending
        await changed(other, vm, *outcome.undo)
        await guest.sees(DISKS, "vda")
        await guest.sees(CARDS, "eth0 lo")
        assert (site.store.folder("web") / "disk1.qcow2").exists(), "its file stays"
        await changed(
            backend, vm, Assign("disk.vda.cache", "none"), Assign("disk.vda.discard", False)
        )
        assert await guest.run("dd if=/dev/vda of=/dev/null bs=64k 2>/dev/null && echo read")
        await changed(backend, vm, Assign("disk.sr0.source", ""))
        assert (await other.vm(vm)).disks[1].source is None
        await changed(backend, vm, Assign("disk.sr0.source", str(medium)))

        # -- vCPUs and memory
        await changed(backend, vm, Assign("cpus", 2))
        assert (await other.vm(vm)).vcpus == 2
        if await takes_vcpus(guest.run):
            await guest.sees("cat /sys/devices/system/cpu/present", "0-1")
        with pytest.raises(UnsupportedError, match="can't be changed live"):
            await backend.plan(vm, [Assign("cpus", 1)], When.LIVE)
        before = int(await guest.run(BLOCKS))
        await changed(backend, vm, Assign("memory.plugged", 128 * MIB))
        await guest.sees(BLOCKS, str(before + 1))
        await asks_the_balloon(backend, other, vm)

        # -- what is not there yet, and what is edited by hand
        nobody = Attach(HostDevice(HostBus.USB, "ffff:ffff"))
        outcome = await changed(backend, vm, nobody)
        assert takes(outcome) == [Takes.BOTH]
        await changed(backend, vm, *outcome.undo)
        text = await backend.definition(vm)
        edited = replace(text, text=text.text.replace("port = 1", "port = 1, iops = 500"))
        outcome = await backend.change(await backend.plan_text(vm, edited))
        assert takes(outcome) == [Takes.BOTH]
        assert await iops(backend, vm) == 500

        # -- what waits for the next boot is told
        await changed(backend, vm, Assign("watchdog.action", "pause"), Assign("notes", "hello"))
        assert not (await backend.vm(vm)).pending
        outcome = await changed(backend, vm, Assign("sound", "ich9"), Detach("console.serial0"))
        assert takes(outcome) == [Takes.NEXT_BOOT, Takes.NEXT_BOOT]
        await changed(backend, vm, Assign("disk.vda.rate", 10 * MIB), when=When.LIVE)
        assert (await backend.vm(vm)).pending
        pending = set((await other.hardware(vm)).pending)
        assert pending == {"sound", "console.serial0", "disk.vda.rate"}
        await changed(backend, vm, *outcome.undo)

        # -- a guest that does not let go, and one that has since
        outcome = await changed(backend, vm, Attach(NewDisk(MIB)))
        await backend.power(vm, Power.PAUSE)
        with monkeypatch.context() as impatient:
            impatient.setattr(live, "GUEST_LIMIT_S", 0.0)
            refused = await backend.change(await backend.plan(vm, outcome.undo))
            assert "did not let it go" in refused.done[0].problem
            assert "disk.vdb" in (await other.hardware(vm)).pending
            await changed(backend, vm, *refused.undo)
            assert (await other.hardware(vm)).pending == ("disk.vda.rate",)
            await backend.change(await backend.plan(vm, outcome.undo))
        await backend.power(vm, Power.RESUME)
        await guest.sees(DISKS, "vda")  # its driver is off the disk, and tells QEMU next
        again = await backend.change(await backend.plan(vm, outcome.undo, When.LIVE))
        assert [done.problem for done in again.done] == [""]

    await protects(backend, vm)
    assert path.read_text().startswith("# Ann's\n")
    assert not (await backend.vm(vm)).pending
    with pytest.raises(StateError, match="it is off"):
        await backend.ask_memory(vm, 128 * MIB)


async def test_a_file_that_another_program_writes_to_is_refused(site: Desk) -> None:
    backend = await site.backend()
    spec = VMSpec("web", MICRO, disk_bytes=MIB, nics=())
    vm = await backend.create(spec, no_progress)
    other = await backend.create(replace(spec, name="db"), no_progress)
    await backend.power(vm, Power.START)
    used = site.store.folder("web") / "disk.qcow2"
    hidden = site.root / "hidden.qcow2"  # the same file under a name that no VM has
    hidden.hardlink_to(used)
    for path, why in ((used, "web has it"), (hidden, "another program")):
        with pytest.raises(BusyError, match="in use") as refused:
            await backend.plan(other, [Attach(NewDisk(path=path))])
        assert why in refused.value.why
    await backend.power(vm, Power.STOP)
    hidden.unlink()


async def iops(backend: KvmBackend, vm: VMId) -> int:
    """What QEMU lets the first disk do."""
    machine = backend._machines.find(vm)
    async with machine.asked() as monitor:
        blocks = await monitor.execute("query-block")
    return int(blocks[0]["inserted"]["iops"])


async def asks_the_balloon(backend: KvmBackend, other: KvmBackend, vm: VMId) -> None:
    """Asking is not getting, so the target is kept, for all processes."""
    ceiling = (256 + 128) * MIB
    balloon = await backend.balloon(vm)
    assert (balloon.ceiling_bytes, balloon.target_bytes, balloon.answers) == (ceiling, None, True)
    await backend.ask_memory(vm, 320 * MIB)
    deadline_s = time.monotonic() + PRINT_LIMIT_S
    while (balloon := await other.balloon(vm)).actual_bytes != 320 * MIB:
        assert time.monotonic() < deadline_s, balloon
        await asyncio.sleep(0.05)
    assert balloon.target_bytes == 320 * MIB
    sample = (await other.counters([vm]))[vm]
    assert isinstance(sample, Counters)
    assert sample.memory is not None
    assert sample.memory.target_bytes == 320 * MIB
    entry = (await other.hardware(vm)).entry("memory.target")
    assert entry is not None
    assert (entry.now, entry.wanted, entry.takes) == (320 * MIB, 320 * MIB, Takes.LIVE)
    with pytest.raises(InputError, match="not asked to leave itself"):
        await backend.ask_memory(vm, 2 * ceiling)
    await changed(backend, vm, Assign("memory.floor", 200 * MIB))
    with pytest.raises(RefusedError, match="not asked to leave itself"):
        await backend.plan(vm, [Assign("memory.target", 199 * MIB)])
    await changed(backend, vm, Assign("memory.target", ceiling))


async def protects(backend: KvmBackend, vm: VMId) -> None:
    """A protected VM is neither forced off nor deleted."""
    plan = await backend.delete_plan(vm)
    await changed(backend, vm, Assign("protected", True))
    with pytest.raises(RefusedError, match="protected"):
        await backend.power(vm, Power.STOP)
    with pytest.raises(RefusedError, match="protected"):
        await backend.delete(vm, plan)
    await changed(backend, vm, Assign("protected", False))
    await backend.power(vm, Power.STOP)


async def test_what_others_began_is_finished_or_told(
    site: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A vmtui that was killed before it let QEMU go; one of before that noted nothing."""
    backend = await site.backend()
    vm = await backend.create(VMSpec("web", MICRO, disk_bytes=MIB), no_progress)
    await changed(backend, vm, Assign("disk.vda.iops", 700), Assign("nic.net0.link", False))
    with monkeypatch.context() as patched:
        patched.setattr(held, "let_go", nothing)
        await backend.power(vm, Power.START)
    other = await site.backend()
    assert (await other.vm(vm)).state is State.PAUSED
    await other.power(vm, Power.RESUME)
    assert (await other.vm(vm)).state is State.RUNNING
    assert await iops(other, vm) == 700

    (site.store.runtime("web") / "running.json").unlink()
    late = await site.backend()
    hardware = await late.hardware(vm)
    [note] = hardware.parts[0].notes
    assert "older vmtui" in note
    assert hardware.pending == ()
    plan = await late.plan(vm, [Assign("disk.vda.iops", None), Attach(NewDisk(MIB))])
    assert [step.takes for step in plan.steps] == [Takes.NEXT_BOOT, Takes.NEXT_BOOT]
    await late.change(plan)
    assert await iops(late, vm) == 700
    await late.ask_memory(vm, 200 * MIB)
    assert (await late.balloon(vm)).target_bytes is None, "nobody could tell it"


async def nothing(_: object) -> None:
    """Instead of letting QEMU go."""
