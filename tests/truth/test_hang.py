"""One QEMU of three is stopped dead: its row says so, and nothing else is held up."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

import pytest

from tests.truth.kernel import Lateness
from tests.truth.rigs import Rig
from tests.truth.watched import BEAT_S, Watched
from vmtui.views import VMView

pytestmark = [pytest.mark.slow, pytest.mark.alone]

STALLED_WITHIN_BEATS = 3
LONGEST_BEAT_S = 3.0
"""Waiting for the one that hangs would take at least this; a busy machine takes less."""

HELD_S = LONGEST_BEAT_S + 1


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """It does nothing at all while inside."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def test_a_qemu_that_hangs_costs_the_others_nothing(rig: Rig, no_stalls: None) -> None:
    vms = await asyncio.gather(*(rig.started() for _ in range(3)))
    pid = await rig.process(vms[0])
    async with Watched.over(rig, *vms) as [hung, *others], Lateness.measured() as lateness:
        for one in (hung, *others):
            await one.until(lambda row: row.rates is not None and row.rates.cpu is not None)
        began_s = time.monotonic()
        with stopped(pid):
            await hung.until(lambda row: bool(row.stalled), limit_s=30)
            told_s = time.monotonic() - began_s
            last = hung.last
            for one in others:
                await one.until(lambda row: sampled_at_s(row) >= began_s + HELD_S)
            # It keeps its last figures and their age, and its neighbours have none of its trouble.
            assert hung.last.stalled
            assert hung.last.counters is last.counters is not None
            assert sampled_at_s(hung.last) <= began_s + lateness.worst_s
            assert not any(row.stalled for one in others for row in one.rows)
        ended_s = time.monotonic()
        await hung.until(lambda row: not row.stalled and sampled_at_s(row) > ended_s)
        for one in others:
            await one.until(lambda row: sampled_at_s(row) > ended_s)
    # What the machine withheld from this process is not vmtui's doing.
    slack_s = lateness.worst_s
    longest_s = max(longest_beat_s(one, began_s) for one in others)
    assert longest_s <= LONGEST_BEAT_S + slack_s
    assert told_s <= STALLED_WITHIN_BEATS * max(BEAT_S, longest_s) + slack_s


def longest_beat_s(watched: Watched, since_s: float) -> float:
    """The longest time without a new sample."""
    beats_s = sorted({sampled_at_s(row) for row in watched.rows} | {since_s})
    return max(now - before for before, now in pairwise(beats_s) if now > since_s)


def sampled_at_s(row: VMView) -> float:
    return row.sampled_at_s or 0.0
