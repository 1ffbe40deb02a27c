"""The parameters of a control sequence, as numbers."""

from __future__ import annotations

_MOST = 32
_DIGITS = 5


def numbers(parameters: str) -> list[int]:
    """At most as many, and as large, as anyone needs."""
    parts = parameters.split(";", _MOST)[:_MOST]
    return [int(part[:_DIGITS]) for part in parts if part.isdecimal()]


def number(parameters: str, default: int) -> int:
    """The first; 0 is the default too."""
    first = parameters.partition(";")[0][:_DIGITS]
    return (int(first) if first.isdecimal() else 0) or default
