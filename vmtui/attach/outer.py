"""The terminal that the user sits at: raw while attached, and given back whatever happens."""

from __future__ import annotations

import os
import re
import signal
import termios
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from vmtui.attach.streams import Output

GIVE_BACK_LIMIT_S = 1.0
"""How long a terminal that takes no more output may hold up its own return."""

# What a guest may have left on. The first byte ends a sequence that was cut off; then: origin mode,
# scroll region, insert mode, mouse, focus, paste brackets, held-back drawing, exact keys off;
# wrapping and cursor on; colours, character sets, cursor and keypad keys as usual.
_RESET = (
    b"\x18\x1b7\x1b[?6l\x1b[r\x1b8\x1b[4l"
    b"\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1005l\x1b[?1006l\x1b[?1015l\x1b[?1004l"
    b"\x1b[?2004l\x1b[?2026l\x1b[>4m\x1b[<u"
    b"\x1b[?7h\x1b[?25h\x1b[0m\x1b(B\x1b)B\x0f\x1b[?1l\x1b>"
)
_LEAVE_ALTERNATE = b"\x1b[?1049l"
_ALTERNATE = re.compile(rb"\x1b\[\?(?:1049|1047|47)([hl])")
_PRIVATE_MODE = b"\x1b[?"
_TAIL_BYTES = 16

Handler = Callable[[int, FrameType | None], object]


class OuterTerminal:
    """Raw between `take` and `give_back`; `printed` is told what a guest is about to write."""

    def __init__(self, descriptor: int, output: Output) -> None:
        self._descriptor = descriptor
        self._output = output
        self._before: list[int | list[bytes | int]] | None = None
        self._alternate = False
        self._tail = b""

    def take(self) -> None:
        """Every key is the guest's, and every byte of its output goes through."""
        self._before = termios.tcgetattr(self._descriptor)
        # At once, never after output has drained: that could be never.
        tty.setraw(self._descriptor, termios.TCSANOW)
        if not self._output.is_terminal:
            # What is printed goes elsewhere; what others print here must look as always.
            settings = termios.tcgetattr(self._descriptor)
            settings[1] = self._before[1]
            termios.tcsetattr(self._descriptor, termios.TCSANOW, settings)

    def give_back(self) -> None:
        """As it was before `take`. Idempotent."""
        if self._before is None:
            return
        before, self._before = self._before, None
        if self._output.is_terminal:
            reset = (_LEAVE_ALTERNATE if self._alternate else b"") + _RESET + b"\r\n"
            self._output.write_within(reset, GIVE_BACK_LIMIT_S)
        with suppress(OSError, termios.error):  # it may be gone
            termios.tcsetattr(self._descriptor, termios.TCSANOW, before)

    def printed(self, data: bytes) -> None:
        """Keep track of which of its two screens is shown."""
        seen = self._tail + data
        # Looked for first because it is so much quicker than the pattern.
        if _PRIVATE_MODE in seen and (switches := _ALTERNATE.findall(seen)):
            self._alternate = switches[-1] == b"h"
        self._tail = seen[-_TAIL_BYTES:]


@contextmanager
def taken(terminal: OuterTerminal, resized: Callable[[], object]) -> Iterator[None]:
    """The terminal taken in the block, and given back while the process is stopped.

    `resized` is called in a signal handler.
    """

    def stop(_: int, __: FrameType | None) -> None:
        terminal.give_back()
        os.kill(os.getpid(), signal.SIGSTOP)

    def go_on(_: int, __: FrameType | None) -> None:
        # Also after a SIGSTOP, which can't be caught: the shell has put the settings back.
        terminal.give_back()
        terminal.take()
        resized()

    handlers: dict[signal.Signals, Handler] = {
        signal.SIGTSTP: stop,
        signal.SIGCONT: go_on,
        signal.SIGWINCH: lambda _, __: resized(),
    }
    before = {number: signal.getsignal(number) for number in handlers}
    try:
        terminal.take()
        for number, handler in handlers.items():
            signal.signal(number, handler)
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
        terminal.give_back()
