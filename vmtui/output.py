"""What commands print: tables for people, JSON for programs; outside text made harmless."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from vmtui.units import plain


def print_json(content: object) -> None:
    """One JSON document, indented."""
    text = msgspec.json.format(msgspec.json.encode(content), indent=2)
    sys.stdout.write(text.decode() + "\n")


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns as wide as their content, for a fixed-width font."""
    shown = [[plain(cell) for cell in row] for row in rows]
    widths = [max(len(cell) for cell in column) for column in zip(header, *shown, strict=True)]
    for row in (header, *shown):
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print(line.rstrip())


def print_facts(facts: Mapping[str, Any], indent: str = "") -> None:
    """One `key: value` a line, nested ones indented."""
    for key, value in facts.items():
        if isinstance(value, Mapping):
            print(f"{indent}{key}:")
            print_facts(value, indent + "  ")
        elif isinstance(value, list | tuple) and value and isinstance(value[0], Mapping):
            for item in value:
                print(f"{indent}{key}:")
                print_facts(item, indent + "  ")
        else:
            print(f"{indent}{key}: {_shown(value)}")


def _shown(value: object) -> str:
    if value is None or value in ("", ()) or value == []:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(plain(str(item)) for item in value)
    return plain(str(value))
