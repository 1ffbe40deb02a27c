"""What surrounds a VM's hardware: its TPM's state, its firmware's files, how it is isolated."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum
from pathlib import Path

from vmtui.hardware.changes import Change


@dataclass(frozen=True, slots=True)
class Balloon:
    """Memory of a running VM: what it can have, was asked to leave itself, and has."""

    ceiling_bytes: int
    actual_bytes: int
    target_bytes: int | None = None  # the last that was asked for, as far as it is known
    answers: bool | None = None  # whether the guest has a driver; None: not known


class TpmHealth(StrEnum):
    """How a TPM is with which nothing is wrong, in words."""

    RUNNING = "running"
    OFF = "off"
    NEW = "off; its state is made at the first start"
    AWAITED = "not there yet: it comes when the VM is started anew"
    REMOVED = "taken out; its state is kept for when it comes back"
    ELSEWHERE = "not told: its swtpm runs on another machine"


@dataclass(frozen=True, slots=True)
class TpmFacts:
    """A software TPM and its state."""

    model: str  # `crb` or `tis`
    version: str
    banks: tuple[str, ...]  # of PCRs that are active, such as `sha256`; empty: not known
    state: Path | None  # the folder, where it can be told
    size_bytes: int | None
    encrypted: bool | None
    health: str  # one of `TpmHealth`, or what is wrong
    log: str = ""  # the end of swtpm's own


@dataclass(frozen=True, slots=True)
class FirmwareFacts:
    """The files that a VM's firmware is, and where its variables began."""

    code: Path | None
    variables: Path | None
    template: Path | None
    secure_boot: bool
    enrolled_keys: bool | None
    descriptor: str = ""  # QEMU's, by its file name
    size_bytes: int | None = None  # of the variables


class Mark(Enum):
    """How well something is isolated."""

    GOOD = "good"
    OPEN = "open"  # as most have it, and it could be tighter
    WEAK = "weak"
    UNKNOWN = "not known"


@dataclass(frozen=True, slots=True)
class Barrier:
    """One thing between a guest and all else."""

    topic: str  # such as `process user` or `page sharing`
    value: str
    mark: Mark
    advice: str = ""  # what would tighten it
    changes: tuple[Change, ...] = ()  # the same as changes; `restrict` makes all of them
