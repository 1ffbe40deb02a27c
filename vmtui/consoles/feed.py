"""What a guest printed on its way into the terminal: in bounded pieces, and no piece twice."""

from __future__ import annotations

from collections.abc import Callable

from vmtui.backends.ways_in import Console
from vmtui.consoles.turns import Turns
from vmtui.terminal.emulator import Emulator

PIECE_BYTES = 8 * 1024
"""Emulated at once: well under a millisecond of the event loop."""

TAIL_BYTES = 4096

_LEAVE_ALTERNATE = b"\x1b[?1049l"
# Ends a sequence that was cut off; takes back mouse, focus and paste reports, application keys,
# the scroll region, a hidden cursor, colours and line drawing.
_AS_NEW = (
    b"\x18\x1b[!p\x1b[?9l\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1005l\x1b[?1006l"
    b"\x1b[?1015l\x1b[?1004l\x1b[?2004l\x1b[?1l\x1b[?5l\x1b[?7h\x1b>\x1b[?25h\x1b[0m\x1b(B\x0f"
)


class Feed:
    """Feeds one terminal. `on_output` is told of every piece, `answer` gets what is answered."""

    def __init__(
        self,
        terminal: Emulator,
        turns: Turns,
        *,
        on_output: Callable[[bytes], None],
        answer: Callable[[bytes], None],
    ) -> None:
        self._terminal = terminal
        self._turns = turns
        self._on_output = on_output
        self._answer = answer
        self._tail = b""  # the last of this run of the VM: what is known is found again by it
        self.printed_bytes = 0
        """In this run of the VM."""

    async def all_of(self, console: Console, *, live: bool) -> None:
        """All that the console gives, to its end; `live`: questions are answered."""
        rest = await self._history(console)
        while data := rest or await console.read():
            rest = b""
            await self._pieces(data, live=live)

    async def _history(self, console: Console) -> bytes:
        """Feed what was printed before; gives what came with it and is newer."""
        left = console.history_bytes
        known = self._tail
        past = bytearray()
        while left > 0 and (data := await console.read()):
            older, newer = data[:left], data[left:]
            left -= len(older)
            if known:
                past += older
            else:
                await self._pieces(older, live=False)
            if newer or not left:
                await self._pieces(_behind(bytes(past), known), live=False)
                return newer
        return b""

    async def _pieces(self, data: bytes, *, live: bool) -> None:
        for start in range(0, len(data), PIECE_BYTES):
            piece = data[start : start + PIECE_BYTES]
            async with self._turns.turn(self):
                self._tail = (self._tail + piece)[-TAIL_BYTES:]
                self.printed_bytes += len(piece)
                answer = self._terminal.feed(piece, live=live)
                if answer and live:
                    self._answer(answer)
                self._on_output(piece)

    def typed(self) -> None:
        """Somebody waits for what is printed next."""
        self._turns.typed(self)

    def as_new(self) -> None:
        """The guest starts anew: what programs have set is taken back, what they printed stays."""
        self._terminal.feed(_AS_NEW, live=False)
        if self._terminal.modes.alternate_screen:
            self._terminal.feed(_LEAVE_ALTERNATE, live=False)

    def end_run(self, words: str) -> None:
        """The VM has stopped: a line says so, and what comes next is of another run."""
        if self.printed_bytes:
            self.as_new()
            line = f"\r\n\x1b[2m── {words} ──\x1b[0m\r\n"
            self._terminal.feed(line.encode(), live=False)
        self._tail = b""
        self.printed_bytes = 0


def _behind(past: bytes, known: bytes) -> bytes:
    """What of `past` came after `known`; all, if that is longer ago."""
    # Less of it may be found where more is not: QEMU's file has bytes twice that were sent twice.
    for length in (len(known), 512, 64):
        found = past.rfind(known[-length:]) if known else -1
        if found >= 0:
            return past[found + len(known[-length:]) :]
    return past
