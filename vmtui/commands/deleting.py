"""`delete` with its choices, and `trash`: deleted VMs that can be had again."""

from __future__ import annotations

import argparse
import time
from dataclasses import replace

import msgspec

from vmtui import actions
from vmtui.backends.abilities import Trash, Trashed
from vmtui.backends.base import DeletePlan, Feature
from vmtui.commands.confirming import confirm
from vmtui.commands.telling import failed
from vmtui.connection import Connection
from vmtui.deletion import consequences, sparing
from vmtui.errors import (
    EXIT_DONE,
    NoSuchVMError,
    UnsupportedError,
    UsageError,
    VmtuiError,
    read_only,
)
from vmtui.fleet import Fleet
from vmtui.opening import connected
from vmtui.output import print_json, print_table
from vmtui.ssh import forget_known_host
from vmtui.units import duration, plain, size
from vmtui.views import VMRef


async def delete(options: argparse.Namespace) -> int:
    """`vmtui delete NAME…`: a line of result for each, or with `--plan` what would go."""
    if options.json and not options.plan:
        raise UsageError("--json is for --plan")
    statuses, plans = [], []
    async with connected(options) as fleet:
        for name in dict.fromkeys(options.names):
            try:
                ref = fleet.find(name)
                actions.BY_COMMAND["delete"].check(fleet, ref)
                plan = await _plan(fleet, ref, options)
                plans.append(plan)
                if not options.plan:
                    await _delete(fleet, ref, plan, options)
                statuses.append(EXIT_DONE)
            except VmtuiError as error:
                statuses.append(failed(error))
    if options.json:
        print_json([msgspec.to_builtins(plan) for plan in plans])
    elif options.plan:
        for plan in plans:
            print(f"{plain(plan.name)}:", *consequences(plan), sep="\n  ")
    return next((status for status in statuses if status != EXIT_DONE), EXIT_DONE)


async def _plan(fleet: Fleet, ref: VMRef, options: argparse.Namespace) -> DeletePlan:
    plan = sparing(await fleet.backend(ref).delete_plan(ref.id), options.keep)
    if options.trash and Feature.TRASH not in fleet.backend(ref).features:
        raise UnsupportedError(
            f"{fleet.connection(ref.uri).label} has no trash",
            hint="Leave out --trash to delete it for good; --keep WHAT leaves what you name.",
        )
    return replace(plan, to_trash=plan.to_trash or options.trash)


async def _delete(fleet: Fleet, ref: VMRef, plan: DeletePlan, options: argparse.Namespace) -> None:
    if not options.yes:
        await confirm(
            f"Delete {plan.name}?",
            consequences(plan),
            what=f"delete of {plan.name}",
            left=f"{plan.name} is left alone",
        )
    await fleet.delete(ref, plan)
    if not plan.to_trash:
        await forget_known_host(ref.id)
    where = f"in the trash: vmtui trash restore {plan.name}" if plan.to_trash else "deleted"
    print(f"{plain(plan.name)} is {plain(where)}", flush=True)


async def trash(options: argparse.Namespace) -> int:
    """`vmtui trash list|restore|empty`."""
    if options.what == "list" and options.names:
        raise UsageError("trash list takes no NAME")
    if options.what == "restore" and not options.names:
        raise UsageError("trash restore needs a NAME")
    if options.what != "list" and options.json:
        raise UsageError("--json is for trash list")
    async with connected(options) as fleet:
        found, status = await _all_trashed(fleet)
        if options.what == "list":
            _tell(found, options, whole=status == EXIT_DONE)
            return status
        chosen = [_named(found, name) for name in options.names] if options.names else found
        for connection, one in chosen:
            if connection.read_only:
                raise read_only(f"{options.what} of {one.name}")
        if options.what == "empty" and chosen and not options.yes:
            lines = [f"Deleted for good: {one.name}" for _, one in chosen]
            await confirm("Empty the trash?", lines, what="emptying the trash")
        for connection, one in chosen:
            backend = connection.backend
            assert isinstance(backend, Trash)
            try:
                await (backend.restore if options.what == "restore" else backend.purge)(one.vm)
            except VmtuiError as error:
                status = failed(error)
                continue
            done = "back" if options.what == "restore" else "gone for good"
            print(f"{plain(one.name)} is {done}", flush=True)
    return status


async def _all_trashed(fleet: Fleet) -> tuple[list[tuple[Connection, Trashed]], int]:
    """What is in all trashes; a connection that can't be asked is told, and in the status."""
    found: list[tuple[Connection, Trashed]] = []
    status = EXIT_DONE
    for connection in fleet.connections:
        backend = connection.backend
        if connection.problem is not None:
            status = failed(connection.problem)
        elif isinstance(backend, Trash) and Feature.TRASH in backend.features:
            found += [(connection, one) for one in await backend.trashed()]
    return found, status


def _named(found: list[tuple[Connection, Trashed]], name: str) -> tuple[Connection, Trashed]:
    """The one that was deleted last under that name."""
    for connection, one in found:
        if name in (one.name, one.vm):
            return connection, one
    raise NoSuchVMError(
        f"there is no {name!r} in the trash",
        hint="There is: " + ", ".join(one.name for _, one in found) + "." if found else "",
    )


def _tell(
    found: list[tuple[Connection, Trashed]], options: argparse.Namespace, *, whole: bool
) -> None:
    if options.json:
        print_json([{"connection": c.label, **msgspec.to_builtins(one)} for c, one in found])
        return
    if not found:
        if whole:
            print("The trash is empty.")
        return
    now_s = time.time()
    print_table(
        ("NAME", "SIZE", "DELETED", "GONE IN", "CONNECTION"),
        [
            (
                one.name,
                size(one.size_bytes),
                f"{duration(now_s - one.deleted_at_s)} ago",
                duration(one.gone_at_s - now_s),
                connection.label,
            )
            for connection, one in found
        ],
    )
