"""The time that the interface shows; replaced as a whole where it has to stand still."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from vmtui import boot_time


@dataclass(frozen=True, slots=True)
class Clock:
    """Unix seconds for uptimes, monotonic seconds for ages, and the local time for people."""

    unix_s: Callable[[], float] = boot_time.unix_s
    monotonic_s: Callable[[], float] = time.monotonic
    local: Callable[[], datetime] = datetime.now
    note: Callable[[], str] = lambda: ""
    """What is shown in the place of the local time, such as how far a recording is."""


def short_duration(duration_s: float | None) -> str:
    """A time span in at most ten cells that changes once a minute: `42 s`, `59 min`, `3 h 05 m`."""
    if duration_s is None:
        return "–"
    total = max(0, int(duration_s))
    if total < 60:
        return f"{total} s"
    if total < 3600:
        return f"{total // 60} min"
    if total < 86400:
        return f"{total // 3600} h {total % 3600 // 60:02} m"
    return f"{total // 86400} d {total % 86400 // 3600:02} h"
