"""Balloons: the floor that guards a guest, and how a request is followed to its end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmtui.backends.base import Endpoint
from vmtui.backends.demo import DemoBackend
from vmtui.ballooning import LEAST_BYTES, Compliance, Complied, ask, floor, follow, need
from vmtui.configuring import change, plan
from vmtui.counters import Counters, GuestMemory, Stalled
from vmtui.errors import InputError, RefusedError, StateError
from vmtui.fleet import Fleet
from vmtui.hardware.around import Balloon
from vmtui.hardware.changes import Assign
from vmtui.model import VMId
from vmtui.progress import Progress
from vmtui.units import GIB, MIB
from vmtui.views import VMRef

Guest = Callable[[int], Balloon]


class Scripted(DemoBackend):
    """A guest that does what a test says: from how often it was looked at, to what it has."""

    script: Guest | None = None
    looks = 0

    async def balloon(self, vm: VMId) -> Balloon:
        if self.script is None:
            return await super().balloon(vm)
        self.looks += 1
        return self.script(self.looks)


@pytest.fixture
async def backend() -> Scripted:
    return Scripted("demo:")


@pytest.fixture
async def fleet(backend: Scripted) -> AsyncIterator[Fleet]:
    fleet = Fleet([Endpoint(backend, "demo")])
    await fleet.connect()
    yield fleet
    await fleet.close()


@pytest.fixture
def ref(fleet: Fleet) -> VMRef:
    return fleet.find("web-01")


# -- the floor -------------------------------------------------------------------------------------


@given(st.integers(0, 2**36), st.integers(0, 2**36), st.integers(0, 2**34))
def test_a_guest_keeps_what_it_uses_and_a_reserve(total: int, available: int, reserve: int) -> None:
    guest = GuestMemory(0, 5, age_s=1, total_bytes=total, available_bytes=available)
    found = need(guest, reserve)
    assert found is not None
    assert found.size_bytes == max(0, total - available) + reserve
    assert need(replace(guest, age_s=10.1), reserve) is None, "its figures are old"
    assert need(replace(guest, available_bytes=None), reserve) is None


async def test_the_highest_floor_counts(fleet: Fleet, ref: VMRef) -> None:
    own = await floor(fleet, ref)
    assert "the guest uses" in own.why
    assert "keeps 512 MiB in reserve" in own.why, "an eighth of its ceiling"
    await change(fleet, ref, await plan(fleet, ref, [Assign("memory.floor", 2 * GIB)]))
    assert (await floor(fleet, ref)).size_bytes == 2 * GIB
    await change(fleet, ref, await plan(fleet, ref, [Assign("memory.floor", 64 * MIB)]))
    assert (await floor(fleet, ref)).size_bytes == pytest.approx(own.size_bytes, rel=0.05)


async def test_a_guest_that_tells_nothing_is_left_a_little(
    fleet: Fleet, ref: VMRef, backend: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def none(_: Sequence[VMId]) -> Mapping[VMId, Counters | Stalled]:
        return {}

    monkeypatch.setattr(backend, "counters", none)
    assert (await floor(fleet, ref)).size_bytes == LEAST_BYTES


async def test_less_than_the_floor_is_refused_unless_overridden(fleet: Fleet, ref: VMRef) -> None:
    before = await fleet_balloon(fleet, ref)
    with pytest.raises(RefusedError, match="its floor is"):
        await ask(fleet, ref, 512 * MIB)
    with pytest.raises(RefusedError, match="its floor is"):
        await plan(fleet, ref, [Assign("memory.target", 512 * MIB)])
    with pytest.raises(InputError, match="its ceiling is 4 GiB") as above:
        await ask(fleet, ref, 5 * GIB)
    assert "from its next boot on: vmtui set web-01 memory=SIZE" in above.value.hint
    with pytest.raises(StateError):
        await ask(fleet, fleet.find("old-db"), GIB)
    assert await fleet_balloon(fleet, ref) == before
    await ask(fleet, ref, 512 * MIB, below_floor=True)
    assert (await fleet_balloon(fleet, ref)).target_bytes == 512 * MIB


async def test_read_only_asks_no_guest(backend: Scripted) -> None:
    looking = Fleet([Endpoint(backend, "demo")], read_only=True)
    await looking.connect()
    ref = looking.find("web-01")
    before = await fleet_balloon(looking, ref)
    with pytest.raises(RefusedError, match="read-only"):
        await ask(looking, ref, 3 * GIB)
    assert await fleet_balloon(looking, ref) == before
    await looking.close()


async def test_giving_back_is_never_refused(fleet: Fleet, ref: VMRef, backend: Scripted) -> None:
    backend.script = lambda _: Balloon(4 * GIB, 32 * MIB)
    await ask(fleet, ref, 48 * MIB)
    with pytest.raises(RefusedError):
        await ask(fleet, ref, LEAST_BYTES // 4)


async def fleet_balloon(fleet: Fleet, ref: VMRef) -> Balloon:
    backend = fleet.backend(ref)
    assert isinstance(backend, DemoBackend)
    return await backend.balloon(ref.id)


# -- following -------------------------------------------------------------------------------------

ASKED = 3 * GIB


def moving(look: int) -> Balloon:
    return Balloon(4 * GIB, max(ASKED + 4096, 4 * GIB - look * 200 * MIB), ASKED)


@pytest.mark.parametrize(
    ("guest", "came"),
    [
        (moving, (Compliance.REACHED, ASKED + 4096)),
        (lambda _: Balloon(4 * GIB, ASKED, None), (Compliance.REACHED, ASKED)),
        (lambda _: Balloon(4 * GIB, 4 * GIB, ASKED), (Compliance.STILL, 4 * GIB)),
        (
            lambda look: Balloon(4 * GIB, max(7 * GIB // 2, 4 * GIB - look * GIB // 8), ASKED),
            (Compliance.STILL, 7 * GIB // 2),
        ),
        (
            lambda _: Balloon(4 * GIB, 4 * GIB, ASKED, answers=False),
            (Compliance.NO_DRIVER, 4 * GIB),
        ),
        (
            lambda look: Balloon(4 * GIB, 4 * GIB, ASKED if look < 3 else GIB),
            (Compliance.SUPERSEDED, 4 * GIB),
        ),
    ],
)
async def test_a_request_ends_in_one_of_four_ways(
    fleet: Fleet, ref: VMRef, backend: Scripted, guest: Guest, came: tuple[Compliance, int]
) -> None:
    backend.script = guest
    seen: list[Progress] = []
    found = await follow(fleet, ref, ASKED, seen.append, still_s=0.05)
    assert (found.compliance, found.actual_bytes) == came
    assert found.target_bytes == ASKED
    assert backend.looks >= 1
    assert all("→ 3 GiB" in progress.text for progress in seen)


async def test_a_guest_that_goes_on_moving_is_waited_for(
    fleet: Fleet, ref: VMRef, backend: Scripted
) -> None:
    """However slowly: only standing still ends it."""
    backend.script = lambda look: Balloon(4 * GIB, max(ASKED, 4 * GIB - look * 16 * MIB), ASKED)
    came = await follow(fleet, ref, ASKED, still_s=0.2)
    assert came.compliance is Compliance.REACHED
    assert backend.looks >= 64


async def test_a_vm_that_goes_off_meanwhile_is_an_error(
    fleet: Fleet, ref: VMRef, backend: Scripted
) -> None:
    def off(look: int) -> Balloon:
        if look > 2:
            raise StateError("web-01 has no balloon", why="it is off")
        return Balloon(4 * GIB, 4 * GIB, ASKED)

    backend.script = off
    with pytest.raises(StateError, match="it is off"):
        await follow(fleet, ref, ASKED)


async def test_an_event_is_as_good_as_a_look(fleet: Fleet, ref: VMRef, backend: Scripted) -> None:
    fleet.supervise()
    await ask(fleet, ref, ASKED + 300 * MIB)
    came = await follow(fleet, ref, ASKED + 300 * MIB)
    assert came.compliance is Compliance.REACHED


def test_how_it_ended_is_told_in_words() -> None:
    def told(compliance: Compliance) -> str:
        return Complied(compliance, 3 * GIB, 7 * GIB // 2, 1.234).told("web\x1b[31m")

    assert told(Compliance.REACHED) == "web has 3.5 GiB after 1.23 s"
    assert told(Compliance.NO_DRIVER) == (
        "web stays at 3.5 GiB: asked for 3 GiB, but its guest has no driver"
    )
    assert told(Compliance.STILL) == (
        "web is at 3.5 GiB: asked for 3 GiB, it came no nearer for 5 s, after 1.23 s"
    )
    assert "somebody asked for something else" in told(Compliance.SUPERSEDED)
