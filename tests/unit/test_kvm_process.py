import asyncio
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from vmtui.backends.kvm.process import (
    Process,
    Record,
    boot_id,
    command_line,
    read_record,
    start_ticks,
    write_record,
)
from vmtui.errors import MissingError

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
    record = Record(["a", "b"], "boot", "kvm", 7, 8, 9.5)
    write_record(tmp_path / "record", record)
    assert read_record(tmp_path / "record") == record
    assert [path.name for path in tmp_path.iterdir()] == ["record"]


@pytest.mark.parametrize("content", [b"", b"{", b'{"argv": 3}', b"\xff"])
def test_a_damaged_record_is_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "record").write_bytes(content)
    assert read_record(tmp_path / "record") is None
