"""The Hardware tab's verbs: a setting edited, a device attached or detached, the last undone."""

from __future__ import annotations

from collections.abc import Sequence

from vmtui import configuring
from vmtui.errors import StateError, VmtuiError
from vmtui.hardware.changes import Assign, Attach, Change, ChangePlan, Detach, When
from vmtui.hardware.settings import setting
from vmtui.hardware.tree import Entry, Takes
from vmtui.hardware.values import Kind as ValueKind
from vmtui.hardware.values import Value
from vmtui.screens.attaching import Kind, ask_device
from vmtui.screens.base import FleetScreen
from vmtui.screens.doing import tell_error
from vmtui.screens.editing import EntryEditor, Seat
from vmtui.screens.planning import Planner, ask_and_do, plan_and_do
from vmtui.views import VMRef, VMView


def planner(screen: FleetScreen, ref: VMRef, changes: Sequence[Change]) -> Planner:
    """Plans for these changes, at whatever time."""
    fleet = screen.context.fleet

    async def planned(when: When) -> ChangePlan:
        return await configuring.plan(fleet, ref, changes, when)

    return planned


async def change(screen: FleetScreen, ref: VMRef, changes: Sequence[Change]) -> bool:
    """Plan changes, ask, and do them; for a worker of the app."""
    return await plan_and_do(screen, ref, planner(screen, ref, changes))


async def edit_entry(screen: FleetScreen, ref: VMRef, entry: Entry, seat: Seat) -> None:
    """Edit a setting where it stands: a switch turns, all else is typed or chosen."""
    known = setting(entry.key)
    if entry.takes is Takes.NEVER:
        why = entry.why or "nothing changes it"
        tell_error(screen, StateError(f"{known.label} can't be changed now", why=why))
        return
    if known.form.kind is ValueKind.SWITCH:
        value = entry.next if entry.next is not None else entry.now
        await change(screen, ref, [Assign(entry.key, not value)])
        return

    async def judge(value: Value) -> ChangePlan:
        return await planner(screen, ref, [Assign(entry.key, value)])(When.AUTO)

    editor = EntryEditor(entry, seat, judge)
    plan = await screen.app.push_screen_wait(editor)
    if plan is not None:
        await ask_and_do(screen, ref, plan, planner(screen, ref, plan.changes))


async def attach(screen: FleetScreen, row: VMView, kind: Kind | None = None) -> None:
    """`+`: one more device, after asking which."""
    device = await ask_device(screen, row, kind)
    if device is not None:
        await change(screen, row.ref, [Attach(device)])


async def detach(screen: FleetScreen, ref: VMRef, part: str) -> None:
    """`-`: a part goes; the files of a disk stay."""
    await change(screen, ref, [Detach(part)])


async def undo(screen: FleetScreen, row: VMView) -> None:
    """`U`: what the last change was before."""
    ref = row.ref
    try:
        plan = await configuring.plan_undo(screen.context.fleet, ref)
    except VmtuiError as error:
        tell_error(screen, error)
        return
    await ask_and_do(screen, ref, plan)


async def protect(screen: FleetScreen, rows: Sequence[VMView]) -> None:
    """`L`: neither deleted nor forced off, or that taken off again; all as the first of them."""
    wanted = not rows[0].vm.protected
    for row in rows:
        await change(screen, row.ref, [Assign("protected", wanted)])
