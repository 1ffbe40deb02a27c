"""Kernel samepage merging of this machine: its state, what it saves and costs, on and off."""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from vmtui.errors import OperationError, RefusedError, UnsupportedError

ROOT = Path("/sys/kernel/mm/ksm")

WARNING = (
    "Equal pages of different VMs become one. A guest can tell by the time of a write whether "
    "another has a page: leave it off where guests don't trust each other."
)

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Switch(IntEnum):
    """What the kernel is told (Documentation/admin-guide/mm/ksm.rst, `run`)."""

    OFF = 0  # what is shared stays so
    ON = 1
    UNMERGE = 2  # off, and each gets its own pages again


@dataclass(frozen=True, slots=True)
class KsmState:
    """What there is now. None: this kernel does not tell."""

    running: bool
    shared_bytes: int  # kept once
    saved_bytes: int  # that would be needed beside
    profit_bytes: int | None = None  # what is saved less what the bookkeeping takes
    full_scans: int | None = None
    pages_to_scan: int | None = None  # each time it wakes
    sleep_ms: int | None = None  # between
    switchable: bool = True  # by this user

    @property
    def text(self) -> str:
        """In a word."""
        return "on" if self.running else "off"


def read(root: Path = ROOT) -> KsmState:
    """What the kernel tells. Raises UnsupportedError without KSM."""
    running, shared, sharing = (
        _number(root / name) for name in ("run", "pages_shared", "pages_sharing")
    )
    if running is None or shared is None or sharing is None:
        raise UnsupportedError("this kernel has no KSM", why=f"there is no {root / 'run'}")
    return KsmState(
        running == Switch.ON,
        shared * _PAGE_BYTES,
        sharing * _PAGE_BYTES,
        _number(root / "general_profit"),  # since kernel 6.1
        _number(root / "full_scans"),
        _number(root / "pages_to_scan"),
        _number(root / "sleep_millisecs"),
        os.access(root / "run", os.W_OK),
    )


def switch(to: Switch, root: Path = ROOT) -> None:
    """Turn it on or off. Raises UnsupportedError, RefusedError with the command for root.

    UNMERGE takes as much memory as was saved, and fails where there is not that much.
    """
    read(root)
    path = root / "run"
    try:
        path.write_text(f"{to.value}\n", "ascii")
    except PermissionError as error:
        raise RefusedError(
            f"KSM can't be turned {'on' if to is Switch.ON else 'off'}",
            why="only root may do that",
            hint=f"As root: {command(to, root)}",
        ) from error
    except OSError as error:
        raise OperationError(f"{path} can't be written", why=error.strerror or "") from error


def command(to: Switch, root: Path = ROOT) -> str:
    """What does the same in a shell of root."""
    return f"echo {to.value} > {root / 'run'}"


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text("ascii"))
    except (OSError, ValueError):
        return None
