"""What the policy is told of a fleet, and what is written down of its decisions."""

from __future__ import annotations

import stat
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from vmtui.backends.base import Feature
from vmtui.balance import balancer, journal, rules
from vmtui.balance.journal import Entry
from vmtui.balance.looking import guests, host_memory
from vmtui.balance.moves import Decision, Move
from vmtui.counters import Counters, GuestMemory, HostCounters, MemoryCounters, Pressure
from vmtui.errors import OperationError
from vmtui.fleet import Fleet
from vmtui.model import VM, Accel, Balance, Host, State, VMId
from vmtui.rates import GuestRates, Rates
from vmtui.units import GIB, MIB
from vmtui.views import ConnectionStatus, ConnectionView, FleetView, VMRef, VMView

URI = "kvm:"
WEB = VMId("web")
BALANCED = VM(WEB, "web", State.RUNNING, 1, 2 * GIB, balance=Balance(weight=200))


def row(vm: VM = BALANCED, swap_in: float = 0.0, *, fresh: bool = True) -> VMView:
    says = GuestMemory(0.0, 5.0, total_bytes=GIB, available_bytes=700 * MIB)
    memory = MemoryCounters(1.0, 2 * GIB, GIB, GIB, says)
    used = 324 * MIB if fresh else None
    rates = Rates(
        1.0, guest=GuestRates(1.0, 2.0 if fresh else 90.0, fresh, used, swap_in, 0.0, 3.0)
    )
    return VMView(VMRef(URI, vm.id), vm, Counters(1.0, "1", memory=memory), rates)


def connection(*rows: VMView, host: HostCounters | None = None) -> ConnectionView:
    return ConnectionView(
        URI, URI, ConnectionStatus.UP, features=Feature.BALLOON, host_counters=host, vms=rows
    )


def test_a_guest_is_what_it_says() -> None:
    [guest] = guests(connection(row()))
    assert (guest.ceiling_bytes, guest.actual_bytes, guest.target_bytes) == (2 * GIB, GIB, GIB)
    assert (guest.used_bytes, guest.available_bytes) == (324 * MIB, 700 * MIB)
    assert (guest.swaps, guest.major_faults_per_s, guest.age_s) == (False, 3.0, 2.0)
    assert guest.balance.weight == 200
    assert guests(connection(row(swap_in=4096.0)))[0].swaps


def test_what_is_old_is_told_as_such() -> None:
    [guest] = guests(connection(row(fresh=False)))
    assert guest.used_bytes is None
    assert guest.age_s == 90.0


@pytest.mark.parametrize(
    "other",
    [
        row(replace(BALANCED, balance=None)),
        row(replace(BALANCED, state=State.PAUSED)),
        replace(row(), stalled="it does not answer"),
        replace(row(), counters=None),
    ],
    ids=["not wanted", "paused", "stalled", "unknown"],
)
def test_others_are_left_out(other: VMView) -> None:
    assert guests(connection(other)) == []


def test_a_host_of_unknown_memory_is_not_balanced() -> None:
    assert host_memory(connection()) is None
    assert host_memory(connection(host=HostCounters(1.0, memory_total_bytes=8 * GIB))) is None
    host = HostCounters(
        1.0,
        memory_pressure=Pressure(12.5),
        memory_total_bytes=8 * GIB,
        memory_available_bytes=GIB,
    )
    known = host_memory(connection(host=host))
    assert known is not None
    assert (known.available_bytes, known.pressure_percent) == (GIB, 12.5)


def test_only_what_is_up_and_may_be_changed_is_balanced() -> None:
    good = connection(row())
    assert balancer._can(good)
    assert not balancer._can(replace(good, read_only=True))
    assert not balancer._can(replace(good, recorded=True))
    assert not balancer._can(replace(good, status=ConnectionStatus.DOWN))
    assert not balancer._can(replace(good, features=Feature.NONE))


TAKEN = Decision(WEB, "web", Move.TAKE, GIB, 512 * MIB, "the host is short")


def test_the_log_is_private_and_says_why(tmp_path: Path) -> None:
    path = tmp_path / "state" / "balance.log"
    journal.write(path, [Entry(0.0, "kvm:", TAKEN)])
    journal.write(path, [Entry(1.0, "kvm:", TAKEN, failure="it\nis gone")])
    first, second = path.read_text().splitlines()
    assert first.endswith(" kvm: web: take 1 GiB → 512 MiB, because the host is short")
    assert second.endswith("(failed: it is gone)")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_log_stays_small(tmp_path: Path) -> None:
    path = tmp_path / "balance.log"
    path.write_bytes(b"x" * (journal.LIMIT_BYTES + 1))
    journal.write(path, [Entry(0.0, "kvm:", TAKEN)])
    assert path.read_text().count("\n") == 1
    assert (tmp_path / "balance.log.1").stat().st_size == journal.LIMIT_BYTES + 1


class Asked:
    """A fleet whose guests can't be asked for anything."""

    def __init__(self, *connections: ConnectionView) -> None:
        self._connections = connections
        self.count = 0

    def view(self) -> FleetView:
        return FleetView(0.0, self._connections)

    def backend(self, _: VMRef) -> Asked:
        return self

    async def ask_memory(self, _: VMId, __: int) -> None:
        self.count += 1
        raise OperationError("no")

    async def balloon(self, _: VMId) -> None:
        raise NotImplementedError


@pytest.mark.parametrize("dry", [False, True])
async def test_what_is_not_asked_is_decided_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, dry: bool
) -> None:
    rounds = iter(range(0, 120, 10))
    clock = SimpleNamespace(monotonic=lambda: float(next(rounds)), time=lambda: 0.0)
    monkeypatch.setattr(balancer, "time", clock)
    plenty = HostCounters(1.0, memory_total_bytes=64 * GIB, memory_available_bytes=50 * GIB)
    fleet = Asked(connection(row(swap_in=4096.0), host=plenty))
    made = balancer.Balancer(cast(Fleet, fleet), dry=dry, path=tmp_path / "log")
    entries = []
    for _ in range(12):
        entries += await made.round()
    assert {entry.decision.move for entry in entries} == {Move.GIVE}
    # A dry run says it once; the other one tells each time that it failed, but not before it tells
    # of the time after that.
    assert (len(entries), fleet.count) == ((1, 0) if dry else (11, 11))


@pytest.mark.parametrize("here", [True, False])
async def test_connections_to_this_machine_share_what_it_has(tmp_path: Path, *, here: bool) -> None:
    host = Host("host", 4, 8 * GIB, "QEMU", Accel.TCG, here=here)
    short = rules.RULES.goal_bytes(8 * GIB) - 64 * MIB
    counters = HostCounters(1.0, memory_total_bytes=8 * GIB, memory_available_bytes=short)
    connections = []
    for uri in ("kvm:", "qemu:///system"):
        vm = replace(BALANCED, id=VMId(uri), name=uri)
        of_vm = replace(row(vm), ref=VMRef(uri, vm.id))
        connections.append(replace(connection(of_vm, host=counters), uri=uri, label=uri, host=host))
    fleet = Asked(*connections)
    made = balancer.Balancer(cast(Fleet, fleet), path=tmp_path / "log")
    entries = await made.round()
    assert {entry.decision.move for entry in entries} == {Move.TAKE}
    assert all(entry.connection == entry.decision.name for entry in entries)
    # What is lacking is taken once; where it may be of two hosts, of each.
    assert len(entries) == (1 if here else 2)
