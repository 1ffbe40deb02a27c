"""What a benchmark ends with, and the table of all of them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Result:
    """A measured ratio to a peer or a limit, and the most that it may be."""

    name: str
    ratio: float
    bar: float

    @property
    def ok(self) -> bool:
        """Whether the bar is met."""
        return self.ratio <= self.bar

    @property
    def verdict(self) -> str:
        """Whether it is met, or by how much not."""
        if self.ok:
            return "met"
        if not self.bar:
            return "missed: there must be none"
        return f"missed by {math.ceil(100 * (self.ratio / self.bar - 1))} %"


@dataclass(frozen=True, slots=True)
class Broken:
    """A benchmark that came to no result."""

    name: str
    reason: str


def table(results: Sequence[Result | Broken]) -> Iterator[str]:
    """A line for each bar. The least that is missed counts as 1 %."""
    width = max(len("bar of"), *(len(result.name) for result in results))
    yield f"{'bar of':{width}}  measured   bar"
    for result in results:
        match result:
            case Result(name, ratio, bar):
                yield f"{name:{width}}  {ratio:8.3f}  {bar:4.2f}  {result.verdict}"
            case Broken(name, reason):
                yield f"{name:{width}}  {'–':>8}  {'–':>4}  not measured: {reason}"
