"""The settings of libvirt's QEMU driver, `qemu.conf`, where they can be read."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

# libvirt's own grammar (virconf): strings in single, double or triple quotes, numbers, lists.
_LINE = re.compile(r"^[ \t]*(?P<name>\w+)[ \t]*=[ \t]*(?P<value>\[[^\]]*\]|[^\n]*)", re.MULTILINE)
_COMMENT = re.compile(r"^[ \t]*#[^\n]*$", re.MULTILINE)
_STRING = re.compile(r"\"([^\"]*)\"|'([^']*)'")


@dataclass(frozen=True, slots=True)
class Settings:
    """Those that are said; of all others libvirt has defaults."""

    values: dict[str, str]

    def text(self, name: str) -> str:
        """A string; empty where nothing is said."""
        found = _STRING.match(self.values.get(name, ""))
        return (found[1] or found[2] or "") if found else ""

    def texts(self, name: str) -> tuple[str, ...] | None:
        """A list of strings, or a single one; None where nothing is said."""
        if name not in self.values:
            return None
        return tuple(one or other for one, other in _STRING.findall(self.values[name]))

    def number(self, name: str) -> int | None:
        """A number; None where nothing is said."""
        digits = self.values.get(name, "").partition("#")[0].strip()
        try:
            return int(digits)
        except ValueError:
            return None


def parse(text: str) -> Settings:
    """What a file of settings says; the last word counts."""
    found = _LINE.finditer(_COMMENT.sub("", text))
    return Settings({line["name"]: line["value"].strip() for line in found})


def read(path: Path | None) -> Settings | None:
    """A file that is not there says nothing; None for one that can't be read. Blocks."""
    if path is None:
        return None
    try:
        return parse(path.read_text("utf-8", "replace"))
    except FileNotFoundError:
        return Settings({})
    except OSError:
        return None
