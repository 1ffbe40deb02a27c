"""What QEMU says over its monitor, when it is another than it should be: told, never believed."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from tests.fuzz.broken import DEEP, DIGITS, encoded, json_lines, quick, texts, trees
from tests.listening import listening
from tests.unit.test_kvm_argv import PLACE
from tests.unit.test_kvm_questions import CPUS, KVM_SCHEMAS, KVM_STATS, NOTHING
from vmtui.backends.kvm import agent, monitor, questions
from vmtui.backends.kvm.monitor import Monitor
from vmtui.backends.kvm.questions import Answers
from vmtui.errors import VmtuiError
from vmtui.model import Disk, DiskKind

GREETING = {
    "QMP": {
        "version": {"qemu": {"micro": 22, "minor": 2, "major": 7}, "package": "Debian"},
        "capabilities": ["oob"],
    }
}
STATS = dict.fromkeys(
    (
        *("rd_operations", "rd_bytes", "rd_total_time_ns", "wr_operations", "wr_bytes"),
        *("wr_total_time_ns", "flush_operations", "flush_total_time_ns"),
    ),
    5,
)
ANSWERS: dict[str, Any] = {
    "query-status": {"status": "running", "running": True, "singlestep": False},
    "query-blockstats": [
        {"node-name": "disk0", "stats": STATS, "parent": {"stats": {"wr_highest_offset": 9}}}
    ],
    "query-cpus-fast": CPUS,
    "query-balloon": {"actual": 1 << 28},
    "guest-stats-polling-interval": 2,
    "guest-stats": {"stats": {**NOTHING, "stat-free-memory": 7}, "last-update": 1_700_000_000},
    "query-stats-schemas": KVM_SCHEMAS,
    "query-stats": KVM_STATS,
}
DRIVES = {"disk0": Disk("vda", DiskKind.DISK, source="/dev/null", format="qcow2")}

_event = {"event": "RESET", "data": {"reason": "guest"}, "timestamp": {"seconds": 1}}
rubbish = json_lines(_event) | encoded(
    texts(json.dumps(GREETING), json.dumps({"return": {}}), json.dumps(_event))
).map(lambda line: line.replace(b"\n", b" ") + b"\n")


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="vmtui-") as made:  # sockets' paths are short
        yield Path(made)


async def asked(folder: Path, answers: dict[str, Any], before: bytes = b"") -> list[object]:
    """What is made of a QEMU that gives those answers, and says `before` ahead of each."""

    async def qemu(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(json.dumps(GREETING).encode() + b"\n")
        while line := await reader.read(65536):  # one request at a time, without a line's end
            request = json.loads(line)
            key = request.get("arguments", {}).get("property", request["execute"])
            answer = {
                "return": answers.get(key, {}),
                **{k: request[k] for k in request if k == "id"},
            }
            writer.write(before + json.dumps(answer, default=str).encode() + b"\n")
        writer.close()

    place = replace(PLACE, runtime=folder)
    server = await asyncio.start_unix_server(qemu, place.monitor(monitor.SHARED), limit=2**20)
    found: list[object] = []
    try:
        async with listening(server), Monitor.brief("web", place) as one:
            found.append(await one.execute("query-status"))
            last = await questions.quick(one, Answers(), DRIVES)
            found.append(last.disks)
            found.append(await questions.thorough(one, last, kvm=True, may_arm=True))
    except VmtuiError as error:
        found.append(error)
    finally:
        place.monitor(monitor.SHARED).unlink(missing_ok=True)  # from Python 3.13 on it is gone
    return found


def test_answers_as_they_should_be_are_all_read(folder: Path) -> None:
    *_, known = asyncio.run(asked(folder, ANSWERS))
    assert isinstance(known, Answers)
    assert known.guest is not None
    assert known.exits


@quick
@given(answers=trees(ANSWERS))
def test_answers(folder: Path, answers: dict[str, Any]) -> None:
    *_, last = asyncio.run(asked(folder, answers))
    assert isinstance(last, Answers | VmtuiError)


@settings(quick, max_examples=60)
@given(before=rubbish)
def test_lines_that_are_no_answers(
    folder: Path, before: bytes, monkeypatch_module: pytest.MonkeyPatch
) -> None:
    monkeypatch_module.setattr(monitor, "ANSWER_TIMEOUT_S", 0.5)
    *_, last = asyncio.run(asked(folder, ANSWERS, before))
    assert isinstance(last, Answers | VmtuiError)


@pytest.fixture(scope="module")
def monkeypatch_module() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.mark.parametrize(
    "before",
    [
        b"[" * DEEP * 10 + b"\n",
        b'{"return": ' + b"9" * DIGITS + b"}\n",
        b'{"a": "\xff"}\n',
        b"\xff\xfe\n",
        b"x" * 100_000 + b"\n",
        b"null\n",
        b"\n",
    ],
    ids=["deep", "digits", "not-utf-8", "no-json", "long", "null", "empty"],
)
def test_what_no_qemu_says(folder: Path, before: bytes) -> None:
    [error] = asyncio.run(asked(folder, ANSWERS, before))
    assert isinstance(error, VmtuiError)


INTERFACES = {
    "return": [
        {
            "name": "enp1s0",
            "hardware-address": "52:54:00:00:00:01",
            "ip-addresses": [
                {"ip-address": "10.0.2.15", "ip-address-type": "ipv4", "prefix": 24},
                {"ip-address": "fe80::1", "ip-address-type": "ipv6", "prefix": 64},
            ],
            "statistics": {"rx-bytes": 1},
        }
    ]
}


async def told_by_agent(folder: Path, line: bytes, before: bytes = b"") -> object:
    """What is made of a guest's agent that answers with that line, and says `before` first."""

    async def guest(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        greeting = json.loads(await reader.readline())
        said = json.dumps({"return": greeting["arguments"]["id"]}).encode()
        writer.write(before + said + b"\n" + line)
        writer.close()

    channel = folder / "agent.sock"
    server = await asyncio.start_unix_server(guest, channel)
    try:
        async with listening(server):
            return await agent.interfaces(channel)
    finally:
        channel.unlink(missing_ok=True)


def test_an_agent_as_it_should_be_is_heard(folder: Path) -> None:
    line = json.dumps(INTERFACES).encode() + b"\n"
    heard = asyncio.run(told_by_agent(folder, line))
    assert isinstance(heard, tuple)
    [interface] = heard
    assert interface.hardware_address == "52:54:00:00:00:01"
    assert len(interface.ip_addresses) == 2


@quick
@given(line=json_lines(INTERFACES) | encoded(texts(json.dumps(INTERFACES))), before=rubbish)
def test_an_agent_that_says_anything(folder: Path, line: bytes, before: bytes) -> None:
    assert isinstance(asyncio.run(told_by_agent(folder, line, before)), tuple)


@pytest.mark.parametrize("line", [b"[" * 200_000, b'{"return": ' + b"[" * 100_000, b"x" * 10**6])
def test_what_no_agent_says(folder: Path, line: bytes) -> None:
    assert asyncio.run(told_by_agent(folder, line + b"\n")) == ()
