"""A change of a domain being worked out: both its definitions with the changes in them."""

from __future__ import annotations

from dataclasses import dataclass, field
from difflib import unified_diff

from vmtui.backends.libvirt.configuring.checks import without_passwords
from vmtui.backends.libvirt.configuring.elements import Element, text_of
from vmtui.backends.libvirt.configuring.situation import Situation
from vmtui.hardware.changes import Change, ChangePlan, Step, When


@dataclass(frozen=True, slots=True)
class Volume:
    """A disk that is made for the change."""

    name: str
    size_bytes: int


@dataclass
class Draft:
    """A domain's definitions, edited; `now` only where it runs."""

    here: Situation
    next: Element
    now: Element | None
    steps: list[Step] = field(default_factory=list)
    resolved: list[Change] = field(default_factory=list)  # with paths and addresses
    volumes: list[Volume] = field(default_factory=list)

    @property
    def stores(self) -> bool:
        """Whether another definition is to be stored."""
        return text_of(self.next) != text_of(self.here.next)

    def plan(self, when: When, *, text: str = "") -> ChangePlan:
        """It as it is shown; `text`: what somebody wrote, to the letter."""
        here = self.here
        old = here.xml if text else text_of(here.next)
        lines = unified_diff(
            without_passwords(old).splitlines(),
            without_passwords(text or text_of(self.next)).splitlines(),
            f"{here.name}.xml as it is",
            f"{here.name}.xml as it would be",
            lineterm="",
        )
        diff = "".join(f"{line}\n" for line in lines)
        return ChangePlan(here.vm, here.name, when, tuple(self.steps), diff, here.base, text)
