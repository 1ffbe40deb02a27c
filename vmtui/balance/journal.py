"""The log of automatic balance: what was decided and why, in a file of bounded size."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from vmtui.balance.moves import Decision, Move
from vmtui.files import append, not_writable
from vmtui.units import MIB, plain, size

LIMIT_BYTES = 1 * MIB
"""Then it begins anew; the one before is kept as `balance.log.1`."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A decision, when and where it was made, and why it came to nothing if it did."""

    at_s: float  # Unix time
    connection: str
    decision: Decision
    failure: str = ""

    def __str__(self) -> str:
        """One line, without its time."""
        decision = self.decision
        step = f"{size(decision.from_bytes)}"
        if decision.move is not Move.LEAVE:
            step += f" → {size(decision.target_bytes)}"
        failed = f" (failed: {self.failure})" if self.failure else ""
        return plain(
            f"{self.connection} {decision.name}: {decision.move.value} {step}, "
            f"because {decision.reason}{failed}"
        )


def default_path() -> Path:
    """Where the log is."""
    return platformdirs.user_state_path("vmtui") / "balance.log"


def write(path: Path, entries: list[Entry]) -> None:
    """Append the entries; nobody else can read them. Blocks. Raises OperationError."""
    lines = "".join(f"{_stamp(entry.at_s)} {entry}\n" for entry in entries)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if path.exists() and path.stat().st_size > LIMIT_BYTES:
            path.replace(path.with_name(f"{path.name}.1"))
        append(path, lines.encode())
    except OSError as error:
        raise not_writable(path.parent, error) from error


def _stamp(at_s: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(at_s))
