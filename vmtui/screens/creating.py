"""Making a VM from the form: one task that creates and starts it, then its console."""

from __future__ import annotations

from vmtui.actions import BY_ID
from vmtui.making import make, starting
from vmtui.progress import Progress, ProgressSink
from vmtui.reachable import ssh_within
from vmtui.screens.base import FleetScreen
from vmtui.screens.create import CreateScreen
from vmtui.screens.dashboard import Dashboard
from vmtui.screens.doing import Outcome, tell
from vmtui.screens.images import ImagesScreen
from vmtui.screens.opening import open_console
from vmtui.screens.wanted import Then, Wanted, creating_connections
from vmtui.stages import told
from vmtui.views import TaskStatus, VMRef

SSH_LIMIT_S = 300.0
"""A first start can take minutes: packages are installed, and a slow host emulates."""


async def show_images(screen: FleetScreen, dashboard: Dashboard) -> None:
    """All images; a VM from one of them, if it is wanted."""
    image = await screen.app.push_screen_wait(ImagesScreen(screen.context))
    if image is not None:
        await create(screen, dashboard, image=image)


async def create(
    screen: FleetScreen, dashboard: Dashboard, *, preset: str = "", image: str = "micro"
) -> None:
    """Ask, make, start, attach; for a worker of the app."""
    app, fleet, shelf = screen.app, screen.context.fleet, screen.context.shelf
    if not creating_connections(screen.context):
        return  # the last one went down just now
    rows = screen.targets()
    uri = rows[0].ref.uri if rows else None
    form = CreateScreen(screen.context, uri, preset=preset, image=image)
    wanted = await app.push_screen_wait(form)
    if wanted is None:
        return
    made: list[VMRef] = []

    async def work(progress: ProgressSink) -> str:
        made.append(await make(fleet, shelf, wanted.uri, wanted.spec, progress))
        dashboard.point_at(made[0])
        return await _started(dashboard, wanted, made[0], progress)

    view = await fleet.tasks.start(f"create {wanted.spec.name}", None, work)
    if view.status is not TaskStatus.DONE:
        why = str(view.error) if view.error else f"{view.label}: cancelled"
        tell(screen, "create", [Outcome(why, ok=False)])
        return
    latest = fleet.view()
    row = latest.row(made[0])
    dashboard.show(latest)  # one that was made at once may not be in the table yet
    # Only for who waits for it: it must not take the terminal from other work.
    waits = app.screen is dashboard and dashboard.table.rows.pointed == made[0]
    if wanted.then is Then.CONSOLE and row is not None and waits:
        await open_console(dashboard, row)
    else:
        took = f" ({told(view.stages)})" if view.stages else ""
        tell(screen, "create", [Outcome(view.result + took, ok=True)])


async def _started(dashboard: Dashboard, wanted: Wanted, ref: VMRef, progress: ProgressSink) -> str:
    if wanted.then is Then.NOTHING:
        return f"{wanted.spec.name} is made"
    prepare = BY_ID["start"].prepare
    assert prepare is not None
    prepared = await prepare(dashboard.context.fleet, ref)
    async with starting(dashboard.context.fleet, ref, progress):
        await prepared.work(progress)
    if wanted.then is Then.SSH:
        progress(Progress("waiting for ssh", stage="ssh"))
        await ssh_within(dashboard.context.fleet, ref, SSH_LIMIT_S)
        return f"{wanted.spec.name} is made and answers ssh"
    return f"{wanted.spec.name} is made and running"
