"""From the options of the command line to an open fleet."""

from __future__ import annotations

import argparse
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from vmtui.backends.registry import default_uris, endpoints
from vmtui.config import Config, load
from vmtui.errors import UsageError, VmtuiError
from vmtui.fleet import Fleet
from vmtui.views import ConnectionStatus, FleetView

INTERVALS_S = (0.2, 3600.0)


def chosen(options: argparse.Namespace) -> tuple[list[str], Config, bool]:
    """The connections, the configuration and whether changes are refused. Raises ConfigError."""
    config = load()
    read_only = bool(getattr(options, "read_only", False)) or config.read_only
    if getattr(options, "demo", False):
        uris = ["demo:"]
    else:
        asked_for = [*getattr(options, "connect", ()), *getattr(options, "connect_too", ())]
        uris = asked_for or list(config.connections) or default_uris()
    return list(uris), config, read_only


@asynccontextmanager
async def connected(options: argparse.Namespace) -> AsyncIterator[Fleet]:
    """A fleet that was opened and listed once, for a command that looks or acts."""
    uris, config, read_only = chosen(options)
    opened = endpoints(uris, read_only=read_only, trash_days=config.trash_days)
    fleet = Fleet(opened, read_only=read_only)
    try:
        await fleet.connect()
        yield fleet
    finally:
        await fleet.close()


@asynccontextmanager
async def supervised(options: argparse.Namespace) -> AsyncIterator[Fleet]:
    """A fleet that is kept open and sampled, and recorded if asked for."""
    uris, config, read_only = chosen(options)
    interval_s = config.interval_s if options.interval is None else options.interval
    if not INTERVALS_S[0] <= interval_s <= INTERVALS_S[1]:
        raise UsageError(
            f"--interval {interval_s:g} can't be used",
            why=f"it has to be from {INTERVALS_S[0]:g} to {INTERVALS_S[1]:g} s",
        )
    fleet = Fleet(
        endpoints(uris, read_only=read_only, trash_days=config.trash_days),
        interval_s=interval_s,
        read_only=read_only,
        thresholds=config.thresholds(),
    )
    async with AsyncExitStack() as stack:
        stack.push_async_callback(fleet.close)
        path = getattr(options, "record", None)
        if path is not None:
            from vmtui.recorder import recorded  # noqa: PLC0415

            await stack.enter_async_context(recorded(fleet, Path(path), complain))
        fleet.supervise()
        yield fleet


class Losses:
    """Says on standard error, once each time, that a connection is down."""

    def __init__(self) -> None:
        self._told: set[str] = set()

    def tell(self, view: FleetView) -> None:
        """Say what is new."""
        for connection in view.connections:
            if connection.status is ConnectionStatus.UP:
                self._told.discard(connection.uri)
            elif connection.problem is not None and connection.uri not in self._told:
                self._told.add(connection.uri)
                complain(connection.problem)


def complain(error: VmtuiError) -> None:
    """Tell an error on standard error."""
    print(f"vmtui: {error}", file=sys.stderr)
