"""Recordings: what is written comes back equal, whatever happens to the process and the file."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmtui.backends.base import Endpoint
from vmtui.backends.demo import DemoBackend
from vmtui.counters import (
    Counters,
    CpuCounters,
    DiskCounters,
    GuestMemory,
    HostCounters,
    Measure,
    MemoryCounters,
    NicCounters,
    Stalled,
    VcpuCounters,
)
from vmtui.errors import BusyError, InputError, OperationError, RefusedError, VmtuiError
from vmtui.fleet import Fleet
from vmtui.frames import Began, Moment, Packer, Sampled, Unpacker
from vmtui.model import Power, VMId
from vmtui.recorder import Recorder, recorded
from vmtui.recording import Recording, Sink, frame
from vmtui.replay import ReplayFleet
from vmtui.views import ConnectionStatus, FleetView

URI = "demo:?vms=4"

# -- frames ------------------------------------------------------------------------------------

counts = st.none() | st.integers(0, 2**63 - 1) | st.integers(0, 100)
whole = st.integers(0, 2**64 - 1)
times = st.floats(0, 1e9, allow_nan=False)


def group(kind: type[object], **fixed: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    """A group of counters with anything in it."""
    names = [name for name in kind.__dataclass_fields__ if name not in fixed]  # type: ignore[attr-defined]
    rest = {name: st.none() | times if name.endswith("at_s") else counts for name in names}
    return st.builds(kind, **fixed, **rest)


guests = group(GuestMemory, updated_at_s=times, period_s=st.just(5.0), age_s=st.none() | times)
anything = st.builds(
    Counters,
    at_s=times,
    epoch=st.text(max_size=4),
    cpu=st.none()
    | group(
        CpuCounters,
        at_s=times,
        vcpus=st.lists(group(VcpuCounters, index=st.integers(0, 9)), max_size=3).map(tuple),
        exits=st.none() | st.dictionaries(st.text(max_size=3), whole, max_size=2),
    ),
    memory=st.none() | group(MemoryCounters, at_s=times, guest=st.none() | guests),
    disks=st.lists(group(DiskCounters, at_s=times, target=st.text()), max_size=2).map(tuple),
    nics=st.lists(
        group(NicCounters, at_s=times, name=st.text(), why_missing=st.text()), max_size=2
    ).map(tuple),
    missing=st.dictionaries(st.sampled_from(Measure), st.text(max_size=3), max_size=2),
)


@given(st.lists(anything, min_size=1, max_size=5))
def test_any_counters_come_back_equal(samples: list[Counters]) -> None:
    packer, unpacker = Packer(), Unpacker()
    for sample in samples:
        data = frame(Moment(1.0, (), (Sampled(URI, None, {VMId("a"): _packed(packer, sample)}),)))
        moment = msgspec.msgpack.decode(data[4:], type=Moment)
        _, found = unpacker.sampled(moment.sampled[0])
        assert found == {VMId("a"): sample}


def _packed(packer: Packer, sample: Counters) -> list[object]:
    return packer.vm(URI, VMId("a"), sample)


def test_hosts_and_stalls_come_back_and_times_can_be_shifted() -> None:
    packer, unpacker = Packer(), Unpacker(shift_s=100.0)
    guest = GuestMemory(1000.0, 5.0, age_s=1.0)
    sample = Counters(
        7.5, "1", cpu=CpuCounters(7.25, 5, kvm_at_s=7.125), memory=MemoryCounters(7.0, guest=guest)
    )
    host = HostCounters(7.0, load=(0.5, 0.25, 0.1), swap_in_bytes=2**64 - 1)
    frame_ = Sampled(
        URI, packer.host(URI, host), {VMId("a"): _packed(packer, sample), VMId("b"): "it hangs"}
    )
    found_host, found = unpacker.sampled(frame_)
    assert found_host == HostCounters(107.0, load=(0.5, 0.25, 0.1), swap_in_bytes=2**64 - 1)
    shifted = Counters(
        107.5,
        "1",
        cpu=CpuCounters(107.25, 5, kvm_at_s=107.125),
        memory=MemoryCounters(107.0, guest=guest),
    )
    assert found == {VMId("a"): shifted, VMId("b"): Stalled("it hangs")}


def test_a_difference_to_nothing_is_refused() -> None:
    packer = Packer()
    sample = Counters(1.0, "1")
    _packed(packer, sample)
    with pytest.raises(ValueError, match="difference"):
        Unpacker().sampled(Sampled(URI, None, {VMId("a"): _packed(packer, sample)}))


# -- the file ----------------------------------------------------------------------------------


def part(session: str, at_s: float, unix_s: float, count: int) -> list[bytes]:
    began = Began(session, unix_s, at_s, ((URI, "demo"),))
    return [frame(began), *(frame(Moment(at_s + i)) for i in range(count))]


def written(path: Path, *parts: list[bytes]) -> None:
    sink = Sink(path)
    for frames in parts:
        sink.write(frames)
        sink.end_part()
    sink.close()


def times_of(recording: Recording) -> list[float]:
    return [
        moment.at_s + recording.parts[place].shift_s
        for place in range(len(recording.parts))
        for moment in recording.moments(place)
    ]


def test_recording_again_appends(tmp_path: Path) -> None:
    path = tmp_path / "r"
    written(path, part("a", 10, 1000, 2), part("a", 12, 1002, 2))
    written(path, part("b", 20, 1010, 1))
    recording = Recording(path)
    assert times_of(recording) == [10, 11, 12, 13, 20]
    assert recording.end_s == 20
    assert recording.unix_s(13) == 1003
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_after_a_reboot_time_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "r"
    written(path, part("a", 5000, 1000, 1), part("b", 3.25, 1060.5, 2), part("b", 5.25, 1062.5, 1))
    recording = Recording(path)
    assert times_of(recording) == [5000, 5060.25, 5061.25, 5062.25]
    assert recording.unix_s(5061.25) == 1061.5


def test_a_clock_that_was_set_back_does_not_turn_time_around(tmp_path: Path) -> None:
    path = tmp_path / "r"
    written(path, part("a", 5000, 1000, 1), part("b", 3, 900, 1))
    at = times_of(Recording(path))
    assert at == sorted(at)


def test_every_truncation_leaves_what_is_before_it(tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    written(whole, part("a", 0, 1000, 20), part("a", 20, 1020, 20))
    data = whole.read_bytes()
    counts = []
    for length in range(len(data), 0, -7):
        torn = tmp_path / "torn"
        torn.write_bytes(data[:length])
        try:
            counts.append(len(times_of(Recording(torn))))
        except InputError:
            counts.append(0)
    assert counts[0] == 40
    assert counts == sorted(counts, reverse=True)


def test_appending_to_a_torn_file_keeps_both(tmp_path: Path) -> None:
    path = tmp_path / "r"
    sink = Sink(path)
    sink.write(part("a", 0, 1000, 5))
    flushed = path.stat().st_size
    sink.write([frame(Moment(5.0))])
    sink.close()
    os.truncate(path, flushed + 3)
    written(path, part("b", 60, 1060, 2))
    assert times_of(Recording(path)) == [0, 1, 2, 3, 4, 60, 61]


@pytest.mark.parametrize("content", [b"", b"\x1f\x8b\x08\x08", b"#!/bin/sh\n", b"\0" * 5000])
def test_what_is_no_recording_is_told(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "r"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        Recording(path)
    assert "is no recording" in str(caught.value)
    assert "--record" in caught.value.hint
    if content:
        with pytest.raises(InputError):
            Sink(path)
        assert path.read_bytes() == content


def test_files_that_cannot_be_used_are_told(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "no" / "r", Path("/dev/null")):
        with pytest.raises(InputError):
            Sink(path)
        with pytest.raises(InputError):
            Recording(path)
    sink = Sink(tmp_path / "r")
    with pytest.raises(BusyError):
        Sink(tmp_path / "r")
    sink.close()


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    sink = Sink(tmp_path / "r")
    sink._file.close()
    sink._file = Path("/dev/full").open("ab")  # noqa: SIM115 (the sink closes it)
    with pytest.raises(OperationError) as caught:
        sink.write(part("a", 0, 1000, 5))
    assert "No space" in caught.value.why
    sink.close()


# -- a fleet, and its replay -------------------------------------------------------------------


class Scripted(Fleet):
    """A demo fleet whose time goes on when it is told to."""

    def __init__(self, start_s: float = 500.0) -> None:
        self.now_s = start_s
        self.demo = DemoBackend(URI, clock=lambda: self.now_s)
        super().__init__([Endpoint(self.demo, "demo")])

    def view(self) -> FleetView:
        return replace(super().view(), at_s=self.now_s)

    async def go(self, seconds: int) -> list[FleetView]:
        """Sample every second; gives the views."""
        views = []
        for _ in range(seconds):
            self.now_s += 1.0
            await self.connections[0].sample()
            views.append(self.view())
            await published()
        return views


async def published() -> None:
    """Watchers are called in the next round of the event loop."""
    for _ in range(3):
        await asyncio.sleep(0)


def told(error: VmtuiError) -> None:
    raise AssertionError(error)


@asynccontextmanager
async def scripted(path: Path, start_s: float = 500.0) -> AsyncIterator[Scripted]:
    """A fleet that is recorded to a file."""
    fleet = Scripted(start_s)
    async with recorded(fleet, path, told):
        await fleet.connect()
        await fleet.connections[0].load_host()
        yield fleet
        await published()
    await fleet.close()


@asynccontextmanager
async def replayed(path: Path) -> AsyncIterator[ReplayFleet]:
    """Its replay, paused before the first moment."""
    fleet = ReplayFleet(Recording(path))
    fleet.watch(lambda _: None)
    fleet.player.toggle()
    fleet.supervise()
    yield fleet
    await fleet.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.001)


def sampled_at(fleet: Fleet) -> float | None:
    host = fleet.view().connections[0].host_counters
    return host.at_s if host else None


def compared(view: FleetView) -> object:
    """All of a view but its own time and how its connection is served."""
    return [
        (c.uri, c.label, c.status, c.host, c.host_counters, c.host_rates, c.interval_s, c.vms)
        for c in view.connections
    ]


class Slow(Sink):
    """A file that a thread writes to as slowly as it is told to."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.writing, self.may_end = threading.Event(), threading.Event()

    def write(self, frames: Sequence[bytes]) -> None:
        self.writing.set()
        assert self.may_end.wait(10)
        super().write(frames)


async def test_what_comes_during_the_last_write_is_written_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vmtui.recorder.WRITE_INTERVAL_S", 0.0)
    sink = Slow(tmp_path / "r")
    recorder = Recorder(sink, told)
    fleet = Scripted()
    fleet.watch(recorder.see)
    await fleet.connect()
    await fleet.connections[0].load_host()
    await fleet.go(1)
    running = asyncio.create_task(recorder.run())
    await until(sink.writing.is_set)
    await fleet.go(1)
    recorder.end()
    sink.may_end.set()
    await running
    await fleet.close()
    assert Recording(sink.path).end_s == fleet.now_s


async def test_stepping_shows_exactly_what_was_seen(tmp_path: Path) -> None:
    async with scripted(tmp_path / "r") as live:
        seen = await live.go(50)  # several parts
    async with replayed(tmp_path / "r") as fleet:
        await until(lambda: sampled_at(fleet) is None)
        for view in seen:
            while sampled_at(fleet) != view.at_s:
                fleet.player.step(1)
                await until(lambda: not fleet.player._steps)
            assert compared(fleet.view()) == compared(view)
        for view in reversed(seen[25:49]):
            fleet.player.step(-1)
            await until(lambda at_s=view.at_s: sampled_at(fleet) == at_s)  # type: ignore[misc]
            assert [row.rates for row in fleet.view().vms] == [row.rates for row in view.vms]
        row = fleet.view().vms[0]
        end_s = seen[25].at_s
        for history in (live.history, fleet.history):
            drawn = history.window(row.ref, "cpu", end_s=end_s, span_s=20, columns=20)
            assert None not in drawn


async def test_jumps_and_their_graphs(tmp_path: Path) -> None:
    async with scripted(tmp_path / "r") as live:
        await live.go(500)
    first_s = live.now_s - 499
    async with replayed(tmp_path / "r") as fleet:
        player = fleet.player
        player.end()
        await until(lambda: sampled_at(fleet) == live.now_s)
        ref = fleet.view().vms[0].ref
        for span_s, columns in ((300, 300), (450, 45)):
            both = [
                made.history.window(ref, "cpu", end_s=live.now_s, span_s=span_s, columns=columns)
                for made in (live, fleet)
            ]
            assert None not in both[1]
            if span_s == 300:
                assert both[0] == both[1]
        player.seek(-60)
        await until(lambda: sampled_at(fleet) == live.now_s - 60)
        player.seek(+10)
        await until(lambda: sampled_at(fleet) == live.now_s - 50)
        player.seek(-20)
        for _ in range(50):  # in the middle of reading
            await asyncio.sleep(0)
        player.seek(-30)
        await until(lambda: sampled_at(fleet) == live.now_s - 100)
        player.begin()
        await until(lambda: player.position_s == first_s - 1 or sampled_at(fleet) == first_s)
        await until(lambda: "‖" in player.text())


async def test_changes_stalls_and_losses_are_replayed(tmp_path: Path) -> None:
    async with scripted(tmp_path / "r") as live:
        await live.go(2)
        [first, second, *_] = [row for row in live.view().vms if row.vm.state.active]
        await live.demo.power(first.ref.id, Power.STOP)
        await live.connections[0].refresh(first.ref.id)
        live.connections[0].take(None, {second.ref.id: Stalled("it hangs")})
        await published()
        await live.go(1)
    async with replayed(tmp_path / "r") as fleet:
        states: list[tuple[str, str]] = []

        def look(view: FleetView) -> None:
            rows = {row.ref: row for row in view.vms}
            if first.ref in rows:
                states.append((rows[first.ref].vm.state.value, rows[second.ref].stalled))

        fleet.watch(look)
        for _ in range(6):
            fleet.player.step(1)
            await until(lambda: not fleet.player._steps)
            await published()
        assert list(dict.fromkeys(states)) == [("running", ""), ("off", "it hangs"), ("off", "")]


async def test_two_sessions_are_two(tmp_path: Path) -> None:
    path = tmp_path / "r"
    for start_s in (500.0, 20.0):
        async with scripted(path, start_s) as live:
            await live.go(5)
    async with replayed(path) as fleet:
        player = fleet.player
        player.end()
        await until(lambda: sampled_at(fleet) == player.end_s)
        assert all(row.rates for row in fleet.view().vms if row.vm.state.value == "running")
        player.toggle()
        await until(lambda: player.ended)
        assert "■" in player.text()


async def test_a_recording_plays_by_itself(tmp_path: Path) -> None:
    async with scripted(tmp_path / "r") as live:
        await live.go(4)
    fleet = ReplayFleet(Recording(tmp_path / "r"))
    fleet.player.next_speed()
    fleet.player.next_speed()
    assert "16×" in fleet.player.text()
    views: list[FleetView] = []
    fleet.watch(views.append)
    fleet.supervise()
    await until(lambda: fleet.player.ended)
    assert views[-1].connections[0].status is ConnectionStatus.UP
    assert sampled_at(fleet) == live.now_s
    await fleet.close()


async def test_a_recording_refuses_changes(tmp_path: Path) -> None:
    async with scripted(tmp_path / "r") as live:
        await live.go(2)
    fleet = ReplayFleet(Recording(tmp_path / "r"))
    backend = fleet.connections[0].backend
    for refused in (backend.power(VMId("a"), Power.START), backend.delete_plan(VMId("a"))):
        with pytest.raises(RefusedError) as caught:
            await refused
        assert "this is a recording" in str(caught.value)
    await fleet.close()


def test_a_kill_costs_only_the_last_seconds(tmp_path: Path) -> None:
    """SIGKILL while it records; then again, to the same file."""
    path = tmp_path / "r"
    for sessions in (1, 2):
        command = [sys.executable, "-m", "vmtui", "-c", URI, "top", "--record", str(path)]
        command += ["--json", "--interval", "0.2"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            lines = [process.stdout.readline() for _ in range(20)]  # 4 s: written at least once
            process.send_signal(signal.SIGKILL)
        recording = Recording(path)
        assert len({part.began.session for part in recording.parts}) == sessions
        samples = [m for place in range(len(recording.parts)) for m in recording.moments(place)]
        assert sum(bool(moment.sampled) for moment in samples) >= 5 * sessions
        assert all(lines)
