"""`set`, `attach`, `detach`, `undo` and `settings`: what a VM is made of, changed."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec

from vmtui import configuring
from vmtui.commands.confirming import confirm_loss
from vmtui.commands.telling import clear_progress, on_terminal
from vmtui.device_texts import device
from vmtui.errors import EXIT_DONE, EXIT_FAILED, InputError, UsageError
from vmtui.fleet import Fleet
from vmtui.hardware.changes import Assign, Attach, Change, ChangePlan, Detach, Outcome, When
from vmtui.hardware.settings import SETTINGS, Setting, setting
from vmtui.hardware.wording import outcome, told
from vmtui.opening import connected
from vmtui.output import print_json, print_table
from vmtui.units import plain
from vmtui.views import VMRef

Planning = Callable[[Fleet, VMRef], Awaitable[ChangePlan]]


async def set_values(options: argparse.Namespace) -> int:
    """`vmtui set NAME KEY=VALUE…`."""
    return await changed(options, [_assignment(text) for text in options.settings])


def _assignment(text: str) -> Assign:
    key, equals, value = text.partition("=")
    if not equals:
        raise UsageError(f"{text!r} says no value", hint=f"Write it like: {key}=VALUE")
    return Assign(key, setting(key).parse(value))


async def attach(options: argparse.Namespace) -> int:
    """`vmtui attach NAME DEVICE…`."""
    return await changed(options, [Attach(device(text)) for text in options.devices])


async def detach(options: argparse.Namespace) -> int:
    """`vmtui detach NAME PART…`."""
    return await changed(options, [Detach(part) for part in options.parts])


async def undo(options: argparse.Namespace) -> int:
    """`vmtui undo NAME`."""
    return await planned(options, configuring.plan_undo)


async def changed(options: argparse.Namespace, changes: Sequence[Change]) -> int:
    """Plan the changes, and do them unless only the plan is asked for."""

    async def planning(fleet: Fleet, ref: VMRef) -> ChangePlan:
        return await configuring.plan(fleet, ref, changes, When(options.when))

    return await planned(options, planning)


async def planned(options: argparse.Namespace, planning: Planning) -> int:
    """The same for whatever gives the plan. What is lost by it has to be confirmed."""
    async with connected(options) as fleet:
        ref = fleet.find(options.name)
        plan = await planning(fleet, ref)
        if options.plan:
            tell_plan(plan, as_json=options.json)
            return EXIT_DONE
        if plan.loses:
            await confirm_loss(plan.name, told(plan), options.confirm)
        return tell_outcome(plan, await done(fleet, ref, plan), as_json=options.json)


async def done(fleet: Fleet, ref: VMRef, plan: ChangePlan) -> Outcome:
    """Do what the plan says, with its progress on the terminal."""
    try:
        return await configuring.change(fleet, ref, plan, on_terminal)
    finally:
        clear_progress()


def tell_plan(plan: ChangePlan, *, as_json: bool = False) -> None:
    """What it would do, and how the stored definition would change."""
    if as_json:
        print_json(_facts(plan))
        return
    print(*told(plan) or ["Nothing would change."], sep="\n")
    if plan.diff:
        print(f"\n{plain(plan.diff, keep_lines=True).rstrip()}")


def tell_outcome(plan: ChangePlan, came: Outcome, *, as_json: bool = False) -> int:
    """What came of it; gives the exit status: a live step that failed is a failure."""
    problems = [one.problem for one in came.done if one.problem]
    if as_json:
        results = [{"problem": one.problem, "reached": one.reached} for one in came.done]
        print_json({**_facts(plan), "done": results})
    else:
        print(*outcome(came.done, plan.when) or ["Nothing has changed."], sep="\n")
    for problem in problems:
        print(f"vmtui: {plain(plan.name)}: {plain(problem)}", file=sys.stderr)
    return EXIT_FAILED if problems else EXIT_DONE


def _facts(plan: ChangePlan) -> dict[str, Any]:
    steps = [
        {"text": step.text, "takes": step.takes.value, "note": step.note, "loses": step.loses}
        for step in plan.steps
    ]
    return {"name": plan.name, "when": plan.when, "steps": steps, "diff": plan.diff}


async def settings(options: argparse.Namespace) -> int:
    """`vmtui settings [KEY]`."""
    chosen = _chosen(options.key) if options.key else SETTINGS
    if options.json:
        print_json([_described(one) for one in chosen])
    else:
        rows = [(one.key, one.label, one.form.told, one.help) for one in chosen]
        print_table(("KEY", "LABEL", "VALUE", "WHAT FOR"), rows)
    return EXIT_DONE


def _chosen(key: str) -> Sequence[Setting]:
    family = [one for one in SETTINGS if one.key.startswith(f"{key}.")]
    try:
        return list(dict.fromkeys([setting(key), *family]))
    except InputError:
        if family:
            return family
        raise


def _described(one: Setting) -> dict[str, Any]:
    facts: dict[str, Any] = msgspec.to_builtins(one.form)
    return {"key": one.key, "label": one.label, "part": one.part.value, **facts, "help": one.help}
