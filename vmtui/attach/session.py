"""Bytes between standard input and output and a console, until the user or the console ends it."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import Awaitable, Callable
from contextlib import ExitStack, aclosing, suppress

from vmtui.attach.escape import EscapeKey
from vmtui.attach.history import harmless
from vmtui.attach.outer import OuterTerminal, taken
from vmtui.attach.streams import Output, read_all
from vmtui.attach.until import Until
from vmtui.backends.ways_in import Console
from vmtui.errors import OperationError
from vmtui.prompt_size import PromptSize
from vmtui.units import plain

HISTORY_BYTES = 8192
"""What of the history is shown: a screen full or some."""

Resize = Callable[[int, int], Awaitable[bool]]
"""Tells the guest columns and rows; False where that can't be done."""

ENDED = "detached"
SEEN = f"{ENDED}: it printed what was waited for"


async def attach(
    console: Console,
    *,
    name: str,
    escape: bytes,
    history: bytes = b"",
    clear: bool = False,
    log: int | None = None,
    until: re.Pattern[bytes] | None = None,
    resize: Resize | None = None,
) -> str:
    """Join standard input and output to `console` until `escape` is typed or it ends.

    `history` is shown first, on an empty screen with `clear`. What is printed from now on also
    goes to the descriptor `log`; once it matches `until`, that is the end too. Gives the reason
    of the end, for people; the console is closed and the terminal is as it was, however this
    ends. Raises BrokenPipeError when nobody reads standard output any more.
    """
    output = Output(sys.__stdout__.fileno() if sys.__stdout__ else 1)
    source = _source(output)
    try:
        with ExitStack() as stack:
            session = _Session(console, output, source, EscapeKey(escape))
            session.log, session.resize = log, resize
            session.until = Until(until) if until else None
            if source is not None and os.isatty(source):
                session.terminal = OuterTerminal(source, output)
                resized = session.resized_from(asyncio.get_running_loop())
                stack.enter_context(taken(session.terminal, resized))
                _say(name, session.escape, clear=clear)
            return await session.run(harmless(history[-HISTORY_BYTES:]))
    finally:
        output.close()
        await console.close()


def _source(output: Output) -> int | None:
    """The descriptor of standard input; None where reading it would stop the process."""
    descriptor = sys.__stdin__.fileno() if sys.__stdin__ else 0
    if os.isatty(descriptor) and not output.is_terminal:
        with suppress(OSError):
            if os.tcgetpgrp(descriptor) != os.getpgrp():
                return None  # in the background of a shell: `vmtui console web > log &`
    return descriptor


def _say(name: str, escape: EscapeKey, *, clear: bool) -> None:
    if not os.isatty(2):
        return
    way_out = f"{escape.label} detaches." if escape.label else "No key detaches."
    start = "\x1b[2J\x1b[H" if clear else "\r"
    os.write(2, f"{start}\x1b[2mAttached to {plain(name)}. {way_out}\x1b[0m\r\n".encode())


class _Session:
    def __init__(
        self, console: Console, output: Output, source: int | None, escape: EscapeKey
    ) -> None:
        self._console = console
        self._output = output
        self._source = source
        self.escape = escape
        self.terminal: OuterTerminal | None = None
        self.log: int | None = None
        self.until: Until | None = None
        self.resize: Resize | None = None
        self._prompt: PromptSize | None = PromptSize()
        # A guest that reads nothing must not keep the escape key from being read; a pipe waits.
        self._typed: asyncio.Queue[bytes] = asyncio.Queue()
        self._resized = asyncio.Event()
        self._resized.set()

    def resized_from(self, loop: asyncio.AbstractEventLoop) -> Callable[[], object]:
        """What a signal handler calls when the terminal may have another size."""
        return lambda: loop.call_soon_threadsafe(self._resized.set)

    async def run(self, history: bytes) -> str:
        """The reason of the end."""
        parts = [self._print(history), self._read(), self._send()]
        if self.terminal is not None:
            parts.append(self._follow_size())
        tasks = [asyncio.create_task(part) for part in parts]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            return done.pop().result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    # -- from the guest ------------------------------------------------------------------------

    async def _print(self, history: bytes) -> str:
        await self._show(history)
        while data := await self._console.read():
            if self.log is not None:
                _append(self.log, data)
            await self._show(data)
            if self.until is not None and self.until.seen_in(data):
                return SEEN
        return self._console.ended_because or "the console ended"

    async def _show(self, data: bytes) -> None:
        if self.terminal is not None:
            # Before it is printed: it may be, although the wait for that is cancelled.
            self.terminal.printed(data)
        try:
            await self._output.write(data)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise OperationError(
                "what the console prints can't be written", why=error.strerror or ""
            ) from error
        if self.terminal is not None and self._prompt is not None:
            self._prompt.printed(data)
            self._tell_at_prompt(self._prompt)

    # -- to the guest --------------------------------------------------------------------------

    async def _read(self) -> str:
        if self._source is not None:
            async with aclosing(read_all(self._source)) as pieces:
                async for data in pieces:
                    if await self._type(data):
                        return ENDED
        if self.terminal is not None:
            return f"{ENDED}: standard input ended"
        # The end of a pipe is not the end of what the guest says to it.
        return await asyncio.Future()

    async def _type(self, data: bytes) -> bool:
        """Send what was typed; whether it ends the session."""
        if self.terminal is None:
            await self._console.write(data)
            return False
        before, ends = self.escape.split(data)
        if before:
            if self._prompt is not None:
                self._prompt.typed(before)
            self._typed.put_nowait(before)
        return ends

    async def _send(self) -> str:
        while True:
            await self._console.write(await self._typed.get())

    # -- the size ------------------------------------------------------------------------------

    async def _follow_size(self) -> str:
        while True:
            await self._resized.wait()
            self._resized.clear()
            if self.resize is not None and (size := self._size()) and await self.resize(*size):
                self._prompt = None
            elif self._prompt is not None:
                self._tell_at_prompt(self._prompt)

    def _tell_at_prompt(self, prompt: PromptSize) -> None:
        if (size := self._size()) and (words := prompt.words(*size)):
            self._typed.put_nowait(words)

    def _size(self) -> tuple[int, int] | None:
        with suppress(OSError):
            size = os.get_terminal_size(self._output.descriptor)
            return size.columns, size.lines
        return None


def _append(log: int, data: bytes) -> None:
    rest = memoryview(data)
    try:
        while rest:
            rest = rest[os.write(log, rest) :]
    except OSError as error:
        raise OperationError("the log can't be written", why=error.strerror or "") from error
