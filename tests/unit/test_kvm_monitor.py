"""A monitor is connected to whatever QEMU tells meanwhile."""

from __future__ import annotations

import asyncio
import json
import tempfile
from pathlib import Path

from tests.listening import listening
from vmtui.backends.kvm import monitor
from vmtui.backends.kvm.argv import Place
from vmtui.backends.kvm.monitor import Monitor
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
