from __future__ import annotations

import asyncio
import json
from pathlib import Path

from vmtui.backends.kvm.agent import answers


async def asked(channel: Path, *, there: bool) -> bool:
    async def agent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = await reader.readline()
        if there:
            number = json.loads(line)["arguments"]["id"]
            writer.write(b'\xff{"return": 7}\n{"return": []}\n')  # for somebody before us
            writer.write(json.dumps({"return": number}).encode() + b"\n")
        writer.close()

    server = await asyncio.start_unix_server(agent, channel)
    try:
        return await answers(channel)
    finally:
        server.close()
        await server.wait_closed()


async def test_an_agent_is_there_once_it_answers_us(tmp_path: Path) -> None:
    assert not await answers(tmp_path / "none")
    assert not await asked(tmp_path / "socket", there=False)
    assert await asked(tmp_path / "socket", there=True)
