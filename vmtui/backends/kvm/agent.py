"""The guest agent in a direct VM: whether it is there, and what it says of the guest's network."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import msgspec

_ANSWER_LIMIT_S = 2.0
_LINE_LIMIT_BYTES = 256 * 1024
_STALE_LIMIT = 64
"""Lines of which one has to be the answer to a greeting."""


class Address(msgspec.Struct, frozen=True, rename="kebab"):
    """One address of an interface, as the guest tells it."""

    ip_address: str


class Interface(msgspec.Struct, frozen=True, rename="kebab"):
    """A network interface in the guest (qga/qapi-schema.json)."""

    hardware_address: str = ""
    ip_addresses: tuple[Address, ...] = ()


class _Interfaces(msgspec.Struct, frozen=True):
    said: tuple[Interface, ...] = msgspec.field(name="return")


class _Greeted(msgspec.Struct, frozen=True):
    said: int = msgspec.field(name="return")


# It is a guest that speaks: a line can be too long (ValueError), or too deep (RecursionError).
_UNREADABLE = (msgspec.DecodeError, RecursionError, ValueError)
_UNHEARD = (OSError, EOFError, *_UNREADABLE)  # a TimeoutError is an OSError


async def answers(channel: Path) -> bool:
    """Whether the agent at the other end of the channel answers a greeting now."""
    try:
        async with _greeted(channel):
            return True
    except _UNHEARD:
        return False


async def interfaces(channel: Path) -> tuple[Interface, ...]:
    """The guest's network interfaces by its own word; none where no agent tells of them now."""
    try:
        async with _greeted(channel) as (reader, writer):
            writer.write(b'{"execute": "guest-network-get-interfaces"}\n')
            return msgspec.json.decode(await reader.readline(), type=_Interfaces).said
    except _UNHEARD:
        return ()


@asynccontextmanager
async def _greeted(
    channel: Path,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """The agent, for as long as an answer may take. Raises one of `_UNHEARD`."""
    number = secrets.randbelow(2**31)
    greeting = {"execute": "guest-sync", "arguments": {"id": number}}
    async with asyncio.timeout(_ANSWER_LIMIT_S):
        reader, writer = await asyncio.open_unix_connection(channel, limit=_LINE_LIMIT_BYTES)
        with closing(writer):
            writer.write(json.dumps(greeting).encode() + b"\n")
            # An answer to somebody who asked before may come first.
            for _ in range(_STALE_LIMIT):
                if _says(await reader.readline(), number):
                    yield reader, writer
                    return
    raise EOFError


def _says(line: bytes, number: int) -> bool:
    try:
        return msgspec.json.decode(line, type=_Greeted).said == number
    except _UNREADABLE:
        return False
