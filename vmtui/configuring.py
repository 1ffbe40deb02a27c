"""Changes to VMs through a fleet: planned, done, seen in its views, and undone."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from vmtui.backends.abilities import Configures
from vmtui.backends.base import Feature, ProgressSink, no_progress
from vmtui.ballooning import check
from vmtui.errors import OperationError, StateError, UnsupportedError, read_only
from vmtui.fleet import Fleet
from vmtui.hardware.changes import Assign, Change, ChangePlan, DefinitionText, Outcome, When
from vmtui.hardware.tree import Hardware
from vmtui.undo import Undo
from vmtui.views import VMRef
from vmtui.whole import whole

TARGET = "memory.target"

_log = logging.getLogger(__name__)


def configures(fleet: Fleet, ref: VMRef) -> Configures:
    """The backend that has the VM, if it can be configured there. Raises UnsupportedError."""
    connection = fleet.connection(ref.uri)
    backend = connection.backend
    if not isinstance(backend, Configures) or Feature.CONFIGURE not in backend.features:
        raise UnsupportedError(f"{connection.label} can't configure VMs")
    return backend


async def hardware(fleet: Fleet, ref: VMRef) -> Hardware:
    """All that it has, now and at its next boot."""
    return await configures(fleet, ref).hardware(ref.id)


async def plan(
    fleet: Fleet,
    ref: VMRef,
    changes: Sequence[Change],
    when: When = When.AUTO,
    *,
    below_floor: bool = False,
) -> ChangePlan:
    """What the changes would do; nothing is changed.

    Raises as `Configures.plan`, and RefusedError, also for a balloon's target below its floor.
    """
    backend = _changeable(fleet, ref)
    if fleet.vm(ref).state.active:
        for change in changes:
            if (
                isinstance(change, Assign)
                and change.key == TARGET
                and isinstance(change.value, int)
            ):
                await check(fleet, ref, change.value, below_floor=below_floor)
    return await backend.plan(ref.id, changes, when)


async def plan_text(
    fleet: Fleet, ref: VMRef, edited: DefinitionText, when: When = When.AUTO
) -> ChangePlan:
    """What an edited definition would change. Raises as `Configures.plan_text`, RefusedError."""
    return await _changeable(fleet, ref).plan_text(ref.id, edited, when)


async def change(
    fleet: Fleet, ref: VMRef, plan: ChangePlan, progress: ProgressSink = no_progress
) -> Outcome:
    """Do what the plan says; the fleet shows it then, and it is what `plan_undo` undoes."""
    backend = _changeable(fleet, ref)
    before = await backend.definition(ref.id)
    outcome = await backend.change(plan, progress)
    await whole(_noted(fleet, ref, plan, outcome, before))
    return outcome


async def _noted(
    fleet: Fleet, ref: VMRef, plan: ChangePlan, outcome: Outcome, before: DefinitionText
) -> None:
    if await fleet.connection(ref.uri).refresh(ref.id) is None:
        return  # it was made to go, and has gone
    if not (outcome.undo or plan.diff):
        return
    after = await configures(fleet, ref).definition(ref.id)
    undo = Undo(
        tuple(step.text for step in plan.steps),
        plan.when,
        after.base,
        outcome.undo,
        None if outcome.undo else before,
    )
    try:
        await fleet.undos.keep(ref, undo)
    except OperationError as error:
        # The change is done all the same, and what came of it has to be told.
        _log.warning("the last change of %s can't be undone: %s", plan.name, error)


async def plan_undo(fleet: Fleet, ref: VMRef) -> ChangePlan:
    """What undoing the last change would do. Raises StateError where there is nothing to undo."""
    backend = _changeable(fleet, ref)
    name = fleet.vm(ref).name
    last = await fleet.undos.last(ref)
    if last is None:
        raise StateError(
            f"there is nothing to undo for {name}",
            why="no change of it by vmtui is remembered",
            hint=f"Its settings: vmtui show {name} --hardware",
        )
    if last.before is None:
        return await backend.plan(ref.id, last.changes, last.when)
    now = await backend.definition(ref.id)
    if now.base != last.base:
        # The whole definition would come back, and what somebody did since would be lost.
        raise StateError(
            f"the last edit of {name} can't be undone",
            why="its definition was changed since by something else",
            hint=f"Edit it again: vmtui edit {name}",
        )
    back = DefinitionText(now.language, last.before.text, now.base)
    return await backend.plan_text(ref.id, back, last.when)


def _changeable(fleet: Fleet, ref: VMRef) -> Configures:
    if fleet.connection(ref.uri).read_only:
        raise read_only(f"changing {fleet.vm(ref).name}")
    return configures(fleet, ref)
