"""SGR parameters as the engine understands them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

_DECORATIONS = {"4": "24", "7": "27", "9": "29"}


@lru_cache(maxsize=4096)
def understood(parameters: str) -> tuple[str, bool | None]:
    """The parameters that the engine should get, and whether what is printed and what is erased
    look different from here on; None if that is as before."""
    kept: list[str] = []
    decorated: bool | None = None
    codes = iter(parameters.split(";"))
    for code in codes:
        head, _, parts = code.partition(":")
        head = head.lstrip("0") or "0"
        if head in ("38", "48", "58"):
            colour = _colour(parts.split(":")) if parts else _legacy_colour(codes)
            if colour and head != "58":
                kept.append(f"{head};{colour}")
            continue
        if head == "4" and parts:
            head = "24" if parts.startswith("0") else "4"
        elif head == "21":  # double underline; the engine takes it for "not bold"
            head = "4"
        elif head == "6":
            head = "5"
        kept.append(head)
        if head in _DECORATIONS:
            decorated = True
        elif head == "0":
            decorated = False
    return ";".join(kept), decorated


def _colour(parts: list[str]) -> str:
    """5:N, 2:R:G:B or 2:SPACE:R:G:B."""
    if parts[0] == "5" and len(parts) == 2:
        return _bytes("5", parts[1:])
    if parts[0] == "2" and len(parts) >= 4:
        return _bytes("2", parts[2:5] if len(parts) > 4 else parts[1:4])
    return ""


def _legacy_colour(codes: Iterator[str]) -> str:
    """The same between semicolons, taken from those that follow."""
    kind = next(codes, "")
    count = {"5": 1, "2": 3}.get(kind, 0)
    return _bytes(kind, [next(codes, "") for _ in range(count)]) if count else ""


def _bytes(kind: str, values: list[str]) -> str:
    if all(value.isdecimal() and int(value) < 256 for value in values if value):
        return ";".join([kind, *(value or "0" for value in values)])
    return ""
