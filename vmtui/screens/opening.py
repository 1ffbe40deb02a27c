"""What only the interface does to VMs: opening their consoles and screens, here or elsewhere."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

from textual.widget import Widget

from vmtui import ssh, viewer
from vmtui.actions import BY_ID
from vmtui.backends.ways_in import Displays
from vmtui.consoles import ConsoleKey
from vmtui.errors import VmtuiError
from vmtui.screens.ask import ChooseScreen
from vmtui.screens.attached import attach_terminal, run_in_terminal
from vmtui.screens.base import FleetScreen
from vmtui.screens.console import ConsoleScreen
from vmtui.screens.dialog import Dialog
from vmtui.screens.doing import tell_error
from vmtui.screens.guest_screen import GuestScreen
from vmtui.units import plain
from vmtui.views import VMView
from vmtui.widgets.listing import Listing, Row

Opener = Callable[[FleetScreen, Sequence[VMView]], Awaitable[None]]
"""For a worker of the app; the screen holds its keys until it opens something or ends."""


def for_one(what: Callable[[FleetScreen, VMView], Awaitable[None]]) -> Opener:
    """For what can't be done to several marked VMs at a time."""

    async def opened(screen: FleetScreen, rows: Sequence[VMView]) -> None:
        if len(rows) > 1:
            text = f"That is for one VM at a time, and {len(rows)} are marked: Esc unmarks."
            screen.app.notify(text, severity="warning", markup=False, timeout=4)
        else:
            await what(screen, rows[0])

    return opened


async def open_console(screen: FleetScreen, row: VMView) -> None:
    """The embedded console of a VM; where it has several, after a choice."""
    names = row.vm.consoles
    chosen: int | None = 0
    if len(names) > 1:
        question = ChooseScreen(
            f"Which console of {plain(row.vm.name)}?", [(name, "") for name in names]
        )
        chosen = await screen.app.push_screen_wait(question)
    if chosen is None:
        return
    # The first one has no name, so that it is the same however it was opened.
    key = ConsoleKey(row.ref, names[chosen] if chosen else "")
    screen.app.push_screen(ConsoleScreen(screen.context, [key]))


async def _consoles(screen: FleetScreen, rows: Sequence[VMView]) -> None:
    """Those of several marked VMs, else those that are open, else that of the one VM."""
    context = screen.context
    action = BY_ID["consoles"]
    keys = [
        ConsoleKey(row.ref)
        for row in rows
        if not action.refusal(row.vm, screen.view.connection(row.ref.uri))
    ]
    if len(rows) == 1 and context.consoles.all:
        keys = [console.key for console in context.consoles.all]
    screen.app.push_screen(ConsoleScreen(context, keys, grid=True))


async def _screen(screen: FleetScreen, row: VMView) -> None:
    screen.app.push_screen(GuestScreen(screen.context, row.ref))


async def _viewer(screen: FleetScreen, row: VMView) -> None:
    """A viewer where there is a desktop, else the commands for the desk that one sits at."""
    try:
        backend = screen.context.fleet.backend(row.ref)
        assert isinstance(backend, Displays)
        opening = viewer.opening(await backend.viewer(row.ref.id), row.ref.id)
        if opening.argv:
            await viewer.start(opening.argv)
            screen.app.notify(f"{opening.argv[0]} is started.", markup=False, timeout=4)
        else:
            screen.app.push_screen(Steps(plain(row.vm.name), opening.steps))
    except VmtuiError as error:
        tell_error(screen, error)


async def _ssh(screen: FleetScreen, row: VMView) -> None:
    """ssh in this terminal, with the interface out of its way."""
    try:
        argv = ssh.argv(row.vm, row.ref.uri)
        await ssh.keep_known_hosts()
        await run_in_terminal(screen, argv)
    except VmtuiError as error:
        tell_error(screen, error)


class Steps(Dialog):
    """Commands for the user to type elsewhere."""

    def __init__(self, name: str, steps: Sequence[str]) -> None:
        super().__init__()
        self.heading = f"The screen of {name}, from your desk"
        self._steps = steps

    def body(self) -> list[Widget]:
        """A line each, to be copied."""
        rows: list[Row] = [
            ((f"{at}", "accent"), (s, "text")) for at, s in enumerate(self._steps, 1)
        ]
        return [Listing(rows, (4,))]


OPENERS: Mapping[str, Opener] = {
    "console": for_one(open_console),
    "consoles": _consoles,
    "attach": for_one(attach_terminal),
    "screen": for_one(_screen),
    "viewer": for_one(_viewer),
    "ssh": for_one(_ssh),
}
"""By action. One is ended where another is begun."""
