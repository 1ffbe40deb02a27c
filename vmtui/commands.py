"""What each command does: one coroutine a command, from parsed options to an exit status."""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import msgspec

from vmtui import actions
from vmtui.backends.base import Consoles, Logs, Progress, no_progress
from vmtui.config import config_path, escape_byte, load
from vmtui.errors import (
    EXIT_DONE,
    EXIT_FAILED,
    InputError,
    RefusedError,
    UnsupportedError,
    UsageError,
    VmtuiError,
)
from vmtui.fleet import Fleet
from vmtui.model import VM, Accel, Firmware, Power
from vmtui.opening import complain, connected
from vmtui.output import print_facts, print_json, print_table
from vmtui.readiness import wait_for_login
from vmtui.spec import VMSpec, default_disk_bytes, default_memory_bytes
from vmtui.units import parse_size_bytes, plain, size
from vmtui.views import VMRef

STARTED_S = time.monotonic()
"""When the program began, as near as it can be known: what `--wait` counts from."""


def _failed(error: VmtuiError) -> int:
    complain(error)
    return error.exit_status


def _on_terminal(progress: Progress) -> None:
    if sys.stderr.isatty():
        print(f"\r\x1b[K{progress.text}", end="", file=sys.stderr, flush=True)


def _clear_progress() -> None:
    if sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)


# -- looking ---------------------------------------------------------------------------------


async def list_vms(options: argparse.Namespace) -> int:
    """`vmtui list`."""
    async with connected(options) as fleet:
        rows = [(c.label, vm) for c in fleet.connections for vm in c.vms]
        status = EXIT_DONE
        for connection in fleet.connections:
            if connection.problem is not None:
                status = _failed(connection.problem)
    if options.json:
        print_json([_facts(label, vm) for label, vm in rows])
    elif rows:
        print_table(
            ("NAME", "STATE", "VCPUS", "MEMORY", "ACCEL", "CONNECTION"),
            [
                (vm.name, vm.state, str(vm.vcpus), size(vm.memory_bytes), vm.accel or "–", label)
                for label, vm in rows
            ],
        )
    elif status == EXIT_DONE:
        print("There are no VMs. Make one: vmtui create NAME --start --wait")
    return status


async def show(options: argparse.Namespace) -> int:
    """`vmtui show NAME`."""
    async with connected(options) as fleet:
        ref = fleet.find(options.name)
        facts = _facts(fleet.connection(ref.uri).label, fleet.vm(ref))
    if options.json:
        print_json(facts)
    else:
        print_facts(facts)
    return EXIT_DONE


def _facts(connection: str, vm: VM) -> dict[str, Any]:
    facts = msgspec.to_builtins(vm)
    facts["uuid"] = vm.uuid
    return {"name": facts.pop("name"), "connection": connection, **facts}


async def log(options: argparse.Namespace) -> int:
    """`vmtui log NAME`."""
    async with connected(options) as fleet:
        ref = fleet.find(options.name)
        backend = fleet.backend(ref)
        if not isinstance(backend, Logs):
            raise UnsupportedError(f"{backend.uri} keeps no logs")
        if options.console:
            text = (await backend.console_history(ref.id)).decode(errors="replace")
        else:
            text = await backend.log(ref.id)
    # On a terminal, what a guest printed must not be obeyed.
    print(plain(text, keep_lines=True) if sys.stdout.isatty() else text, end="")
    return EXIT_DONE


async def top(options: argparse.Namespace) -> int:
    """`vmtui top`."""
    from vmtui.top import top as run  # noqa: PLC0415

    return await run(options)


async def exporter(options: argparse.Namespace) -> int:
    """`vmtui exporter`."""
    from vmtui.exporter import exporter as run  # noqa: PLC0415

    return await run(options)


# -- changing --------------------------------------------------------------------------------


async def create(options: argparse.Namespace) -> int:
    """`vmtui create NAME`."""
    from vmtui.images.resolve import resolve  # noqa: PLC0415

    if options.wait and not options.start:
        raise UsageError("--wait needs --start")
    boot = await resolve(options.image)
    spec = VMSpec(
        name=options.name,
        boot=boot,
        vcpus=options.cpus,
        memory_bytes=_size("--memory", options.memory) or default_memory_bytes(boot),
        disk_bytes=_size("--disk", options.disk) or default_disk_bytes(boot),
        firmware=Firmware(options.firmware),
        tpm=options.tpm,
        accel=Accel(options.accel),
    )
    async with connected(options) as fleet:
        uri = fleet.connections[0].uri
        try:
            ref = await fleet.create(uri, spec, _on_terminal)
        finally:
            _clear_progress()
        waited_s = None
        if options.start:
            await fleet.backend(ref).power(ref.id, Power.START)
            if options.wait:
                waited_s = await _wait_for_login(fleet, ref, options.timeout)
            await fleet.connection(uri).refresh(ref.id)
        vm = fleet.vm(ref)
        facts = _facts(fleet.connection(uri).label, vm)
    if options.json:
        print_json({**facts, "login_after_s": waited_s})
    elif waited_s is not None:
        print(f"{vm.name} is running; login prompt after {waited_s:.2f} s")
        print(f"Attach with: vmtui console {shlex.quote(vm.name)}")
    elif options.start:
        print(f"{vm.name} is running")
    else:
        print(f"{vm.name} is made; start it with: vmtui start {shlex.quote(vm.name)}")
    return EXIT_DONE


def _size(option: str, text: str | None) -> int | None:
    if text is None:
        return None
    try:
        return parse_size_bytes(text)
    except ValueError as error:
        raise InputError(f"{option} can't be used", why=str(error)) from error


async def _wait_for_login(fleet: Fleet, ref: VMRef, timeout_s: float) -> float:
    backend = fleet.backend(ref)
    name = fleet.vm(ref).name
    if not isinstance(backend, Consoles):
        raise UnsupportedError(f"{backend.uri} has no consoles to wait on")
    await wait_for_login(backend.console_output(ref.id), name, timeout_s)
    return time.monotonic() - STARTED_S


async def lifecycle(options: argparse.Namespace) -> int:
    """Every verb of the action table, on one or several VMs: a line of result for each."""
    action = actions.BY_COMMAND[options.command]
    statuses = []
    async with connected(options) as fleet:
        for name in dict.fromkeys(options.names):
            try:
                print(await _perform(action, fleet, name, options), flush=True)
                statuses.append(EXIT_DONE)
            except VmtuiError as error:
                _clear_progress()
                statuses.append(_failed(error))
    return next((status for status in statuses if status != EXIT_DONE), EXIT_DONE)


async def _perform(
    action: actions.Action, fleet: Fleet, name: str, options: argparse.Namespace
) -> str:
    ref = fleet.find(name)
    action.check(fleet, ref)
    assert action.prepare is not None
    prepared = await action.prepare(fleet, ref)
    if action.dangerous and not options.yes:
        _confirm(action, fleet.vm(ref).name, prepared.consequences)
    progress = _on_terminal if action.command == "shutdown" else no_progress
    result = await prepared.work(progress)
    _clear_progress()
    if getattr(options, "wait", False):
        waited_s = await _wait_for_login(fleet, ref, options.timeout)
        result += f"; login prompt after {waited_s:.2f} s"
    return result


def _confirm(action: actions.Action, name: str, consequences: Sequence[str]) -> None:
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise RefusedError(
            f"{action.command} of {name} was not confirmed",
            why="\n".join(consequences),
            hint="Without a terminal to ask on, add --yes.",
        )
    for line in consequences:
        print(plain(line), file=sys.stderr)
    print(f"{action.label.capitalize()} {plain(name)}? [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise RefusedError(f"{name} is left alone")


async def console(options: argparse.Namespace) -> int:
    """`vmtui console NAME`."""
    from vmtui.attach import attach  # noqa: PLC0415

    config = load()
    escape = escape_byte(options.escape or config.console_escape)
    async with connected(options) as fleet:
        ref = fleet.find(options.name)
        actions.BY_ID["console"].check(fleet, ref)
        backend = fleet.backend(ref)
        name = fleet.vm(ref).name
        if not isinstance(backend, Consoles):
            raise UnsupportedError(f"{backend.uri} has no consoles")
        attached = await backend.console(ref.id, force=options.force)
        history = b""
        if isinstance(backend, Logs) and sys.stdin.isatty():
            history = await backend.console_history(ref.id)
        reason = await attach(attached, name=name, escape=escape, history=history)
    if sys.stderr.isatty():
        print(f"{plain(name)}: {reason}", file=sys.stderr)
    return EXIT_DONE


# -- this machine ------------------------------------------------------------------------------


async def doctor(options: argparse.Namespace) -> int:
    """`vmtui doctor`: exit status 1 if something is missing."""
    from vmtui.doctor import checks  # noqa: PLC0415

    found = await checks(recheck=options.recheck)
    if options.json:
        print_json([msgspec.to_builtins(check) for check in found])
    else:
        width = max(len(check.name) for check in found)
        for check in found:
            print(f"{'✓' if check.ok else '✗'} {check.name:{width}}  {plain(check.found)}")
            if not check.ok:
                indent = " " * (width + 4)
                print(f"{indent}so: {plain(check.costs)}\n{indent}do: {plain(check.fix)}")
    return EXIT_DONE if all(check.ok for check in found) else EXIT_FAILED


async def config(options: argparse.Namespace) -> int:
    """`vmtui config path|show|check`."""
    if options.what == "path":
        print(config_path())
        return EXIT_DONE
    settings = load()
    if options.what == "show":
        import tomli_w  # noqa: PLC0415

        print(tomli_w.dumps(msgspec.to_builtins(settings)), end="")
        return EXIT_DONE
    unknown = [action for action in settings.keys if action not in actions.BY_ID]
    if unknown:
        raise InputError(
            f"{config_path()}: keys.{unknown[0]}",
            why="there is no such action",
            hint="There is: " + ", ".join(sorted(actions.BY_ID)) + ".",
        )
    print(f"{config_path()} " + ("is good" if config_path().exists() else "is not there: defaults"))
    return EXIT_DONE


async def completion(options: argparse.Namespace) -> int:
    """`vmtui completion SHELL`."""
    import shtab  # noqa: PLC0415

    from vmtui.parser import build_parser  # noqa: PLC0415

    print(shtab.complete(build_parser(), shell=options.shell))
    return EXIT_DONE


Command = Callable[[argparse.Namespace], Coroutine[Any, Any, int]]

COMMANDS: dict[str, Command] = {
    "list": list_vms,
    "show": show,
    "create": create,
    "console": console,
    "log": log,
    "top": top,
    "exporter": exporter,
    "doctor": doctor,
    "config": config,
    "completion": completion,
    **{
        action.command: lifecycle
        for action in actions.ACTIONS
        if action.command and action.prepare is not None
    },
}
