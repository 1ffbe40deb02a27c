"""Open consoles as the interface has them: over a Fleet, each with its terminal."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from functools import partial

from tests.truth.rigs import Rig
from vmtui.backends.base import Endpoint
from vmtui.consoles import Attachment, ConsoleKey, OpenConsole, OpenConsoles
from vmtui.fleet import Fleet
from vmtui.model import VMId
from vmtui.views import VMRef

PATIENCE_S = 60.0
ANSWER_AGAIN_S = 5.0
PROMPT = "#$"


class Desk:
    """One vmtui with its consoles."""

    def __init__(self, *rigs: Rig) -> None:
        self._changed = asyncio.Event()
        self.fleet = Fleet([Endpoint(r.connect(), f"truth{n}") for n, r in enumerate(rigs, 1)])
        self.consoles = OpenConsoles(self.fleet, self._changed.set)

    @classmethod
    @asynccontextmanager
    async def over(cls, *rigs: Rig) -> AsyncIterator[Desk]:
        """Connected while inside."""
        desk = cls(*rigs)
        undo = desk.fleet.watch(lambda _: desk._changed.set())
        desk.fleet.supervise()
        try:
            await desk.until(lambda: all(connection.up for connection in desk.fleet.connections))
            yield desk
        finally:
            await desk.consoles.close_all()
            undo()
            await desk.fleet.close()

    def open(self, vm: VMId, name: str = "") -> OpenConsole:
        """That console, of a VM of the first rig."""
        return self.consoles.open(ConsoleKey(VMRef(self.fleet.connections[0].uri, vm), name))

    async def until(self, reached: Callable[[], bool], limit_s: float = PATIENCE_S) -> None:
        """Wait for it, looking at every change."""
        try:
            await self._until(reached, limit_s)
        except TimeoutError:
            raise AssertionError("\n".join(["not so in time", *self._seen()])) from None

    async def _until(self, reached: Callable[[], bool], limit_s: float) -> None:
        async with asyncio.timeout(limit_s):
            while not reached():
                self._changed.clear()
                await self._changed.wait()

    def _seen(self) -> Iterator[str]:
        for console in self.consoles.all:
            yield f"-- {console.key}, {console.attachment}, {console.notice!r}:"
            yield screen(console)

    async def becomes(self, console: OpenConsole, attachment: Attachment) -> None:
        """Wait until it is attached like that."""
        await self.until(lambda: console.attachment is attachment)

    async def shows(
        self, console: OpenConsole, pattern: str, limit_s: float = PATIENCE_S
    ) -> re.Match[str]:
        """Wait until the screen, without the blanks at its end, has that in it."""
        found: re.Match[str] | None = None

        def look() -> bool:
            nonlocal found
            found = re.search(pattern, screen(console), re.MULTILINE)
            return found is not None

        await self.until(look, limit_s)
        assert found is not None
        return found

    async def log_in(self, console: OpenConsole) -> None:
        """From a login prompt to a shell's."""
        # A guest throws away what is typed between its question and its readiness for the answer.
        answers = {"login: ": b"root\r", "Password: ": b"micro\r", "# ": b""}
        question = ""
        while question != "# ":
            text = screen(console)
            question = next((q for q in answers if text.endswith(q.rstrip())), "")
            if question != "# ":
                console.type(answers.get(question, b"\r"))
                with suppress(TimeoutError):
                    await self._until(partial(_asks_anew, console, text), ANSWER_AGAIN_S)

    async def run(self, console: OpenConsole, command: str, answer: str) -> re.Match[str]:
        """Type a command at the prompt; wait for its answer on a line of its own."""
        console.type(f"clear; {command}\r".encode())
        return await self.shows(console, rf"^{answer}$(?s:.*){PROMPT}")


def _asks_anew(console: OpenConsole, before: str) -> bool:
    text = screen(console)
    return text != before and text.endswith(("login:", "Password:", "#"))


def lines(console: OpenConsole) -> list[str]:
    """The rows of the screen."""
    terminal = console.terminal
    return [
        "".join(run.text for run in terminal.row(index)).rstrip() for index in range(terminal.rows)
    ]


def screen(console: OpenConsole) -> str:
    """The same in one, without the blanks at its end."""
    return "\n".join(lines(console)).rstrip()


def everything(console: OpenConsole) -> str:
    """With what has left the screen at its top."""
    terminal = console.terminal
    gone = (terminal.line(number) for number in range(terminal.first_line, terminal.scrolled_off))
    rows = ["".join(run.text for run in row).rstrip() for row in gone]
    return "\n".join([*rows, screen(console)])
