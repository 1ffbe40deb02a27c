"""`console`, and `log`, which tells what one printed."""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vmtui import actions
from vmtui.backends.base import Backend
from vmtui.backends.ways_in import Console, Consoles, ConsoleSizes, Ending, Logs, Watchable
from vmtui.config import escape_byte, load
from vmtui.errors import (
    EXIT_DONE,
    EXIT_FAILED,
    BusyError,
    ConfigError,
    InputError,
    OperationError,
    UnreachableError,
    UnsupportedError,
    UsageError,
    VmtuiError,
)
from vmtui.model import VM, VMId
from vmtui.opening import connected
from vmtui.output import print_json, until_nobody_reads
from vmtui.units import plain


async def console(options: argparse.Namespace) -> int:
    """`vmtui console NAME [CONSOLE]`."""
    if options.json and not options.list:
        raise UsageError("--json needs --list")
    escape = _escape(options.escape)
    until = _pattern(options.until)
    async with until_nobody_reads(), connected(options) as fleet:
        ref = fleet.find(options.name)
        vm = fleet.vm(ref)
        if options.list:
            return _list_consoles(vm, json=options.json)
        # Watching changes nothing, so it needs no permission to.
        (actions.BY_ID if options.watch else actions.BY_COMMAND)["console"].check(fleet, ref)
        backend = fleet.backend(ref)
        with _log_file(options.log) as log:
            attached = await _opened(backend, vm.id, options)
            try:
                await _attach(attached, backend, vm, options, escape=escape, until=until, log=log)
            finally:
                await attached.close()
        return EXIT_DONE
    # Nobody reads what it prints any more.
    return EXIT_DONE if until is None else EXIT_FAILED


def _list_consoles(vm: VM, *, json: bool) -> int:
    if json:
        print_json(vm.consoles)
    else:
        for name in vm.consoles:
            print(plain(name))
    return EXIT_DONE


async def _opened(backend: Backend, vm: VMId, options: argparse.Namespace) -> Console:
    if options.watch and isinstance(backend, Watchable):
        return await backend.watch_console(vm, options.console)
    if options.watch or not isinstance(backend, Consoles):
        what = "consoles that can be watched" if options.watch else "consoles"
        raise UnsupportedError(f"{backend.uri} has no {what}")
    return await backend.console(vm, options.console, force=options.force)


async def _attach(
    attached: Console,
    backend: Backend,
    vm: VM,
    options: argparse.Namespace,
    *,
    escape: bytes,
    until: re.Pattern[bytes] | None,
    log: int | None,
) -> None:
    from vmtui.attach import SEEN, attach  # noqa: PLC0415

    history = await _history(backend, vm.id, options.console)
    name = f"{vm.name} {options.console}".rstrip()
    try:
        async with asyncio.timeout(options.timeout):
            reason = await attach(
                attached,
                name=name,
                escape=escape,
                history=history,
                log=log,
                until=until,
                resize=lambda columns, rows: _resized(
                    backend, vm.id, options.console, columns, rows
                ),
            )
    except TimeoutError as error:
        if until is not None:
            raise OperationError(
                f"{name} did not print {options.until!r} within {options.timeout:g} s"
            ) from error
        reason = f"detached after {options.timeout:g} s"
    _refuse_ending(attached, vm, name)
    if until is not None and reason != SEEN:
        how = "stopped" if attached.ending is Ending.OFF else "was left"
        raise OperationError(f"{name} {how} before it printed {options.until!r}")
    if sys.stderr.isatty():
        print(f"{plain(name)}: {plain(reason)}", file=sys.stderr)


async def _history(backend: Backend, vm: VMId, console: str) -> bytes:
    """What was printed before, for whoever looks at a terminal."""
    if isinstance(backend, Logs) and sys.stdin.isatty() and sys.stdout.isatty():
        return await backend.console_history(vm, console)
    return b""


def _refuse_ending(attached: Console, vm: VM, name: str) -> None:
    """An end that nobody here wanted is an error."""
    if attached.ending is Ending.LOST:
        raise UnreachableError(
            f"detached from {name}",
            why=attached.ended_because,
            hint=f"The VM goes on; attach again with: vmtui console {shlex.quote(vm.name)}",
        )
    if attached.ending is Ending.TAKEN:
        raise BusyError(
            f"detached from {name}",
            why=attached.ended_because,
            hint=f"Look on with: vmtui console {shlex.quote(vm.name)} --watch",
        )


async def _resized(backend: Backend, vm: VMId, name: str, columns: int, rows: int) -> bool:
    if isinstance(backend, ConsoleSizes):
        try:
            return await backend.resize_console(vm, name, columns, rows)
        except VmtuiError:  # a guest of the wrong size is no reason to detach from it
            return False
    return False


def _escape(key: str | None) -> bytes:
    if key is None:
        return escape_byte(load().console_escape)
    try:
        return escape_byte(key)
    except ConfigError as error:
        raise UsageError(f"--escape {key} can't be used", why=error.why) from error


def _pattern(text: str | None) -> re.Pattern[bytes] | None:
    if text is None:
        return None
    try:
        return re.compile(os.fsencode(text), re.MULTILINE)
    except re.error as error:
        raise UsageError(f"--until {text!r} is no regular expression", why=str(error)) from error


@contextmanager
def _log_file(path: str | None) -> Iterator[int | None]:
    """A descriptor that appends to a file which only its owner can read if it is made here."""
    if path is None:
        yield None
        return
    try:
        # Not blocking, because a pipe without a reader would be waited for.
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC
        log = os.open(path, flags, 0o600)
    except OSError as error:
        raise InputError(f"{path} can't be written", why=error.strerror or "") from error
    try:
        if not Path(path).is_file():
            raise InputError(f"{path} can't be used as a log", why="it is not a file")
        yield log
    finally:
        os.close(log)


async def log(options: argparse.Namespace) -> int:
    """`vmtui log NAME [CONSOLE]`."""
    async with connected(options) as fleet:
        ref = fleet.find(options.name)
        backend = fleet.backend(ref)
        if not isinstance(backend, Logs):
            raise UnsupportedError(f"{backend.uri} keeps no logs")
        if options.console or options.console_name:
            data = await backend.console_history(ref.id, options.console_name)
        else:
            data = (await backend.log(ref.id)).encode()
    if sys.stdout.isatty():
        # On a terminal, what a guest printed must not be obeyed.
        print(plain(data.decode(errors="replace"), keep_lines=True), end="")
    else:
        sys.stdout.buffer.write(data)
        sys.stdout.flush()
    return EXIT_DONE
