"""Sizes, durations and outside text as people read and write them."""

from __future__ import annotations

import re
import unicodedata

KIB = 1024
MIB = 1024**2
GIB = 1024**3
TIB = 1024**4

_SIZE = re.compile(r"\s*(\d+(?:[.,]\d+)?)\s*([KMGTP]?)(i?B?)\s*", re.IGNORECASE)
_FACTORS = {"K": KIB, "M": MIB, "G": GIB, "T": TIB, "P": 1024**5}


def parse_size_bytes(text: str) -> int:
    """The bytes of `text`, such as `512M`, `1.5G` or `2GiB`; powers of 1024.

    A bare number is refused rather than guessed. Raises ValueError with the reason.
    """
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError(f"{plain(text)!r} is not a size; write it like 512M or 1.5G")
    number, unit, _ = match.groups()
    if not unit:
        raise ValueError(f"{plain(text)!r} has no unit; write {number}M or {number}G")
    size = float(number.replace(",", ".")) * _FACTORS[unit.upper()]
    if size < 1:
        raise ValueError("a size must be more than 0")
    if size >= 2**63:
        raise ValueError(f"{plain(text)!r} is more than any machine holds")
    return int(size)


def whole_number(text: str | None) -> int | None:
    """The number that ASCII digits say; None for all else, and beyond what 64 bits hold."""
    text = (text or "").strip()
    # Python itself refuses thousands of digits, by a ValueError.
    if not (text.isascii() and text.isdecimal() and len(text) < 20):
        return None
    number = int(text)
    return number if number < 2**63 else None


def size(size_bytes: float | None, *, digits: int = 1) -> str:
    """`size_bytes` in the largest binary unit that keeps it at 1 or more; None is an en dash."""
    if size_bytes is None:
        return "–"
    value = float(size_bytes)
    for unit in ("B", "KiB", "MiB", "GiB"):
        # A value that would round up to 1024 belongs to the next unit.
        if abs(value) < 1024 - 0.5 / 10**digits:
            return f"{_number(value, 0 if unit == 'B' else digits)} {unit}"
        value /= 1024
    return f"{_number(value, digits)} TiB"


def _number(value: float, digits: int) -> str:
    text = f"{value:.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def duration(duration_s: float | None) -> str:
    """A time span in its two largest units: `42 s`, `3 min 05 s`, `2 h 10 min`, `4 d 3 h`."""
    if duration_s is None:
        return "–"
    total = max(0, int(duration_s))
    if total < 60:
        return f"{total} s"
    if total < 3600:
        return f"{total // 60} min {total % 60:02} s"
    if total < 86400:
        return f"{total // 3600} h {total % 3600 // 60:02} min"
    return f"{total // 86400} d {total % 86400 // 3600} h"


def percent(value: float | None) -> str:
    """A percentage with one digit behind the point; None is an en dash."""
    return "–" if value is None else f"{value:.1f}"


# CSI and OSC (and other string) sequences, then any other two-character escape.
_ESCAPES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[ -/]*[0-~]?"
)


def plain(text: str, *, keep_lines: bool = False) -> str:
    """`text` from outside with nothing in it that a terminal would obey.

    Escape sequences go; other control and direction-changing characters become U+FFFD; line
    breaks and tabs become a space, or stay with `keep_lines`.
    """
    if text.isascii() and text.isprintable():
        return text
    text = _ESCAPES.sub("", text).replace("\r\n", "\n")
    shown: list[str] = []
    for character in text:
        if character in "\n\t":
            shown.append(character if keep_lines else " ")
        elif unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp"):
            shown.append("\ufffd" if character != "\r" else " ")
        else:
            shown.append(character)
    return "".join(shown)


def count(value: float | None) -> str:
    """A number in four characters or fewer of precision: `0`, `0.4`, `12`, `1.2k`, `3.4M`."""
    if value is None:
        return "–"
    if abs(value) < 10:
        return _number(value, 1)
    for unit in ("", "k", "M"):
        if abs(value) < 999.5:
            return f"{value:.1f}{unit}" if unit and abs(value) < 99.95 else f"{value:.0f}{unit}"
        value /= 1000
    return f"{value:.1f}G"


def bytes_per_s(value: float | None) -> str:
    """A rate in decimal units, as disks and networks are sold: `0`, `12 kB/s`, `3.4 MB/s`."""
    if value is None:
        return "–"
    if abs(value) < 0.5:
        return "0"
    for unit in ("B", "kB", "MB"):
        if abs(value) < 999.5:
            digits = 0 if unit == "B" or abs(value) >= 99.95 else 1
            return f"{_number(value, digits)} {unit}/s"
        value /= 1000
    return f"{_number(value, 1)} GB/s"


def milliseconds(value: float | None) -> str:
    """A latency in ms with the digits that mean something: `0.04`, `0.8`, `12`, `340`."""
    if value is None:
        return "–"
    if abs(value) < 0.095:
        return f"{value:.2f}"
    return f"{value:.1f}" if abs(value) < 9.95 else f"{value:.0f}"
