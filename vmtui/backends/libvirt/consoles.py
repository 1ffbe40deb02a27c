"""The text consoles of a domain: attached to over streams, read from the files that keep them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from vmtui.backends.joined_console import JoinedConsole, LoggedConsole
from vmtui.backends.kept_output import KeptOutput, WatchedConsole
from vmtui.backends.libvirt import logs
from vmtui.backends.libvirt.bridge import Bridge
from vmtui.backends.libvirt.console import StreamConsole
from vmtui.backends.libvirt.domain_facts import Definition
from vmtui.backends.libvirt.places import Places
from vmtui.backends.ways_in import Console, console_named
from vmtui.errors import UnsupportedError


async def attached(
    bridge: Bridge,
    places: Places,
    definition: Definition,
    name: str,
    *,
    force: bool,
    history_bytes: int,
) -> Console:
    """The console of that name, after what it printed before, where a file keeps that."""
    name = console_named(definition.vm, name)
    serial = name.startswith("serial")
    wanted = history_bytes or not serial
    kept = _kept(places, definition, name, history_bytes) if wanted else None
    # Without a name libvirt takes the only one there is: not every driver knows them by name.
    device = name if len(definition.vm.consoles) > 1 else None
    try:
        console = await StreamConsole.attach(
            bridge, definition.vm.id, definition.vm.name, device, force=force
        )
    except BaseException:
        if kept is not None:
            kept.close()
        raise
    if kept is None:
        return console
    return JoinedConsole(console, kept) if serial else LoggedConsole(console, kept)


def watched(
    places: Places,
    definition: Definition,
    name: str,
    alive: Callable[[], Awaitable[bool]],
    *,
    history_bytes: int,
) -> Console:
    """What the console of that name prints, whoever has it. Raises UnsupportedError."""
    name = console_named(definition.vm, name)
    kept = _kept(places, definition, name, history_bytes)
    if kept is None:
        raise UnsupportedError(
            f"the console {name} of {definition.vm.name} can't be watched",
            why="libvirt keeps nothing of it where this user can read it",
        )
    return WatchedConsole(kept, alive)


def history(places: Places, definition: Definition, name: str, limit_bytes: int) -> bytes:
    """The end of what it printed; b"" where that is not kept, or not for this user."""
    name = console_named(definition.vm, name)
    kept = _kept(places, definition, name, limit_bytes)
    if kept is None:
        return b""
    try:
        return b"".join(iter(kept.read, b""))
    finally:
        kept.close()


def _kept(
    places: Places, definition: Definition, name: str, history_bytes: int
) -> KeptOutput | None:
    # In this thread: one that is given up would leave the file open.
    path = dict(definition.console_logs).get(name)
    return logs.kept(path, history_bytes) if path is not None and places.local else None
