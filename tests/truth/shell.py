"""A shell inside a guest, over the console that the backend offers."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from vmtui.backends.base import Backend
from vmtui.backends.ways_in import Console, Consoles
from vmtui.model import VMId
from vmtui.readiness import wait_for_login

BOOT_LIMIT_S = 120.0
COMMAND_LIMIT_S = 120.0
ANSWER_AGAIN_S = 5.0

_NOISE = re.compile(rb"\x1b\[[0-?]*[ -/]*[@-~]|\x1bc|\r")
_LOOP = r"""exec sh -c 'while read -r line; do eval "$line"; echo "ended"" $?"; done'"""
"""Not interactive: no echo, no prompt, no line editing."""


class GuestShell:
    """Runs one command after the other as root."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._unread = b""

    @classmethod
    @asynccontextmanager
    async def of(cls, backend: Backend, vm: VMId) -> AsyncIterator[GuestShell]:
        """Logged in, as soon as the guest has booted."""
        assert isinstance(backend, Consoles)
        name = (await backend.vm(vm)).name
        await wait_for_login(backend.console_output(vm), name, BOOT_LIMIT_S)
        console = await backend.console(vm)
        shell = cls(console)
        try:
            await shell._log_in()
            yield shell
        finally:
            await console.close()

    async def _log_in(self) -> None:
        # A guest throws away what is typed between its question and its readiness for the answer.
        answers = {"": "", "login: ": "root", "Password: ": "micro", "# ": f"stty -echo; {_LOOP}"}
        question = ""
        async with asyncio.timeout(BOOT_LIMIT_S):
            while question != "# ":
                await self._type(answers[question])
                try:
                    async with asyncio.timeout(ANSWER_AGAIN_S):
                        text = await self._until(r"login: |Password: |# \Z")
                    question = next(q for q in answers if q and text.endswith(q))
                except TimeoutError:
                    question = ""
            await self._type(answers[question])
            await self._type("echo $((6 * 7))")
            await self._until(r"^42\nended 0\n")

    async def run(self, command: str) -> str:
        """What `command` prints. It has to succeed."""
        await self._type(command)
        try:
            async with asyncio.timeout(COMMAND_LIMIT_S):
                printed = await self._until(r"^ended \d+\n")
        except TimeoutError as error:
            error.add_note(
                f"The guest has said since: {self._unread[-4000:].decode('utf-8', 'replace')}"
            )
            raise
        text, _, status = printed.rpartition("ended ")
        assert int(status) == 0, f"{command}: {text}"
        return text.strip()

    async def _type(self, line: str) -> None:
        await self._console.write(f"{line}\n".encode())

    async def _until(self, pattern: str) -> str:
        """What comes from here up to and with `pattern`."""
        while True:
            text = _NOISE.sub(b"", self._unread).decode(errors="replace")
            if found := re.search(pattern, text, re.MULTILINE):
                self._unread = text[found.end() :].encode()
                return text[: found.end()]
            chunk = await self._console.read()
            assert chunk, f"the console ended ({self._console.ended_because}): {text[-500:]}"
            self._unread += chunk
