"""`ssh`, `cp` and `wait`: a VM by its ssh server, and until it can be reached."""

from __future__ import annotations

import argparse
import asyncio
import math
import os
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import NoReturn

from vmtui.commands.waiting import STARTED_S, login_after_s
from vmtui.errors import (
    EXIT_DONE,
    MissingError,
    NoSuchVMError,
    OperationError,
    UsageError,
)
from vmtui.fleet import Fleet
from vmtui.opening import connected
from vmtui.output import print_json
from vmtui.reachable import addressed, running, ssh_within, until_agent, until_ssh
from vmtui.ssh import argv, copying, keep_known_hosts
from vmtui.units import plain
from vmtui.views import VMRef


async def ssh(options: argparse.Namespace) -> int:
    """`vmtui ssh NAME`: this process becomes ssh."""
    async with connected(options) as fleet:
        ref = fleet.find(options.name)
        command = argv(await addressed(fleet, ref), ref.uri, options.remote)
    await keep_known_hosts()
    _become(command)


async def cp(options: argparse.Namespace) -> int:
    """`vmtui cp SOURCE TARGET`: this process becomes scp."""
    async with connected(options) as fleet:
        source, target = _Place.of(fleet, options.source), _Place.of(fleet, options.target)
        ref = target.ref or source.ref
        if ref is None:
            raise UsageError("neither is in a VM", hint="Write that one as NAME:PATH.")
        if source.ref and target.ref:
            raise UsageError("both are in VMs", hint="Copy it here first, then from here.")
        command = copying(
            *(await addressed(fleet, ref), ref.uri, source.path, target.path),
            to_guest=target.ref is not None,
            recursive=options.recursive,
        )
    await keep_known_hosts()
    _become(command)


def _become(command: list[str]) -> NoReturn:
    try:
        os.execvp(command[0], command)  # noqa: S606 (no shell is wanted)
    except OSError as error:
        raise MissingError(
            f"{command[0]} is not installed", hint="Install openssh-client."
        ) from error


@dataclass(frozen=True, slots=True)
class _Place:
    """A file on this machine, or in a VM."""

    ref: VMRef | None
    path: str

    @classmethod
    def of(cls, fleet: Fleet, text: str) -> _Place:
        """Of `PATH` or `NAME:PATH`; one of this machine with a colon in it is `./PATH`."""
        if text.startswith(("/", ".")) or ":" not in text:
            # Before a slash, scp takes a colon for the end of a host's name.
            return cls(None, text if text.startswith(("/", "./", "../")) else f"./{text}")
        for at, letter in enumerate(text):
            # Names of connections have colons in them too.
            if letter == ":":
                with suppress(NoSuchVMError):
                    return cls(fleet.find(text[:at]), text[at + 1 :])
        fleet.find(text.partition(":")[0])
        raise AssertionError(text)


async def wait(options: argparse.Namespace) -> int:
    """`vmtui wait NAME --for ssh|login|agent|off`."""
    started_s = time.monotonic()
    wanted = _WAITS[options.what]
    async with connected(options) as fleet:
        ref = fleet.find(options.name)
        name = fleet.vm(ref).name
        try:
            async with asyncio.timeout(options.timeout):
                await wanted.until(fleet, ref)
        except TimeoutError as error:
            raise OperationError(
                f"{name} {wanted.missed} within {options.timeout:.0f} s",
                hint=f"It goes on. See: vmtui log {name} --console",
            ) from error
    after_s = time.monotonic() - started_s
    if options.json:
        print_json({"name": name, "for": options.what, "after_s": round(after_s, 3)})
    else:
        print(f"{plain(name)} {wanted.done} after {after_s:.2f} s")
    return EXIT_DONE


async def ssh_after_s(fleet: Fleet, ref: VMRef, timeout_s: float) -> float:
    """Wait until its ssh server answers; gives the seconds since the program began."""
    await ssh_within(fleet, ref, timeout_s)
    return time.monotonic() - STARTED_S


async def _until_login(fleet: Fleet, ref: VMRef) -> None:
    await running(fleet, ref)
    await login_after_s(fleet, ref, math.inf)


async def _until_off(fleet: Fleet, ref: VMRef) -> None:
    await fleet.wait_until(ref, lambda vm: vm is None or not vm.state.active, math.inf)


@dataclass(frozen=True, slots=True)
class _Wait:
    """What can be waited for, and how it is told that it came or did not."""

    until: Callable[[Fleet, VMRef], Awaitable[None]]
    done: str
    missed: str


_WAITS = {
    "ssh": _Wait(until_ssh, "answers ssh", "did not answer ssh"),
    "login": _Wait(_until_login, "shows its login prompt", "showed no login prompt"),
    "agent": _Wait(until_agent, "has its guest agent", "had no guest agent"),
    "off": _Wait(_until_off, "is off", "was not off"),
}
