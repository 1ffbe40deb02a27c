"""What of a VM can be configured, and memory by its balloon."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from types import ModuleType
from typing import Any, TypeVar

from vmtui.backends.base import Feature
from vmtui.backends.libvirt import balloons
from vmtui.backends.libvirt.connected import Connected
from vmtui.errors import MissingError, read_only
from vmtui.hardware.around import Balloon
from vmtui.hardware.changes import Change, ChangePlan, DefinitionText, Outcome, When
from vmtui.hardware.settings import PartKind
from vmtui.hardware.tree import Hardware, Part
from vmtui.model import VMId
from vmtui.progress import ProgressSink, no_progress
from vmtui.whole import whole

T = TypeVar("T")

PLAN_TIMEOUT_S = 60.0
"""libvirt may have to probe QEMU first."""


@contextmanager
def needing_lxml() -> Iterator[None]:
    """Around an import of what edits definitions. Raises MissingError."""
    try:
        yield
    except ImportError as error:
        raise MissingError(
            "lxml is not installed",
            why="definitions are edited with it",
            hint="Install it: pip install lxml (Debian, Fedora: python3-lxml).",
        ) from error


def _work() -> ModuleType:
    with needing_lxml():
        from vmtui.backends.libvirt.configuring import work  # noqa: PLC0415 (lxml takes its time)
    return work


def _noted(part: Part, notes: tuple[str, ...]) -> Part:
    """The firmware's part, with what else could guard the memory."""
    return replace(part, notes=part.notes + notes) if part.kind is PartKind.FIRMWARE else part


class Configurable(Connected):
    """`Configures` and `Balloons` of the seam."""

    async def hardware(self, vm: VMId) -> Hardware:
        """Out of both definitions."""
        link, work = self._linked(), _work()
        found: Hardware = await self._apart(
            "look at its hardware", work.hardware, link.places, link.targets, vm
        )
        notes = await link.confidential()
        return replace(found, parts=tuple(_noted(part, notes) for part in found.parts))

    async def plan(self, vm: VMId, changes: Sequence[Change], when: When = When.AUTO) -> ChangePlan:
        """Both definitions edited, and judged by libvirt's own dry run."""
        name, work = await self._name(vm), _work()
        if self._read_only:
            raise read_only(f"changing {name}")
        self._check_may(Feature.CONFIGURE, f"changing {name}", "configure VMs")
        found: ChangePlan = await self._apart(
            f"change {name}", work.plan, self._linked().places, vm, tuple(changes), when
        )
        return found

    async def change(self, plan: ChangePlan, progress: ProgressSink = no_progress) -> Outcome:
        """One at a time for each VM; once it is begun it is seen to its end."""
        name, work = await self._name(plan.vm), _work()
        self._check_may(Feature.CONFIGURE, f"changing {name}", "configure VMs")
        link = self._linked()
        link.changes.check(plan.vm, "change", name)
        task = link.changes.start(
            plan.vm,
            "a change",
            lambda bridge: work.change(bridge, link.places, plan, progress, link.targets),
        )
        try:
            done: Outcome = await whole(task)
        finally:
            link.outdated(plan.vm)
            link.events.changed(plan.vm)
        return done

    async def definition(self, vm: VMId) -> DefinitionText:
        """Its XML as libvirt writes it."""
        link, work = self._linked(), _work()
        found: DefinitionText = await self._apart(
            "read its definition", work.definition, link.places, vm
        )
        return found

    async def plan_text(
        self, vm: VMId, edited: DefinitionText, when: When = When.AUTO
    ) -> ChangePlan:
        """Judged by libvirt's schema, where that is at hand, and by its dry run."""
        name, work = await self._name(vm), _work()
        self._check_may(Feature.CONFIGURE, f"changing {name}", "configure VMs")
        found: ChangePlan = await self._apart(
            f"change {name}", work.plan_text, self._linked().places, vm, edited, when
        )
        return found

    async def _apart(self, what: str, function: Callable[..., T], *args: Any) -> T:
        """Over a connection of its own: one that asks a VM that hangs holds up nothing else."""
        return await self._linked().changes.over_own(
            lambda bridge: bridge.call(what, function, *args, timeout_s=PLAN_TIMEOUT_S)
        )

    # -- Balloons ----------------------------------------------------------------------------

    async def balloon(self, vm: VMId) -> Balloon:
        """As QEMU tells it now."""
        return await self._apart("look at the balloon", balloons.look, self._linked().targets, vm)

    async def ask_memory(self, vm: VMId, target_bytes: int) -> None:
        """By libvirt's call, for what runs only."""
        name = await self._name(vm)
        self._check_may(Feature.BALLOON, f"asking {name} for memory", "move balloons")
        targets = self._linked().targets
        await self._apart(f"ask {name} for memory", balloons.ask, targets, vm, target_bytes)
