"""Used for long: what is kept does not grow. A whole day of it is a benchmark, `day_of_samples`."""

from __future__ import annotations

import gc
from collections import Counter

from benchmarks.day_of_samples import CHANGE_SAMPLES, Day

SAMPLES = 1000


def objects() -> Counter[str]:
    gc.collect()
    return Counter(type(one).__name__ for one in gc.get_objects())


async def test_samples_and_vms_that_come_and_go_leave_nothing() -> None:
    day = Day(vms=3)
    await day.fleet.connect()
    await day.live(4 * CHANGE_SAMPLES)
    before = objects()
    await day.live(SAMPLES)
    grown = objects() - before
    await day.fleet.close()
    passed = SAMPLES // CHANGE_SAMPLES  # VMs that came, ran and went
    assert {name: more for name, more in grown.items() if more >= passed} == {}
