"""`e`: a VM's definition in the user's own editor; what is wrong in it comes back at its line."""

from __future__ import annotations

from vmtui import configuring
from vmtui.editing import Edit, check_text, editing
from vmtui.errors import InputError, RefusedError, VmtuiError
from vmtui.hardware.changes import ChangePlan, DefinitionText, When
from vmtui.screens.attached import lent
from vmtui.screens.base import FleetScreen
from vmtui.screens.confirm import ConfirmScreen, Question
from vmtui.screens.doing import Outcome, tell, tell_error
from vmtui.screens.planning import ask_and_do
from vmtui.units import plain
from vmtui.views import VMRef, VMView


async def edit(screen: FleetScreen, row: VMView) -> None:
    """Edit until it is good or given up, then show what changes; for a worker of the app."""
    ref, name = row.ref, row.vm.name
    try:
        stored = await configuring.configures(screen.context.fleet, ref).definition(ref.id)
        async with editing(name, stored) as one:
            edited, plan = await _planned(screen, ref, name, one)
            if edited is None:
                tell(screen, "edit", [Outcome(f"{plain(name)} is left as it is.", ok=True)])
                return
            if plan is None or not await _done(screen, ref, edited, plan):
                raise RefusedError("nothing is changed")
            one.settled()
    except VmtuiError as error:
        tell_error(screen, error)
    finally:
        screen.release()


async def _planned(
    screen: FleetScreen, ref: VMRef, name: str, one: Edit
) -> tuple[DefinitionText | None, ChangePlan | None]:
    """What came out of the editor (None: nothing new), and its plan (None: it was given up)."""
    while True:
        edited = await _turn(screen, one)
        if edited is None:
            return None, None
        try:
            check_text(edited.text)
            return edited, await configuring.plan_text(screen.context.fleet, ref, edited)
        except InputError as error:
            question = Question(
                f"The definition of {plain(name)} can't be that",
                (("", (str(error),)),),
                yes="edit again",
                no="give up",
            )
            if not await screen.app.push_screen_wait(ConfirmScreen(question)):
                return edited, None
            one.remark(error)


async def _turn(screen: FleetScreen, one: Edit) -> DefinitionText | None:
    """The editor, on this terminal."""

    async def turned() -> tuple[DefinitionText | None]:
        return (await one.turn(),)

    screen.hold()  # from here on there is a text that Esc must not lose
    return (await lent(screen, turned))[0]


async def _done(screen: FleetScreen, ref: VMRef, edited: DefinitionText, plan: ChangePlan) -> bool:
    async def planner(when: When) -> ChangePlan:
        return await configuring.plan_text(screen.context.fleet, ref, edited, when)

    return await ask_and_do(screen, ref, plan, planner)
