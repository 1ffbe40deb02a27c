"""Making a VM from the form: one task that creates and starts it, then its console."""

from __future__ import annotations

from vmtui.actions import BY_ID
from vmtui.backends.base import ProgressSink
from vmtui.screens.base import FleetScreen
from vmtui.screens.create import CONSOLE, NOTHING, CreateScreen, Wanted, creating_connections
from vmtui.screens.dashboard import Dashboard
from vmtui.screens.doing import Outcome, tell
from vmtui.screens.opening import open_console
from vmtui.views import TaskStatus, VMRef


async def create(screen: FleetScreen, dashboard: Dashboard) -> None:
    """Ask, make, start, attach; for a worker of the app."""
    app, fleet = screen.app, screen.context.fleet
    if not creating_connections(screen.context):
        screen.release()  # the last one went down just now
        return
    rows = screen.targets()
    form = CreateScreen(screen.context, rows[0].ref.uri if rows else None)
    wanted = await app.push_screen_wait(form)
    if wanted is None:
        return
    made: list[VMRef] = []

    async def work(progress: ProgressSink) -> str:
        made.append(await fleet.create(wanted.uri, wanted.spec, progress))
        dashboard.point_at(made[0])
        return await _started(dashboard, wanted, made[0], progress)

    view = await fleet.tasks.start(f"create {wanted.spec.name}", None, work)
    if view.status is not TaskStatus.DONE:
        why = str(view.error) if view.error else f"{view.label}: cancelled"
        tell(screen, "create", [Outcome(why, ok=False)])
        return
    row = fleet.view().row(made[0])
    # Only for who waits for it: it must not take the terminal from other work.
    waits = app.screen is dashboard and dashboard.table.rows.pointed == made[0]
    if wanted.then == CONSOLE and row is not None and waits:
        await open_console(dashboard, row)
    else:
        tell(screen, "create", [Outcome(view.result, ok=True)])


async def _started(dashboard: Dashboard, wanted: Wanted, ref: VMRef, progress: ProgressSink) -> str:
    if wanted.then == NOTHING:
        return f"{wanted.spec.name} is made"
    prepare = BY_ID["start"].prepare
    assert prepare is not None
    prepared = await prepare(dashboard.context.fleet, ref)
    await prepared.work(progress)
    return f"{wanted.spec.name} is made and running"
