"""What is decided for a VM."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from vmtui.model import VMId


class Move(StrEnum):
    """What is decided for a VM. The value is the word of the log."""

    TAKE = "take"
    GIVE = "give"
    LEAVE = "leave"  # it is left alone from now on


@dataclass(frozen=True, slots=True)
class Decision:
    """One VM is asked for `target_bytes`, and why; None: it is not asked for anything."""

    id: VMId
    name: str
    move: Move
    from_bytes: int
    target_bytes: int | None
    reason: str
