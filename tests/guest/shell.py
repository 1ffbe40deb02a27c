"""A shell in a micro guest of a backend, over its console."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.guest.direct import PRINT_LIMIT_S
from vmtui.backends.ways_in import Console, Consoles
from vmtui.model import VMId

_END = "@@"


class Shell:
    """Logged in as root, without echo and prompt."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._seen = ""

    async def _until(self, text: str) -> str:
        async with asyncio.timeout(PRINT_LIMIT_S):
            while text not in self._seen:
                data = await self._console.read()
                assert data, f"the console ended: {self._seen[-500:]!r}"
                self._seen += data.decode(errors="replace").replace("\r", "")
        before, _, self._seen = self._seen.partition(text)
        return before

    async def login(self) -> None:
        """From the prompt for a name on."""
        for prompt, answer in (("login: ", "root"), ("assword: ", "micro"), ("# ", "stty -echo")):
            await self._until(prompt)
            await self._console.write(f"{answer}\n".encode())
        await self._console.write(b"PS1=\n")
        await self.run("true")

    async def run(self, command: str) -> str:
        """What it prints."""
        await self._console.write(f'{command}; echo "{_END[0]}"{_END[1]}\n'.encode())
        printed = await self._until(_END)
        return printed.rpartition("# ")[2].strip()

    async def sees(self, command: str, wanted: str) -> None:
        """Wait until a command prints just that: the guest takes note of it in its own time."""
        deadline_s = time.monotonic() + PRINT_LIMIT_S
        while (printed := await self.run(command)) != wanted:
            assert time.monotonic() < deadline_s, f"{command}: {printed!r}, not {wanted!r}"
            await asyncio.sleep(0.05)


@asynccontextmanager
async def shell(backend: Consoles, vm: VMId) -> AsyncIterator[Shell]:
    """One in a guest that boots or has booted, and in which nobody has logged in."""
    console = await backend.console(vm, history_bytes=65536)
    try:
        opened = Shell(console)
        await opened.login()
        yield opened
    finally:
        await console.close()
