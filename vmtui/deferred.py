"""Modules that are imported when something of them is first used: `vmtui list` is waited for."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import Any


class Deferred:
    """Stands for a module until then. For type checkers, import the module itself beside it."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._module: ModuleType | None = None

    def __getattr__(self, name: str) -> Any:
        if self._module is None:
            self._module = import_module(self._name)
        return getattr(self._module, name)


def deferred(package: str, *names: str) -> tuple[Deferred, ...]:
    """Some modules of a package, in that order."""
    return tuple(Deferred(f"{package}.{name}") for name in names)
