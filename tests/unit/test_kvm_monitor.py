"""A monitor is connected to whatever QEMU tells meanwhile."""

from __future__ import annotations

import asyncio
import json
import tempfile
from pathlib import Path

import pytest
from qemu.qmp import QMPClient, Runstate

from tests.listening import listening
from vmtui.backends.kvm import monitor
from vmtui.backends.kvm.argv import Place
from vmtui.backends.kvm.monitor import Monitor
from vmtui.errors import UnreachableError
from vmtui.model import Accel

GREETING = {"QMP": {"version": {"qemu": {}, "package": ""}, "capabilities": ["oob"]}}
EVENT = {"event": "NIC_RX_FILTER_CHANGED", "data": {}, "timestamp": {"seconds": 1}}


async def test_what_happens_while_it_connects_is_no_answer() -> None:
    asked: list[str] = []

    async def qemu(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        def says(message: object) -> None:
            writer.write(json.dumps(message).encode() + b"\r\n")

        says(EVENT)
        says(GREETING)
        while text := await reader.read(65536):  # one request at a time, without a line's end
            request = json.loads(text)
            asked.append(request["execute"])
            says(EVENT)
            says({"return": {"status": "running"}, **{k: request[k] for k in request if k == "id"}})
        writer.close()

    with tempfile.TemporaryDirectory(prefix="vmtui-") as folder:  # sockets' paths are short
        place = Place("qemu", Path(folder), Path(folder), Accel.TCG)
        server = await asyncio.start_unix_server(qemu, place.monitor(monitor.SHARED))
        async with listening(server), Monitor.brief("web", place) as one:
            assert await one.execute("query-status") == {"status": "running"}
    assert asked == ["qmp_capabilities", "query-status"]


async def test_one_that_ends_as_it_is_connected_to_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    async def qemu(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(json.dumps(GREETING).encode() + b"\r\n")
        request = json.loads(await reader.read(65536))
        writer.write(json.dumps({"return": {}, "id": request.get("id")}).encode() + b"\r\n")
        writer.close()

    async def begun(client: QMPClient) -> None:
        await establish(client)
        while client.runstate is Runstate.RUNNING:  # until its reader has seen the end
            await asyncio.sleep(0)

    # The library's own, not public: nothing that is lies between its reader and its last look.
    establish = QMPClient._establish_session
    monkeypatch.setattr(QMPClient, "_establish_session", begun)
    with tempfile.TemporaryDirectory(prefix="vmtui-") as folder:
        place = Place("qemu", Path(folder), Path(folder), Accel.TCG)
        server = await asyncio.start_unix_server(qemu, place.monitor(monitor.SHARED))
        async with listening(server):
            with pytest.raises(UnreachableError, match="it ended just then"):
                async with Monitor.brief("web", place):
                    pass
