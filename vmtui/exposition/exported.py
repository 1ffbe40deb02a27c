"""One metric of Prometheus: its name, and how its values are read off a thing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from vmtui.units import plain

T = TypeVar("T")

Values = Iterable[tuple[tuple[str, ...], float | None]]
"""Values of one metric of one thing, by its own labels."""


@dataclass(frozen=True, slots=True)
class Exported(Generic[T]):
    """One metric. A name that ends in `_total` is a counter, any other a gauge."""

    name: str
    help: str
    values: Callable[[T], Values]
    labels: tuple[str, ...] = ()

    def family(self, common: tuple[str, ...]) -> Metric:
        """It, empty, under its full name."""
        kind = CounterMetricFamily if self.name.endswith("_total") else GaugeMetricFamily
        return kind(self.name, self.help, labels=(*common, *self.labels))


def just(get: Callable[[T], float | None]) -> Callable[[T], Values]:
    """The one value that a thing has."""
    return lambda thing: (((), get(thing)),)


def scaled(value: float | None, divisor: float) -> float | None:
    """In base units."""
    return None if value is None else value / divisor


def each(things: str, key: str, name: str, divisor: float = 1) -> Callable[[Any], Values]:
    """A figure of each disk or card, by its name."""

    def values(holder: Any) -> Values:
        for thing in getattr(holder, things):
            yield (plain(getattr(thing, key)),), scaled(getattr(thing, name), divisor)

    return values
