"""The command line's entry: parse, run, and end with the right status."""

from __future__ import annotations

import argparse
import asyncio
import errno
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

from vmtui.errors import EXIT_FAILED, UsageError, VmtuiError
from vmtui.parser import build_parser

EXIT_INTERRUPTED = 130

FRAMES = {"TEXTUAL_FPS": "240"}
"""Textual paints at its own beat, not when something changed: at its 60 a second an echo that just
missed one comes 33 ms later. How often consoles are drawn is `consoles.redraws`' to say."""

Command = Callable[[argparse.Namespace], Coroutine[Any, Any, int]]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; gives the exit status."""
    try:
        options = build_parser().parse_args(argv)
        if options.command is None:
            return _interface(options)
        if options.replay is not None:
            raise UsageError("--replay opens the interface: there is no command with it")
        if hasattr(options, "record") and options.command != "top":
            raise UsageError(f"{options.command} can't record", hint="vmtui --record FILE can.")
        from vmtui import commands  # noqa: PLC0415

        return _told(_run(commands.command(options.command), options))
    except VmtuiError as error:
        print(f"vmtui: {error}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has gone.
        _print_no_more()
        return EXIT_FAILED
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
            raise
        _print_no_more()
        print(f"vmtui: what it says can't be written: {error.strerror}", file=sys.stderr)
        return EXIT_FAILED


def _told(status: int) -> int:
    """The same once all is printed: while it can be said that this fails."""
    sys.stdout.flush()
    return status


def _print_no_more() -> None:
    """What is left must not be tried again at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _interface(options: argparse.Namespace) -> int:
    from vmtui.opening import chosen  # noqa: PLC0415

    uris, config, read_only = chosen(options)
    record = getattr(options, "record", None)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("the interface needs a terminal", hint="For scripts: vmtui list --json.")
    if options.replay is not None:
        if record is not None:
            raise UsageError("--replay and --record can't be used together")
        from vmtui.replay_app import replay  # noqa: PLC0415

        return replay(Path(options.replay), config)
    for name, value in FRAMES.items():
        os.environ.setdefault(name, value)
    from vmtui.app import run  # noqa: PLC0415

    return run(uris, config, read_only=read_only, record=Path(record) if record else None)


def _run(command: Command, options: argparse.Namespace) -> int:
    received: list[int] = []

    async def cancellable() -> int:
        # A closed terminal and a polite kill end like Ctrl+C does: with everything put back.
        task = asyncio.ensure_future(command(options))

        def end(number: int) -> None:
            received.append(number)
            task.cancel()

        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
            loop.add_signal_handler(number, end, number)
        return await task

    try:
        return asyncio.run(cancellable())
    except asyncio.CancelledError:
        return 128 + received[0] if received else EXIT_FAILED
