"""How QEMU writes an option's value."""

from __future__ import annotations

from pathlib import Path
from typing import Any

Options = dict[str, Any]
"""Of a device or a node, as QMP has them; `driver` is the first."""


def options(first: str, **rest: str) -> str:
    """`first,key=value,…`; values with commas have to be `escaped`."""
    return ",".join([first, *(f"{key}={value}" for key, value in rest.items())])


def written(found: Options) -> str:
    """Options of a device as the command line has them."""
    driver, *rest = found.items()
    return ",".join([driver[1], *(f"{key}={escaped(str(value))}" for key, value in rest)])


def escaped(value: str | Path) -> str:
    """A comma ends an option's value unless it is doubled."""
    return str(value).replace(",", ",,")
