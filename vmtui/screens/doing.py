"""Doing actions: asking first where it costs something, running tasks, telling how they ended."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from vmtui.actions import Action, Prepared
from vmtui.backends.base import Progress, ProgressSink
from vmtui.errors import VmtuiError
from vmtui.screens.base import FleetScreen
from vmtui.screens.confirm import ConfirmScreen, Question
from vmtui.tasks import Work
from vmtui.units import plain
from vmtui.views import TaskStatus, TaskView, VMView

AT_ONCE = 8
"""Tasks of one bulk action that run at the same time."""

TOLD = 8
"""Lines of a notification; the task list has the rest."""

ERROR_TIMEOUT_S = 15.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """How it went with one VM."""

    text: str
    ok: bool


def in_view(screen: FleetScreen, action: Action) -> None:
    """Do an action of the interface itself."""
    own = getattr(screen, f"view_{action.id}", None)
    (own or getattr(screen.app, f"view_{action.id}"))()


def to_vms(screen: FleetScreen, action: Action, rows: Sequence[VMView], hidden: int) -> None:
    """Do an action to VMs, in a worker of the app: it outlives the screen."""
    from vmtui.screens.configuring import CONFIGURERS  # noqa: PLC0415 (they are made of this)
    from vmtui.screens.opening import OPENERS  # noqa: PLC0415

    if action.id in CONFIGURERS:
        screen.bring(partial(CONFIGURERS[action.id], screen, rows), "configuring")
    elif action.prepare is None:
        screen.bring(partial(OPENERS[action.id], screen, rows), "console", exclusive=True)
    elif action.dangerous:
        screen.bring(partial(_act, screen, action, rows, hidden), "actions")
    else:
        screen.app.run_worker(_act(screen, action, rows, hidden), group="actions")


async def _act(screen: FleetScreen, action: Action, rows: Sequence[VMView], hidden: int) -> None:
    outcomes: list[Outcome] = []
    allowed: list[VMView] = []
    for row in rows:
        refusal = action.refusal(row.vm, screen.view.connection(row.ref.uri))
        if refusal:
            outcomes.append(Outcome(f"{plain(row.vm.name)}: not done. {refusal}", ok=False))
        else:
            allowed.append(row)
    works = await _works(screen, action, allowed, outcomes)
    if works and action.dangerous:
        question = _question(action, works, hidden)
        if not await screen.app.push_screen_wait(ConfirmScreen(question)):
            return
    outcomes += await run_all(screen, action, [(row, prepared.work) for row, prepared in works])
    tell(screen, action.label, outcomes)


async def run_all(
    screen: FleetScreen, action: Action, works: Sequence[tuple[VMView, Work]]
) -> list[Outcome]:
    """Run what is agreed to as tasks, a few at a time, to their ends."""
    limit = asyncio.Semaphore(AT_ONCE)
    tasks = [
        screen.context.fleet.tasks.start(
            f"{action.label} {plain(row.vm.name)}", row.ref, _limited(work, limit)
        )
        for row, work in works
    ]
    return [_outcome(view) for view in await asyncio.gather(*tasks)]


async def _works(
    screen: FleetScreen, action: Action, rows: Sequence[VMView], outcomes: list[Outcome]
) -> list[tuple[VMView, Prepared]]:
    assert action.prepare is not None
    fleet = screen.context.fleet
    works: list[tuple[VMView, Prepared]] = []
    for row in rows:
        try:
            works.append((row, await action.prepare(fleet, row.ref)))
        except VmtuiError as error:
            outcomes.append(Outcome(str(error), ok=False))
    return works


def _limited(work: Work, limit: asyncio.Semaphore) -> Work:
    async def waiting(progress: ProgressSink) -> str:
        if limit.locked():
            progress(Progress("waiting"))
        async with limit:
            return await work(progress)

    return waiting


def _question(action: Action, works: Sequence[tuple[VMView, Prepared]], hidden: int) -> Question:
    one = len(works) == 1
    what = plain(works[0][0].vm.name) if one else f"{len(works)} VMs"
    if hidden:
        what += f" ({hidden} hidden by the filter)"
    return Question(
        title=f"{action.label[:1].upper()}{action.label[1:]} {what}?",
        groups=tuple(
            ("" if one else plain(row.vm.name), prepared.consequences) for row, prepared in works
        ),
        yes=action.label,
    )


def _outcome(view: TaskView) -> Outcome:
    if view.status is TaskStatus.DONE:
        return Outcome(plain(view.result), ok=True)
    if view.error is not None:
        return Outcome(str(view.error), ok=False)
    return Outcome(f"{view.label}: cancelled", ok=False)


def tell(screen: FleetScreen, label: str, outcomes: Sequence[Outcome]) -> None:
    """One line for each VM, failures first; what is too much is in the task list."""
    if not outcomes:
        return
    failed = [outcome for outcome in outcomes if not outcome.ok]
    done = [outcome for outcome in outcomes if outcome.ok]
    lines = [("✗ " if len(outcomes) > 1 else "") + outcome.text for outcome in failed]
    lines += [("✓ " if len(outcomes) > 1 else "") + outcome.text for outcome in done]
    if len(lines) > TOLD:
        lines = [*lines[:TOLD], f"… and {len(lines) - TOLD} more"]
    title = "" if len(outcomes) == 1 else f"{label}: {len(done)} of {len(outcomes)} done"
    if not failed:
        screen.app.notify("\n".join(lines), title=title, markup=False)
    else:
        severity = "warning" if done else "error"
        screen.app.notify(
            "\n".join(lines),
            title=title,
            severity="error" if severity == "error" else "warning",
            timeout=ERROR_TIMEOUT_S,
            markup=False,
        )


def tell_error(screen: FleetScreen, error: VmtuiError) -> None:
    """What happened, why, and what to do."""
    screen.app.notify(str(error), severity="error", timeout=ERROR_TIMEOUT_S, markup=False)
