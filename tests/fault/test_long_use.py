"""Used for long: what is kept does not grow. A whole day of it is a benchmark, `day_of_samples`."""

from __future__ import annotations

import gc
from collections import Counter

from benchmarks.day_of_samples import CHANGE_SAMPLES, Day

SAMPLES = 1000


KEEPING = {"dict", "list", "set", "tuple", "deque", "Task", "Future", "TimerHandle", "Event"}
"""What things are kept in; others come and go with the interpreter's own caches and log records."""


def objects() -> Counter[str]:
    gc.collect()
    kinds = (type(one) for one in gc.get_objects())
    return Counter(
        kind.__name__
        for kind in kinds
        if kind.__name__ in KEEPING or str(kind.__module__).startswith("vmtui")
    )


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
