"""Recorded terminal sessions, as asciicast v2 files in gzip: output, sizes, and marks between."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

RECORDINGS = Path(__file__).parent / "recordings"


@dataclass(frozen=True, slots=True)
class Output:
    """The program printed something."""

    text: str


@dataclass(frozen=True, slots=True)
class Resize:
    """The terminal got another size."""

    columns: int
    rows: int


@dataclass(frozen=True, slots=True)
class Mark:
    """The program waited for input: what is on the screen is whole."""

    label: str


Event = Output | Resize | Mark


@dataclass(frozen=True, slots=True)
class Recording:
    """One session."""

    columns: int
    rows: int
    events: Sequence[Event]

    def save(self, path: Path) -> None:
        """Write it; the same recording gives the same file."""
        lines = [json.dumps({"version": 2, "width": self.columns, "height": self.rows})]
        lines += [json.dumps([0, *_fields(event)], ensure_ascii=False) for event in self.events]
        path.write_bytes(gzip.compress("\n".join(lines).encode("utf-8"), 9, mtime=0))


def _fields(event: Event) -> tuple[str, str]:
    if isinstance(event, Output):
        return "o", event.text
    if isinstance(event, Resize):
        return "r", f"{event.columns}x{event.rows}"
    return "m", event.label


def load(path: Path) -> Recording:
    """Read one."""
    header, *lines = gzip.decompress(path.read_bytes()).decode("utf-8").split("\n")
    size = json.loads(header)
    return Recording(size["width"], size["height"], list(_events(lines)))


def _events(lines: Sequence[str]) -> Iterator[Event]:
    for line in lines:
        _, kind, data = json.loads(line)
        if kind == "o":
            yield Output(data)
        elif kind == "r":
            columns, _, rows = data.partition("x")
            yield Resize(int(columns), int(rows))
        else:
            yield Mark(data)
