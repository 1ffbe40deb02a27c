"""What libvirt's fields come to, also those that no machine of ours gives."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

pytest.importorskip("libvirt")

import libvirt

from tests.contract.cases import until
from vmtui.backends.kvm.procfs import Held
from vmtui.backends.libvirt import domain_facts, events, listing, records
from vmtui.backends.libvirt.backend import LibvirtBackend
from vmtui.backends.libvirt.bridge import Bridge
from vmtui.backends.libvirt.domain_facts import Definition
from vmtui.backends.libvirt.places import Places
from vmtui.backends.libvirt.processes import Processes
from vmtui.counters import ALL_EXITS, Counters, Measure
from vmtui.model import Event, EventKind, State, VMId
from vmtui.units import KIB

VM = VMId("6b1c6f0e-7d1f-4f52-9d8c-5a0f6ce2b2f1")


def definition(kind: str = "kvm", devices: str = "<memballoon model='virtio'/>") -> Definition:
    return domain_facts.read(
        VM, "x", f"<domain type='{kind}'><devices>{devices}</devices></domain>"
    )


def reasons(
    record: Mapping[str, object],
    of: Definition,
    *,
    held: Held | None = None,
    why_no_guest: str = "",
    why_not_held: str = "",
) -> dict[Measure, str]:
    return records.missing(
        records.cpu(record, 1.0, of),
        records.memory(record, 1.0, of, held, local=True),
        records.disks(record, 1.0),
        of,
        why_no_guest=why_no_guest,
        why_not_held=why_not_held,
    )


def test_kvms_counts_are_summed_over_vcpus() -> None:
    record = {
        "cpu.time": 5,
        "cpu.haltpoll.success.time": 30,
        "cpu.haltpoll.fail.time": 12,
        "vcpu.maximum": 4,
        "vcpu.0.time": 10,
        "vcpu.0.delay": 3,
        "vcpu.0.wait": 0,
        "vcpu.0.exits.sum": 100,
        "vcpu.0.io_exits.sum": 7,
        "vcpu.0.halt_exits.sum": 1,
        "vcpu.0.blocking.cur": "yes",
        "vcpu.2.time": 20,
        "vcpu.2.exits.sum": 50,
        "vcpu.2.io_exits.sum": 5,
    }
    cpu = records.cpu(record, 1.0, definition())
    assert cpu.exits == {ALL_EXITS: 150, "io": 12, "halt": 1}
    assert cpu.halt_poll_ns == 42
    # One that is unplugged has no fields; the others keep their numbers.
    assert [(v.index, v.time_ns, v.ready_ns) for v in cpu.vcpus] == [(0, 10, 3), (2, 20, None)]


def test_what_only_kvm_counts_is_not_0_without_it() -> None:
    record = {"cpu.haltpoll.success.time": 0, "cpu.haltpoll.fail.time": 0}
    cpu = records.cpu(record, 1.0, definition("qemu"))
    assert (cpu.halt_poll_ns, cpu.exits) == (None, None)
    for kind, word in (("qemu", "emulated"), ("kvm", "before"), ("lxc", "only KVM")):
        why = reasons({}, definition(kind))
        assert word in why[Measure.EXITS]
        assert word in why[Measure.HALT_POLL]


def test_memory_is_in_kib() -> None:
    record = {
        "balloon.current": 1000,
        "balloon.maximum": 2000,
        "balloon.rss": 300,
        "balloon.last-update": 1_700_000_000,
        "balloon.available": 900,
        "balloon.usable": 500,
        "balloon.unused": 400,
        "balloon.disk_caches": 50,
        "balloon.swap_in": 3,
        "balloon.swap_out": 4,
        "balloon.major_fault": 5,
        "balloon.minor_fault": 6,
    }
    of = definition(devices="<memballoon model='virtio'><stats period='7'/></memballoon>")
    memory = records.memory(record, 1.0, of, Held(1, 2, 3), local=False)
    assert (memory.actual_bytes, memory.maximum_bytes) == (1000 * KIB, 2000 * KIB)
    assert (memory.rss_bytes, memory.swapped_bytes, memory.merged_bytes) == (300 * KIB, 2, 3)
    guest = memory.guest
    assert guest is not None
    assert (guest.period_s, guest.age_s, guest.updated_at_s) == (7.0, None, 1_700_000_000.0)
    assert (guest.total_bytes, guest.available_bytes, guest.free_bytes) == (
        900 * KIB,
        500 * KIB,
        400 * KIB,
    )
    assert (guest.swap_in_bytes, guest.swap_out_bytes) == (3 * KIB, 4 * KIB)
    assert (guest.major_faults, guest.minor_faults, guest.caches_bytes) == (5, 6, 50 * KIB)
    near = records.memory(record, 1.0, of, None, local=True).guest
    assert near is not None
    assert near.age_s is not None


@pytest.mark.parametrize(
    ("record", "devices", "word"),
    [
        ({"balloon.last-update": 0, "balloon.available": 9}, "<memballoon/>", "driver"),
        ({"balloon.last-update": 9}, "<memballoon/>", "driver"),
        ({}, "<memballoon model='none'/>", "no balloon device"),
        ({}, "", "no balloon device"),
    ],
)
def test_a_guest_that_says_nothing(record: dict[str, object], devices: str, word: str) -> None:
    of = definition(devices=devices)
    assert records.memory(record, 1.0, of, None, local=True).guest is None
    assert word in reasons(record, of)[Measure.GUEST_MEMORY]


def test_why_a_guest_is_not_asked_is_told_also_where_it_once_said_something() -> None:
    record = {"balloon.last-update": 5, "balloon.available": 9}
    why = reasons(record, definition(), why_no_guest="read-only: not asked")
    assert why[Measure.GUEST_MEMORY] == "read-only: not asked"


def test_cards_of_every_kind() -> None:
    devices = "<interface type='user'/><interface type='bridge'/><interface type='hostdev'/>"
    record = {
        "net.count": 3,
        "net.1.name": "vnet7",
        "net.1.rx.bytes": 10,
        "net.1.tx.bytes": 20,
        "net.1.rx.drop": 1,
    }
    user, tap, other = records.nics(record, 1.0, definition(devices=devices))
    assert (user.name, user.rx_bytes) == ("net0", None)
    assert user.why_missing == "a user-mode network keeps no counters"
    assert (tap.name, tap.rx_bytes, tap.tx_bytes, tap.rx_drops) == ("vnet7", 10, 20, 1)
    assert (tap.tx_drops, tap.why_missing) == (None, "")
    assert "this kind" in other.why_missing
    assert records.why_no_nics((user, tap, other)) == ""
    assert records.why_no_nics((user,)) == user.why_missing
    assert records.why_no_nics(()) == "it has no network card"


def test_disks_are_named_by_their_target() -> None:
    record = {
        "block.count": 2,
        "block.0.name": "vda",
        "block.0.rd.reqs": 1,
        "block.0.fl.times": 9,
        "block.0.physical": 5,
        "block.1.name": "sda",
    }
    disk, empty = records.disks(record, 1.0)
    assert (disk.target, disk.reads, disk.flush_ns, disk.physical_bytes) == ("vda", 1, 9, 5)
    assert (disk.writes, empty.target, empty.reads) == (None, "sda", None)
    assert Measure.DISKS not in reasons(record, definition())


def test_an_empty_record_has_a_reason_for_everything() -> None:
    why = reasons({}, definition(), why_not_held="not here")
    assert why[Measure.SWAPPED] == why[Measure.MERGED] == "not here"
    of_hosts = {"cpu-detail", "load", "pressure", "memory", "huge-pages", "swap", "ksm"}
    assert {measure.value for measure in Measure} - of_hosts - set(why) == {"nics"}
    assert all(why.values())


async def test_a_process_is_believed_only_with_proof(tmp_path: Path) -> None:
    processes = Processes(Places(local=True, session=True, run=tmp_path))
    (tmp_path / "x.pid").write_text(str(os.getpid()))
    processes.find(VM, 1, "x")
    assert processes.spent(VM, 1) is None, "this process is not its QEMU"

    qemu = await asyncio.create_subprocess_exec(
        sys.executable, "-c", "input()", "-uuid", VM, stdin=asyncio.subprocess.PIPE
    )

    def stopped() -> bool:
        spent = processes.spent(VM, 1)
        return spent is not None and spent.stopped

    def found() -> bool:  # the new process has its command line a moment after it has its pid
        processes.find(VM, 1, "x")
        return processes.spent(VM, 1) is not None

    try:
        (tmp_path / "x.pid").write_text(str(qemu.pid))
        await until(found)
        assert not stopped()
        held = processes.held(VM, 1)
        assert held is not None
        assert held.rss_bytes
        assert processes.held(VM, 2) is None, "another run is another process"
        qemu.send_signal(signal.SIGSTOP)
        await until(stopped)
    finally:
        qemu.kill()
        await qemu.wait()
    assert processes.spent(VM, 1) is None
    assert processes.held(VM, 1) is None


async def test_what_a_driver_without_statistics_says_of_memory_is_in_kib_too() -> None:
    backend = LibvirtBackend("test:///default")
    await backend.open()
    [vm] = await backend.vms()
    sample = (await backend.counters([vm.id]))[vm.id]
    await backend.close()
    assert isinstance(sample, Counters)
    assert sample.memory is not None
    assert sample.memory.actual_bytes == 2_097_152 * KIB, "of the VM that it comes with"


# -- states and events -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "state"),
    [
        (libvirt.VIR_DOMAIN_NOSTATE, State.RUNNING),
        (libvirt.VIR_DOMAIN_BLOCKED, State.RUNNING),
        (libvirt.VIR_DOMAIN_PAUSED, State.PAUSED),
        (libvirt.VIR_DOMAIN_SHUTDOWN, State.STOPPING),
        (libvirt.VIR_DOMAIN_SHUTOFF, State.OFF),
        (libvirt.VIR_DOMAIN_CRASHED, State.CRASHED),
        (libvirt.VIR_DOMAIN_PMSUSPENDED, State.SUSPENDED),
    ],
)
def test_a_state_in_the_words_of_the_model(number: int, state: State) -> None:
    assert listing._state(domain(-1), number, saved=lambda: False) is state
    saved = State.SAVED if state is State.OFF else state
    assert listing._state(domain(-1), number, saved=lambda: True) is saved


def domain(number: int) -> libvirt.virDomain:
    """One with that number, which libvirt gives to those that have a process."""
    return cast(libvirt.virDomain, SimpleNamespace(ID=lambda: number))


def test_a_guest_that_crashed_and_is_preserved_still_has_a_process() -> None:
    crashed = listing._state(domain(3), libvirt.VIR_DOMAIN_CRASHED, saved=lambda: False)
    assert crashed is State.PAUSED


@pytest.mark.parametrize(
    ("event", "detail", "active", "kind"),
    [
        ("DEFINED", "DEFINED_ADDED", False, EventKind.ADDED),
        ("DEFINED", "DEFINED_ADDED", True, EventKind.CHANGED),  # it ran without a definition
        ("DEFINED", "DEFINED_UPDATED", False, EventKind.CHANGED),
        ("UNDEFINED", "UNDEFINED_REMOVED", False, EventKind.REMOVED),
        ("UNDEFINED", "UNDEFINED_REMOVED", True, EventKind.CHANGED),  # it goes on until it stops
        ("UNDEFINED", "UNDEFINED_RENAMED", False, EventKind.CHANGED),
        ("STOPPED", "STOPPED_DESTROYED", False, EventKind.CHANGED),
    ],
)
def test_what_an_event_comes_to(event: str, detail: str, active: bool, kind: EventKind) -> None:
    numbers = (getattr(libvirt, f"VIR_DOMAIN_EVENT_{name}") for name in (event, detail))
    assert events._kind(*numbers, active=active) is kind


async def test_who_is_far_behind_is_told_to_list_anew() -> None:
    told = events.Events(cast("Bridge", SimpleNamespace(lost=None)), lambda _: None)
    stream = told.listen()
    first = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)  # it listens
    for _ in range(events.QUEUE_LIMIT + 2):
        told.changed(VM)
    async with asyncio.timeout(10):
        assert await first == Event(EventKind.RESYNC)
        assert await anext(stream) == Event(EventKind.CHANGED, VM)
