"""Ending on a signal: politely if that works, else at once; the terminal is put back either way."""

from __future__ import annotations

import os
import signal
import sys
import termios
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

GRACE_S = 3.0
"""How long leaving politely may take: on a terminal that is gone it never ends."""

SIGNALS = (signal.SIGTERM, signal.SIGHUP)

# Off: alternate screen, mouse, paste brackets, focus reports, Kitty's keys; on: the cursor.
_PUT_BACK = (
    b"\x1b[?1049l\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?1015l\x1b[?2004l\x1b[?1004l"
    b"\x1b[<u\x1b[?25h\x1b[0m"
)


class Ending:
    """What to do when a signal comes; `received` is the signal that came."""

    def __init__(self) -> None:
        self.politely: Callable[[], object] = lambda: None
        self.received = 0


@contextmanager
def ending_on_signals() -> Iterator[Ending]:
    """Catch SIGTERM and SIGHUP in the block, also where they were ignored: a vmtui that misses
    the end of its terminal would go on for ever.
    """
    ending = Ending()
    terminal = _settings()

    def end(number: int, _: FrameType | None) -> None:
        if not ending.received:
            ending.received = number
            signal.setitimer(signal.ITIMER_REAL, GRACE_S)
            ending.politely()

    def end_now(_: int, __: FrameType | None) -> None:
        # The event loop may hang in a write to the terminal, so nothing is asked of it.
        with suppress(OSError, termios.error):
            if terminal is not None:
                termios.tcsetattr(0, termios.TCSANOW, terminal)
            os.set_blocking(1, False)
            os.write(1, _PUT_BACK)
        os._exit(128 + ending.received)

    before = {number: signal.signal(number, end) for number in SIGNALS}
    before[signal.SIGALRM] = signal.signal(signal.SIGALRM, end_now)
    try:
        yield ending
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)


def _settings() -> list[int | list[bytes | int]] | None:
    with suppress(OSError, termios.error, ValueError):
        return termios.tcgetattr(sys.stdin.fileno())
    return None
