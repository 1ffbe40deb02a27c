"""The serial console on the whole terminal, with the interface out of its way."""

from __future__ import annotations

from vmtui.backends.base import Console, Consoles, Logs
from vmtui.config import escape_byte
from vmtui.errors import BusyError, OperationError, VmtuiError
from vmtui.screens.base import FleetScreen
from vmtui.screens.confirm import ConfirmScreen, Question
from vmtui.screens.doing import tell_error
from vmtui.units import plain
from vmtui.views import VMRef, VMView


async def open_console(screen: FleetScreen, row: VMView) -> None:
    """Attach to the console of a VM until the user detaches; for a worker of the app."""
    name = plain(row.vm.name)
    screen.hold()
    try:
        console = await _attached(screen, row.ref, name)
        if console is None:
            return
        reason = await _hand_over(screen, console, name, await _history(screen, row.ref))
    except VmtuiError as error:
        tell_error(screen, error)
        return
    finally:
        screen.release()
    if reason:
        screen.app.notify(plain(reason), title=name, markup=False, timeout=4)


async def _attached(screen: FleetScreen, ref: VMRef, name: str) -> Console | None:
    backend = screen.context.fleet.backend(ref)
    if not isinstance(backend, Consoles):
        raise OperationError(f"{name} has no console here", why="this connection offers none")
    try:
        return await backend.console(ref.id)
    except BusyError as busy:
        question = Question(
            title=f"Take over the console of {name}?",
            groups=(("", (str(busy), "Whoever is attached now is detached.")),),
            yes="take over",
        )
    if not await screen.app.push_screen_wait(ConfirmScreen(question)):
        return None
    return await backend.console(ref.id, force=True)


async def _history(screen: FleetScreen, ref: VMRef) -> bytes:
    backend = screen.context.fleet.backend(ref)
    return await backend.console_history(ref.id) if isinstance(backend, Logs) else b""


async def _hand_over(screen: FleetScreen, console: Console, name: str, history: bytes) -> str:
    from vmtui import attach  # noqa: PLC0415 (it needs a terminal's modules)

    app, context = screen.app, screen.context
    escape = escape_byte(context.config.console_escape)
    failure: BaseException | None = None
    reason = ""
    context.suspended = True
    try:
        # The batch keeps Textual from drawing: its output is stopped while suspended, and what
        # is written then would fill a queue that nobody empties, and block the loop.
        with app.batch_update(), app.suspend():
            try:
                reason = await attach.attach(
                    console, name=name, escape=escape, history=history, clear=True
                )
            except BaseException as error:
                # Past app.suspend() it would leave the terminal without the interface.
                failure = error
    finally:
        context.suspended = False
        await console.close()
    app.refresh(layout=True)
    screen.show(context.fleet.view())
    if failure is not None:
        raise failure
    return reason
