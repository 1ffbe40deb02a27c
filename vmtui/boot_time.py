"""Time since this boot, which nobody sets: what uptimes are counted by."""

from __future__ import annotations

import time

_BEGAN_UNIX_S = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
"""When this boot began, by what the wall clock said when this program started."""


def unix_s() -> float:
    """Unix time that does not follow when the wall clock is set."""
    return unix_at_s(time.clock_gettime(time.CLOCK_BOOTTIME))


def unix_at_s(since_boot_s: float) -> float:
    """The same of another moment of this boot."""
    return _BEGAN_UNIX_S + since_boot_s
