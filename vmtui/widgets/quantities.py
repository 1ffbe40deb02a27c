"""Two amounts that are read together, in one unit."""

from __future__ import annotations

from vmtui.units import GIB, KIB, MIB, TIB

_SIZES = ((TIB, "TiB"), (GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB"), (1, "B"))
_RATES = ((1e9, "GB/s"), (1e6, "MB/s"), (1e3, "kB/s"), (1, "B/s"))


def sizes(first: float, second: float) -> tuple[str, str, str]:
    """Both sizes, and the unit that suits the larger."""
    factor, unit = next((f, u) for f, u in _SIZES if max(first, second) >= f or f == 1)
    return _number(first / factor), _number(second / factor), unit


def rates(first: float, second: float) -> tuple[str, str, str]:
    """Both rates, and the unit that suits the larger."""
    factor, unit = next((f, u) for f, u in _RATES if max(first, second) >= f or f == 1)
    return _number(first / factor), _number(second / factor), unit


def _number(value: float) -> str:
    if value == 0:
        return "0"
    if value < 0.095:
        return f"{value:.2f}"
    return f"{value:.1f}" if value < 99.95 else f"{value:.0f}"
