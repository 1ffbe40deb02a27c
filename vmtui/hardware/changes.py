"""Changes to a VM: what is asked for, what that would do, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from vmtui.hardware.devices import Device
from vmtui.hardware.tree import Takes
from vmtui.hardware.values import Value
from vmtui.hardware.when import When as When  # noqa: PLC0414 (part of a change)
from vmtui.model import VMId

SEALED = "disk keys sealed in it are lost"
"""What is said of a TPM that goes."""


@dataclass(frozen=True, slots=True)
class Assign:
    """A setting gets a value."""

    key: str
    value: Value


@dataclass(frozen=True, slots=True)
class Attach:
    """A device is added."""

    device: Device


@dataclass(frozen=True, slots=True)
class Detach:
    """A part goes; the files of a disk stay."""

    part: str


Change = Assign | Attach | Detach


@dataclass(frozen=True, slots=True)
class Step:
    """What one change would do: when it takes effect, and what there is to know of it."""

    change: Change
    text: str  # for people, such as `vCPUs: 2 → 4`
    takes: Takes
    note: str = ""
    loses: str = ""  # what is gone for good by it; then the VM's name has to be typed


@dataclass(frozen=True, slots=True)
class ChangePlan:
    """What a list of changes would do, found possible; nothing is changed yet.

    `base` tells which stored definition it was made from: once that is another, the plan is void.
    """

    vm: VMId
    name: str
    when: When
    steps: tuple[Step, ...]
    diff: str  # of the stored definition, unified; "" where that stays
    base: str
    text: str = ""  # the whole definition, where that was edited as text

    @property
    def changes(self) -> tuple[Change, ...]:
        """What was asked for."""
        return tuple(step.change for step in self.steps)

    @property
    def loses(self) -> tuple[str, ...]:
        """All that is gone for good."""
        return tuple(step.loses for step in self.steps if step.loses)


@dataclass(frozen=True, slots=True)
class Done:
    """What a step came to. `reached` is what the guest made of it, where it had to be asked."""

    step: Step
    problem: str = ""  # why it did not take effect live although it was to: it is at next boot
    reached: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a plan; `undo` are the changes that bring back what was."""

    done: tuple[Done, ...]
    undo: tuple[Change, ...] = ()


class Language(StrEnum):
    """What a definition is written in."""

    XML = "xml"
    TOML = "toml"


@dataclass(frozen=True, slots=True)
class DefinitionText:
    """A stored definition as a person edits it; `base` as in ChangePlan."""

    language: Language
    text: str
    base: str
