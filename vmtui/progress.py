"""How far a long operation is, for whoever watches it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a long operation is: words, and a fraction 0..1 where it is known.

    `stage` names a step of making a VM: image, disk, seed, firmware, TPM, start, boot, login, ssh.
    """

    text: str
    fraction: float | None = None
    stage: str = ""


ProgressSink = Callable[[Progress], None]


def no_progress(_: Progress) -> None:
    """A sink for callers who do not watch."""
