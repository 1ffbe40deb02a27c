"""This terminal attached to a VM's serial console: raw, and given back as it was."""

from __future__ import annotations

import asyncio
import os
import re
import sys
import termios
import tty
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager, suppress

from vmtui.backends.base import Console
from vmtui.units import plain

READ_BYTES = 65536
PIPE_WRITE_BYTES = 4096  # PIPE_BUF: what a writable pipe takes without blocking
HISTORY_BYTES = 8192

# What a guest may have switched on and left: mouse, paste brackets, hidden cursor, colours, the
# line-drawing character set, application keys.
_RESET = (
    b"\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?2004l"
    b"\x1b[?25h\x1b[0m\x1b(B\x0f\x1b[?1l\x1b>"
)
_LEAVE_ALTERNATE = b"\x1b[?1049l"
_ALTERNATE = re.compile(rb"\x1b\[\?(?:1049|1047|47)([hl])")
_ALTERNATE_TAIL = 16

# Questions that a terminal answers; from a log they would be answered into the guest.
_QUERIES = re.compile(
    rb"\x1b\[[0-9;?>=]*[cn]|\x1b\[[0-9;?>=]*\$p|\x1b\[(?:1[4-9]|2[01])t|\x1b\[>[0-9;]*q"
    rb"|\x1b[\]P][^\x07\x1b]*\?[^\x07\x1b]*(?:\x07|\x1b\\)|\x05"
)

# A shell prompt: a short last line that ends in "# " or "$ ", with nothing in it but colours,
# erasing, cursor reports, paste brackets and titles. Anything that moves the cursor is a
# full-screen program, which must not be typed into.
_HARMLESS = re.compile(
    rb"\x1b\[[0-9;]*[mKJ]|\x1b\[6n|\x1b\[\?2004[hl]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)"
)
_SHELL_PROMPT = re.compile(rb"(?:^|[\r\n])[^\r\n\x1b]{0,160}[#$] $")


class PromptSize:
    """Decides when the guest can be told this terminal's size, and with which words.

    A serial line carries no size, so it is typed, once for each size, and only at a shell prompt
    at which the user has typed nothing.
    """

    def __init__(self) -> None:
        self._tail = b""
        self._typed = False
        self._told: tuple[int, int] | None = None

    def printed(self, data: bytes) -> None:
        """The guest printed something."""
        self._tail = (self._tail + data)[-512:]

    def typed(self, data: bytes) -> None:
        """The user typed something; a prompt after an Enter is a fresh one."""
        # The cursor report that the terminal itself sends (ESC [ row ; col R) is not typing.
        if re.sub(rb"\x1b\[\d+;\d+R", b"", data):
            self._typed = not data.endswith((b"\r", b"\n", b"\x03", b"\x04"))
            self._tail = b""

    def words(self, columns: int, rows: int) -> bytes:
        """What to type now; b"" for nothing."""
        if self._typed or self._told == (columns, rows) or columns <= 0 or rows <= 0:
            return b""
        if not _SHELL_PROMPT.search(_HARMLESS.sub(b"", self._tail)):
            return b""
        self._told = (columns, rows)
        # The leading space keeps it out of most shells' history.
        return b" stty rows %d cols %d\r" % (rows, columns)


async def attach(
    console: Console, *, name: str, escape: bytes, history: bytes = b"", clear: bool = False
) -> str:
    """Join standard input and output to `console` until `escape` is typed or it ends.

    `history` is shown first, on an empty screen with `clear`. Gives the reason of the end, for
    people. The console is closed and the terminal is as it was, however this ends.
    """
    try:
        with _raw_terminal() as terminal:
            if terminal:
                if clear:
                    os.write(2, b"\x1b[2J\x1b[H")
                keys = f"Ctrl+{chr(escape[0] | 0x40)}"
                _say(f"Attached to {plain(name)}. {keys} detaches.")
            session = _Session(console, escape, is_terminal=terminal)
            return await session.run(_QUERIES.sub(b"", history[-HISTORY_BYTES:]))
    finally:
        await console.close()


class _Session:
    def __init__(self, console: Console, escape: bytes, *, is_terminal: bool) -> None:
        self._console = console
        self._escape = escape if is_terminal else b""
        self._size = PromptSize() if is_terminal else None
        self._output = _Output(sys.__stdout__.fileno() if sys.__stdout__ else 1)
        self._alternate = False
        self._tail = b""

    async def run(self, history: bytes) -> str:
        try:
            await self._show(history)
            tasks = [asyncio.create_task(self._from_guest()), asyncio.create_task(self._to_guest())]
            try:
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                return done.pop().result()
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
        finally:
            if self._size is not None:
                await self._output.write(
                    (_LEAVE_ALTERNATE if self._alternate else b"") + _RESET + b"\r\n"
                )
            self._output.close()

    async def _from_guest(self) -> str:
        while data := await self._console.read():
            await self._show(data)
        return self._console.ended_because or "the console ended"

    async def _show(self, data: bytes) -> None:
        await self._output.write(data)
        switches = _ALTERNATE.findall(self._tail + data)
        if switches:
            self._alternate = switches[-1] == b"h"
        self._tail = data[-_ALTERNATE_TAIL:]
        if self._size is not None and data:
            self._size.printed(data)
            with suppress(OSError):
                columns, rows = os.get_terminal_size(self._output.descriptor)
                if words := self._size.words(columns, rows):
                    await self._console.write(words)

    async def _to_guest(self) -> str:
        async with aclosing(_typed(sys.__stdin__.fileno() if sys.__stdin__ else 0)) as input_data:
            async for data in input_data:
                before, found, _ = (
                    data.partition(self._escape) if self._escape else (data, b"", b"")
                )
                if before:
                    if self._size is not None:
                        self._size.typed(before)
                    await self._console.write(before)
                if found:
                    return "detached"
        if self._size is None:
            # The end of a pipe is not the end of what the guest says to it.
            await asyncio.Event().wait()
        return "detached: standard input ended"


async def _typed(descriptor: int) -> AsyncGenerator[bytes, None]:
    """What comes on standard input, until its end."""
    while True:
        await _ready(descriptor, for_writing=False)
        data = os.read(descriptor, READ_BYTES)
        if not data:
            return
        yield data


@contextmanager
def _raw_terminal() -> Iterator[bool]:
    """Raw mode while the block runs; False, and nothing done, where input is no terminal."""
    descriptor = sys.__stdin__.fileno() if sys.__stdin__ else 0
    if not os.isatty(descriptor):
        yield False
        return
    before = termios.tcgetattr(descriptor)
    try:
        tty.setraw(descriptor, termios.TCSADRAIN)
        yield True
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def _say(text: str) -> None:
    os.write(2, f"\r\x1b[2m{text}\x1b[0m\r\n".encode())


class _Output:
    """Standard output that never blocks the event loop, however slow its reader is."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._own = -1
        if os.isatty(descriptor):
            # Opened anew: non-blocking mode belongs to the open file, which the shell shares.
            with suppress(OSError):
                self._own = os.open(
                    os.ttyname(descriptor),
                    os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC,
                )

    async def write(self, data: bytes) -> None:
        """Write all of `data`."""
        descriptor = self._own if self._own >= 0 else self.descriptor
        view = memoryview(data)
        while view:
            await _ready(descriptor, for_writing=True)
            with suppress(BlockingIOError):
                view = view[os.write(descriptor, view[:PIPE_WRITE_BYTES]) :]

    def close(self) -> None:
        if self._own >= 0:
            os.close(self._own)
            self._own = -1


async def _ready(descriptor: int, *, for_writing: bool) -> None:
    """Wait until reading or writing will not block."""
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    add = loop.add_writer if for_writing else loop.add_reader
    remove = loop.remove_writer if for_writing else loop.remove_reader
    try:
        add(descriptor, lambda: None if ready.done() else ready.set_result(None))
    except PermissionError:
        return  # a regular file is always ready
    try:
        await ready
    finally:
        remove(descriptor)
