"""The table that `make bench` ends with."""

from __future__ import annotations

import pytest

from benchmarks.result import Broken, Result, table


@pytest.mark.parametrize(
    ("ratio", "bar", "verdict"),
    [
        (1.15, 1.15, "met"),
        (1.1501, 1.15, "missed by 1 %"),
        (0.75, 0.5, "missed by 50 %"),
        (0.0, 0.0, "met"),
        (3.0, 0.0, "missed: there must be none"),
    ],
)
def test_each_bar_is_met_or_missed_by_so_much(ratio: float, bar: float, verdict: str) -> None:
    assert Result("x", ratio, bar).verdict == verdict
    assert Result("x", ratio, bar).ok == (verdict == "met")


def test_what_came_to_nothing_has_its_line_too() -> None:
    lines = list(table([Result("list / 0.3 s", 1.2, 1.0), Broken("tour", "TimeoutError")]))
    assert [line.split("  ")[-1] for line in lines[1:]] == [
        "missed by 20 %",
        "not measured: TimeoutError",
    ]
