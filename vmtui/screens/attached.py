"""The whole terminal for something else: the raw serial console, or another program."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar

from vmtui.backends.ways_in import Console, Consoles, ConsoleSizes, Logs
from vmtui.config import escape_byte
from vmtui.consoles import ConsoleKey
from vmtui.errors import BusyError, OperationError, VmtuiError
from vmtui.screens.base import FleetScreen
from vmtui.screens.confirm import ConfirmScreen, Question
from vmtui.screens.doing import tell_error
from vmtui.units import plain
from vmtui.views import VMRef, VMView

Result = TypeVar("Result")

TYPED_ON_S = 1.0
"""What is typed when a console ends by itself is meant for the guest."""

COULD_NOT = 255
"""What ssh exits with when it could not connect."""


async def attach_terminal(screen: FleetScreen, row: VMView) -> None:
    """Attach to the console of a VM until the user detaches; for a worker of the app."""
    name = plain(row.vm.name)
    screen.hold()
    try:
        async with _without_the_embedded(screen, ConsoleKey(row.ref)):
            console = await _attached(screen, row.ref, name)
            if console is None:
                return
            history = await _history(screen, row.ref)
            await _joined(screen, console, row.ref, name, history)
    except VmtuiError as error:
        tell_error(screen, error)
    finally:
        screen.release()


@asynccontextmanager
async def _without_the_embedded(screen: FleetScreen, key: ConsoleKey) -> AsyncIterator[None]:
    """A console serves one at a time, and the embedded one may be it."""
    embedded = screen.context.consoles.get(key)
    if embedded is None or key in screen.context.glanced:
        yield
        return
    await embedded.let_go()
    try:
        yield
    finally:
        embedded.attach()


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


async def _joined(
    screen: FleetScreen, console: Console, ref: VMRef, name: str, history: bytes
) -> None:
    from vmtui import attach  # noqa: PLC0415 (it needs a terminal's modules)

    backend = screen.context.fleet.backend(ref)
    escape = escape_byte(screen.context.config.console_escape)

    async def resize(columns: int, rows: int) -> bool:
        if not isinstance(backend, ConsoleSizes):
            return False
        try:
            return await backend.resize_console(ref.id, "", columns, rows)
        except VmtuiError:  # a guest of the wrong size is no reason to detach from it
            return False

    try:
        reason = await lent(
            screen,
            lambda: attach.attach(
                console, name=name, escape=escape, history=history, clear=True, resize=resize
            ),
        )
    finally:
        await console.close()
    screen.app.notify(plain(reason), title=name, markup=False, timeout=4)
    if reason != attach.ENDED:
        await asyncio.sleep(TYPED_ON_S)


async def run_in_terminal(screen: FleetScreen, argv: Sequence[str]) -> None:
    """Run a program on this terminal to its end. Raises OperationError where it can't be."""
    status = await lent(screen, lambda: _run(argv))
    if status not in (0, COULD_NOT):
        screen.app.notify(_end_of(argv[0], status), markup=False, timeout=4)


def _end_of(program: str, status: int) -> str:
    """How a program ended, in words; a negative status is the signal that ended it."""
    if status == -signal.SIGINT:
        return f"{program} was interrupted."
    if status < 0:
        return f"{program} was ended by a signal: {signal.strsignal(-status) or -status}."
    return f"{program} ended with status {status}."


async def _run(argv: Sequence[str]) -> int:
    # What Ctrl+C means is up to the program; vmtui is in the same group of processes.
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        process = await asyncio.create_subprocess_exec(*argv)
        status = await process.wait()
        if status == COULD_NOT:
            await _confirmed(f"\r\n{argv[0]} ended with status {status}. Enter goes back.")
    except OSError as error:
        raise OperationError(f"{argv[0]} can't be run", why=error.strerror or "") from error
    else:
        return status
    finally:
        signal.signal(signal.SIGINT, before)


async def _confirmed(text: str) -> None:
    """Let the user read what is on the terminal."""
    loop = asyncio.get_running_loop()
    source = sys.__stdin__.fileno() if sys.__stdin__ else 0
    os.write(2, text.encode())
    typed = asyncio.Event()
    loop.add_reader(source, typed.set)
    try:
        await typed.wait()
        os.read(source, 1024)
    finally:
        loop.remove_reader(source)


async def lent(screen: FleetScreen, use: Callable[[], Awaitable[Result]]) -> Result:
    """What `use` gives, which has the terminal meanwhile."""
    app, context = screen.app, screen.context
    failure: BaseException | None = None
    result: Result | None = None
    context.suspended = True
    try:
        # The batch keeps Textual from drawing: its output is stopped while suspended, and what
        # is written then would fill a queue that nobody empties, and block the loop.
        with app.batch_update(), app.suspend():
            try:
                result = await use()
            except BaseException as error:
                # Past app.suspend() it would leave the terminal without the interface.
                failure = error
    finally:
        context.suspended = False
    app.refresh(layout=True)
    screen.show(context.fleet.view())
    if failure is not None:
        raise failure
    assert result is not None
    return result
