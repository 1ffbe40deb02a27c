"""The guest agent in a direct VM: whether it is there."""

from __future__ import annotations

import asyncio
import json
import secrets
from contextlib import closing
from pathlib import Path

_ANSWER_LIMIT_S = 2.0
_LINE_LIMIT_BYTES = 64 * 1024


async def answers(channel: Path) -> bool:
    """Whether the agent at the other end of the channel answers a greeting now."""
    number = secrets.randbelow(2**31)
    greeting = {"execute": "guest-sync", "arguments": {"id": number}}
    try:
        async with asyncio.timeout(_ANSWER_LIMIT_S):
            reader, writer = await asyncio.open_unix_connection(channel, limit=_LINE_LIMIT_BYTES)
            with closing(writer):
                writer.write(json.dumps(greeting).encode() + b"\n")
                # An answer to somebody who asked before may come first.
                while line := await reader.readline():
                    if _says(line, number):
                        return True
    except (OSError, TimeoutError, ValueError):
        pass
    return False


def _says(line: bytes, number: int) -> bool:
    try:
        said = json.loads(line)
    except ValueError:
        return False
    return isinstance(said, dict) and said.get("return") == number
