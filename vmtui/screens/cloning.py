"""Making a VM like another one: asking for its name and kind, then a task."""

from __future__ import annotations

from vmtui.actions import BY_ID
from vmtui.making import clone, has_cloud_init, same_inside
from vmtui.naming import free_name
from vmtui.progress import ProgressSink
from vmtui.screens.ask import AskScreen, ChooseScreen
from vmtui.screens.base import FleetScreen
from vmtui.screens.doing import Outcome, tell
from vmtui.spec import name_problem
from vmtui.units import plain
from vmtui.views import TaskStatus, VMView

KINDS = (
    ("full", "a copy of its disks: both can run"),
    ("linked", "at once; it can't be started or deleted any more then"),
)


async def ask_and_clone(screen: FleetScreen, row: VMView) -> None:
    """For a worker of the app."""
    fleet, shelf = screen.context.fleet, screen.context.shelf
    name = plain(row.vm.name)
    taken = [vm.name for vm in fleet.connection(row.ref.uri).vms]
    refusal = BY_ID["clone"].refusal(row.vm, fleet.view().connection(row.ref.uri))
    if refusal:
        tell(screen, "clone", [Outcome(f"{name}: not done. {refusal}", ok=False)])
        return
    new = await screen.app.push_screen_wait(
        AskScreen(f"Clone {name}: what is it called?", free_name(row.vm.name, taken))
    )
    if not new:
        return
    problem = name_problem(new, taken)
    if problem:
        tell(screen, "clone", [Outcome(problem, ok=False)])
        return
    kind = await screen.app.push_screen_wait(ChooseScreen(f"Clone {name} as {plain(new)}", KINDS))
    if kind is None:
        return
    own = await has_cloud_init(fleet, shelf, row.ref)

    async def work(progress: ProgressSink) -> str:
        await clone(fleet, shelf, row.ref, new, progress, linked=KINDS[kind][0] == "linked")
        return f"{new} is made"

    view = await fleet.tasks.start(f"clone {name} as {plain(new)}", None, work)
    text = str(view.error) if view.error else plain(view.result or view.status.value)
    done = view.status is TaskStatus.DONE
    if done and not own:
        text += f". {same_inside(name)}"
    if done and row.vm.tpm:
        text += " Its TPM is new."
    tell(screen, "clone", [Outcome(text, ok=done)])
