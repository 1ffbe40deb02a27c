"""What a setting of a VM can be, and how that is written."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from vmtui.units import KIB, parse_size_bytes, plain, size

Value = int | bool | str | tuple[str, ...] | None
"""None: not set, so the hypervisor's own default."""

_YES = frozenset({"on", "yes", "true", "1"})
_NO = frozenset({"off", "no", "false", "0"})
UNSET = frozenset({"", "none", "default"})


class Kind(Enum):
    """What a value is."""

    SIZE = "size"  # int, bytes
    COUNT = "number"  # int
    SWITCH = "on or off"  # bool
    CHOICE = "choice"  # str, one of the setting's
    TEXT = "text"  # str
    LIST = "list"  # tuple of str, written with commas


@dataclass(frozen=True, slots=True)
class Form:
    """How values of one setting are written; `least` and `most` bound sizes and counts.

    `choices` are all that there is, of a list: for each of its parts.
    """

    kind: Kind
    choices: tuple[str, ...] = ()
    least: int | None = None
    most: int | None = None
    optional: bool = False  # may be unset

    def parse(self, text: str) -> Value:
        """The value that `text` says. Raises ValueError with the reason."""
        text = text.strip()
        if self.optional and text.lower() in UNSET and text not in self.choices:
            return None
        match self.kind:
            case Kind.SIZE:
                return self._bounded(parse_size_bytes(text), text)
            case Kind.COUNT:
                return self._bounded(_count(text), text)
            case Kind.SWITCH:
                return _switch(text)
            case Kind.LIST:
                parts = tuple(dict.fromkeys(p.strip() for p in text.split(",") if p.strip()))
                return tuple(self._chosen(part) for part in parts)
        return self._chosen(text)

    def _chosen(self, text: str) -> str:
        if self.choices and text not in self.choices:
            raise ValueError(f"{plain(text)!r} is none of: {', '.join(self.choices)}")
        return text

    def _bounded(self, value: int, text: str) -> int:
        if self.least is not None and value < self.least:
            raise ValueError(f"{plain(text)} is less than {self.shown(self.least)}")
        if self.most is not None and value > self.most:
            raise ValueError(f"{plain(text)} is more than {self.shown(self.most)}")
        return value

    def text(self, value: Value) -> str:
        """The value as `parse` reads it."""
        if value is None:
            return ""
        if isinstance(value, bool):
            return "on" if value else "off"
        if isinstance(value, tuple):
            return ",".join(value)
        if self.kind is Kind.SIZE and isinstance(value, int):
            return _size_text(value)
        return str(value)

    @property
    def told(self) -> str:
        """What values there are, in a few words, such as `number from 1 to 64`."""
        text = ", ".join(self.choices) or self.kind.value
        if self.choices and self.kind is Kind.LIST:
            text = f"list of {text}"
        if self.least is not None:
            text += f" from {self.shown(self.least)}"
        if self.most is not None:
            text += f" to {self.shown(self.most)}"
        return f"{text}, or default" if self.optional else text

    def shown(self, value: Value) -> str:
        """The value for people; None is an en dash."""
        if value is None or value in ((), ""):
            return "–"
        if self.kind is Kind.SIZE and isinstance(value, int):
            return size(value, digits=2)
        return plain(self.text(value))


def _count(text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise ValueError(f"{plain(text)!r} is not a whole number")
    return int(text)


def _switch(text: str) -> bool:
    if text.lower() not in _YES | _NO:
        raise ValueError(f"{plain(text)!r} is neither on nor off")
    return text.lower() in _YES


def _size_text(size_bytes: int) -> str:
    """Exact, in the largest unit that keeps it whole."""
    for unit, factor in (("T", KIB**4), ("G", KIB**3), ("M", KIB**2)):
        if size_bytes % factor == 0 and size_bytes:
            return f"{size_bytes // factor}{unit}"
    # A 1024th has ten digits behind the point.
    return f"{size_bytes / KIB:.10f}".rstrip("0").rstrip(".") + "K"
