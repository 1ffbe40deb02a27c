"""How far a download is, how fast it is, and how long it will take, in words."""

from __future__ import annotations

import time
from collections import deque

from vmtui.progress import Progress, ProgressSink
from vmtui.units import GIB, duration, size

STAGE = "image"
_TOLD_S = 0.1
_PACE_S = 5.0
"""The speed is that of so long."""


class Meter:
    """Tells how far a download is, how fast and how long it will take, a few times a second."""

    def __init__(self, have_bytes: int, total_bytes: int | None, progress: ProgressSink) -> None:
        self.have_bytes = have_bytes
        self._total_bytes = total_bytes
        self._progress = progress
        self._seen = deque([(time.monotonic(), have_bytes)])

    def tell(self, have_bytes: int, *, last: bool = False) -> None:
        """Say so, unless it was said just now."""
        now_s = time.monotonic()
        if now_s - self._seen[-1][0] < _TOLD_S and not last:
            return
        self._seen.append((now_s, have_bytes))
        while now_s - self._seen[0][0] > _PACE_S and len(self._seen) > 2:
            self._seen.popleft()
        then_s, then_bytes = self._seen[0]
        rate = (have_bytes - then_bytes) / (now_s - then_s) if now_s > then_s else 0.0
        self._progress(told("", have_bytes, self._total_bytes, rate))


def told(lead: str, have_bytes: int, total_bytes: int | None, rate: float = 0.0) -> Progress:
    """How far a download is, in words such as `312 MiB of 445 MiB · 23 MiB/s · 6 s left`."""
    text = lead + _amount(have_bytes)
    if total_bytes:
        text += f" of {_amount(total_bytes)}"
    if rate > 0:
        text += f" · {_amount(rate)}/s"
        if total_bytes and total_bytes > have_bytes:
            text += f" · {duration((total_bytes - have_bytes) / rate)} left"
    return Progress(text, have_bytes / total_bytes if total_bytes else None, STAGE)


def _amount(count_bytes: float) -> str:
    return size(count_bytes, digits=0 if count_bytes < GIB else 1)
