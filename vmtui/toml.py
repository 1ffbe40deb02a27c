"""TOML that came from outside: read, or refused with the reason."""

from __future__ import annotations

import tomllib
from typing import Any


class TomlError(ValueError):
    """Why a text is no TOML, with line and column where that can be told."""


def tables(text: str) -> dict[str, Any]:
    """What `text` says. Raises TomlError."""
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise TomlError("it is nested too deeply") from error
    except ValueError as error:  # TOML's own, and Python's for a number of thousands of digits
        raise TomlError(str(error)) from error
