"""What is known of the guests whose memory is balanced, and of their host, at one moment."""

from __future__ import annotations

from dataclasses import dataclass, field

from vmtui.model import Balance, VMId


@dataclass(frozen=True, slots=True)
class Guest:
    """A VM whose memory may be moved, as of now."""

    id: VMId
    name: str
    ceiling_bytes: int
    actual_bytes: int
    target_bytes: int | None = None  # the last that anybody asked for
    available_bytes: int | None = None  # MemAvailable; None: its figures are not known
    used_bytes: int | None = None  # MemTotal less MemAvailable
    age_s: float = 0.0  # of its figures
    period_s: float = 5.0
    swaps: bool = False
    major_faults_per_s: float = 0.0
    balance: Balance = field(default_factory=Balance)


@dataclass(frozen=True, slots=True)
class HostMemory:
    """The host's memory, as of now. `pressure_percent` is PSI's some of the last 10 s."""

    total_bytes: int
    available_bytes: int
    pressure_percent: float = 0.0
