"""How QEMU writes an option's value."""

from __future__ import annotations

from pathlib import Path


def options(first: str, **rest: str) -> str:
    """`first,key=value,…`; values with commas have to be `escaped`."""
    return ",".join([first, *(f"{key}={value}" for key, value in rest.items())])


def escaped(value: str | Path) -> str:
    """A comma ends an option's value unless it is doubled."""
    return str(value).replace(",", ",,")
