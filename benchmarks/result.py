"""What a benchmark ends with."""

from __future__ import annotations

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
