import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from vmtui.backends.kvm import lifecycle
from vmtui.backends.kvm.backend import KvmBackend
from vmtui.backends.kvm.definition import VERSION, Definition
from vmtui.backends.kvm.machine import STOPPING_SHOWN_S, Machine
from vmtui.backends.kvm.monitor import Monitor
from vmtui.backends.kvm.process import (
    Process,
    Record,
    boot_id,
    command_line,
    read_record,
    write_record,
)
from vmtui.backends.kvm.procfs import start_ticks
from vmtui.backends.kvm.store import Store
from vmtui.backends.kvm.watch import Watch
from vmtui.errors import MissingError, RefusedError, StateError
from vmtui.model import Event, EventKind, Power, State
from vmtui.spec import BootKind

SLEEPER = [sys.executable, "-c", "import time; print('hello', flush=True); time.sleep(600)"]


@dataclass
class Started:
    process: Process
    record: Record
    log: Path


@pytest.fixture
async def started(tmp_path: Path):  # type: ignore[no-untyped-def]
    log = tmp_path / "log"
    process = Process.start(SLEEPER, log=log)
    record = Record(SLEEPER, boot_id(), "tcg", process.pid, start_ticks(process.pid) or 0)
    async with asyncio.timeout(10):
        # Between fork and exec the child still has our command line.
        while command_line(process.pid) != SLEEPER:
            await asyncio.sleep(0.01)
    yield Started(process, record, log)
    await process.kill_and_wait("the sleeper")
    process.release()


HEADLESS = """
import ctypes, os, threading
def rest():
    os.read(0, 1)
    os._exit(0)
threading.Thread(target=rest).start()
ctypes.CDLL(None).syscall(60 if os.uname().machine == "x86_64" else 93, 0)
"""
"""Its first thread calls exit(2) for itself; the other one ends when it is told to."""


async def headless() -> tuple[asyncio.subprocess.Process, Record]:
    """One of that kind, whose first thread is gone."""
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", HEADLESS), stdin=asyncio.subprocess.PIPE
    )
    record = Record(HEADLESS.split(), boot_id(), "tcg", child.pid, start_ticks(child.pid) or 0)
    async with asyncio.timeout(10):
        while command_line(child.pid):
            await asyncio.sleep(0.01)
    return child, record


async def test_one_that_is_ending_is_let_go_of_and_its_end_still_told() -> None:
    child, record = await headless()
    ending = Process.with_any_thread(record)
    assert ending is not None
    end = asyncio.create_task(ending.exited())
    assert not ending.alive
    ending.release()
    assert child.stdin is not None
    child.stdin.write(b"x")
    async with asyncio.timeout(10):
        await end
    await child.wait()


async def test_one_is_there_until_its_last_thread_has_ended() -> None:
    child, record = await headless()
    assert Process.adopt(record) is None
    assert Process.with_any_thread(msgspec.structs.replace(record, start_ticks=1)) is None
    ending = Process.with_any_thread(record)
    assert ending is not None
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await ending.exited()
    assert child.stdin is not None
    child.stdin.write(b"x")
    await ending.wait("it")
    await child.wait()
    ending.release()
    assert Process.with_any_thread(record) is None


async def test_it_has_a_session_of_its_own(started: Started) -> None:
    assert os.getsid(started.process.pid) == started.process.pid
    assert os.getsid(0) != started.process.pid


async def test_its_words_are_in_a_private_log(started: Started) -> None:
    async with asyncio.timeout(10):
        while started.log.read_text() != "hello\n":
            await asyncio.sleep(0.01)
    assert started.log.stat().st_mode & 0o077 == 0


async def test_it_is_adopted_by_proof(started: Started) -> None:
    adopted = Process.adopt(started.record)
    assert adopted is not None
    assert adopted.alive
    adopted.release()
    assert started.process.alive


@pytest.mark.parametrize(
    "changes",
    [{"start_ticks": 1}, {"argv": ["qemu", "other"]}, {"boot_id": "another"}, {"pid": 2**22 - 1}],
)
async def test_a_pid_that_another_process_has_now_is_not_believed(
    started: Started, changes: dict[str, object]
) -> None:
    assert Process.adopt(msgspec.structs.replace(started.record, **changes)) is None


async def test_a_start_that_was_cut_off_is_recognised_by_its_command_line(
    started: Started,
) -> None:
    intent = Record(SLEEPER, boot_id(), "tcg")
    assert Process.adopt(intent) is None
    adopted = Process.adopt(intent, started.process.pid)
    assert adopted is not None
    adopted.release()


async def test_its_end_is_seen_and_no_zombie_stays(started: Started) -> None:
    adopted = Process.adopt(started.record)
    assert adopted is not None
    started.process.kill()
    async with asyncio.timeout(10):
        await asyncio.gather(started.process.exited(), adopted.exited())
    assert not adopted.alive
    assert not Path(f"/proc/{started.process.pid}").exists()
    adopted.release()


async def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(MissingError):
        Process.start(["/nonexistent/qemu"], log=tmp_path / "log")


def test_records_survive_the_disk(tmp_path: Path) -> None:
    record = Record(["a", "b"], "boot", "kvm", 7, 8)
    write_record(tmp_path / "record", record)
    assert read_record(tmp_path / "record") == record
    assert [path.name for path in tmp_path.iterdir()] == ["record"]


@pytest.mark.parametrize("content", [b"", b"{", b'{"argv": 3}', b"\xff"])
def test_a_damaged_record_is_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "record").write_bytes(content)
    assert read_record(tmp_path / "record") is None


# -- the state of the VM that it runs ----------------------------------------------------------


async def machine_of(record: Record, root: Path, *, protected: bool = False) -> Machine:
    """The VM `web`, of which there is that record."""
    store = Store(root / "vms", root / "run")
    store.prepare()
    for folder in (store.folder("web"), store.runtime("web")):
        folder.mkdir()
    definition = Definition(version=VERSION, uuid="u-1", vcpus=1, memory="256M", boot=BootKind.NONE)
    definition = msgspec.structs.replace(definition, protected=protected)
    await store.write(store.folder("web"), definition)
    machine = Machine(store, "web")
    write_record(machine.record_path, record)
    machine.reload()
    return machine


@pytest.fixture
async def machine(started: Started, tmp_path: Path) -> AsyncIterator[Machine]:
    """It runs."""
    found = await machine_of(started.record, tmp_path)
    yield found
    await found.close()


@pytest.mark.parametrize(
    ("run_state", "state", "allowed"),
    [
        ("running", State.RUNNING, "shutdown stop reboot reset pause"),
        ("paused", State.PAUSED, "stop reset resume"),
        ("io-error", State.PAUSED, "stop reset resume"),
        ("suspended", State.SUSPENDED, "stop reset resume"),
    ],
)
async def test_what_its_run_state_allows(
    machine: Machine, run_state: str, state: State, allowed: str
) -> None:
    machine.run_state = run_state
    assert machine.state is state
    assert operations(machine) == set(allowed.split())


async def test_a_guest_that_was_asked_to_stop_is_stopping_for_a_while(machine: Machine) -> None:
    machine.stopping_since_s = time.monotonic()
    assert operations(machine) == {"shutdown", "stop", "reset", "pause"}
    seen = [machine.state]
    machine.run_state = "paused"
    seen.append(machine.state)
    machine.run_state = "running"
    machine.stopping_since_s -= STOPPING_SHOWN_S
    seen.append(machine.state)
    assert seen == [State.STOPPING, State.PAUSED, State.RUNNING]


@pytest.mark.parametrize(
    ("boot", "pidfile", "state"),
    [
        (boot_id(), True, State.CRASHED),
        (boot_id(), False, State.OFF),
        ("another", True, State.OFF),  # it went down with the host
    ],
)
async def test_only_a_sudden_end_is_a_crash(
    tmp_path: Path, boot: str, pidfile: bool, state: State
) -> None:
    machine = await machine_of(Record(SLEEPER, boot, "tcg", 2**22 - 1, 1), tmp_path)
    if pidfile:
        machine.place.pidfile.write_text("4194303")
    assert machine.state is state
    assert operations(machine) == {"start"}


def operations(machine: Machine) -> set[str]:
    """What can be done to it."""
    found = set()
    for op in Power:
        try:
            lifecycle.check_state(machine, op)
        except StateError as error:
            assert error.why == f"it is {machine.state.value}"
        else:
            found.add(op.value)
    return found


async def test_what_is_protected_is_not_forced_off(started: Started, tmp_path: Path) -> None:
    machine = await machine_of(started.record, tmp_path, protected=True)
    async with opened(machine) as backend:
        with pytest.raises(RefusedError, match="force off of web"):
            await backend.power(machine.id, Power.STOP)
    assert started.process.alive


async def test_what_was_off_when_its_deletion_was_confirmed_is_not_forced_off(
    started: Started, machine: Machine
) -> None:
    async with opened(machine) as backend:
        plan = await backend.delete_plan(machine.id)
        assert plan.force_off
        with pytest.raises(StateError, match="can't delete web"):
            await backend.delete(machine.id, replace(plan, force_off=False))
    assert started.process.alive


@asynccontextmanager
async def opened(machine: Machine) -> AsyncIterator[KvmBackend]:
    """A backend that has it."""
    backend = KvmBackend(store=machine.store)
    await backend.open()
    yield backend
    await backend.close()
    await machine.close()


class Telling(Monitor):
    """A monitor that tells events, and is gone then."""

    def __init__(self, *names: str) -> None:
        self.names = names

    async def events(
        self, on_ready: Callable[[], Awaitable[None]]
    ) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        await on_ready()
        for name in self.names:
            yield name, {}


async def test_events_of_qemu_are_told_in_the_words_of_the_model(machine: Machine) -> None:
    told: list[Event] = []

    async def nothing() -> list[Event]:
        return []

    watch = Watch({}, nothing, told.append, lambda _: None)
    await watch._follow_events(machine, Telling("RTC_CHANGE", "POWERDOWN"), machine.id)
    assert told == [Event(EventKind.CHANGED, machine.id, "POWERDOWN")]
    seen = [machine.state]
    await watch._follow_events(machine, Telling("RESET"), machine.id)
    assert told[1:] == [Event(EventKind.RESET, machine.id, "RESET")]
    assert [*seen, machine.state] == [State.STOPPING, State.RUNNING]


async def test_a_process_that_was_only_intended_is_found_once_it_is_there(
    started: Started, tmp_path: Path
) -> None:
    machine = await machine_of(Record(SLEEPER, boot_id(), "tcg"), tmp_path)
    assert machine.process is None
    machine.place.pidfile.write_text(str(started.process.pid))  # who started it was killed
    machine.reload()
    assert machine.active
    await machine.close()


async def test_who_waits_for_the_end_hears_of_it_also_where_a_look_was_quicker_than_the_start(
    started: Started, tmp_path: Path
) -> None:
    machine = await machine_of(started.record, tmp_path)
    adopted = machine.process
    assert adopted is not None
    machine.took_process(started.process, started.record)
    started.process.kill()
    async with asyncio.timeout(10):
        await adopted.exited()
    assert not machine.active
    await machine.close()
