"""`edit`: a VM's definition in the user's own editor, checked, shown as a difference, applied."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

from vmtui import configuring
from vmtui.commands.configuring import done, tell_outcome, tell_plan
from vmtui.commands.confirming import asked, confirm_loss, on_terminal
from vmtui.editing import Edit, check_text, editing
from vmtui.errors import EXIT_DONE, InputError, RefusedError
from vmtui.fleet import Fleet
from vmtui.hardware.changes import ChangePlan, DefinitionText, When
from vmtui.hardware.wording import told
from vmtui.opening import connected
from vmtui.units import plain
from vmtui.views import VMRef


async def edit(options: argparse.Namespace) -> int:
    """`vmtui edit NAME`."""
    async with connected(options) as fleet:
        ref = fleet.find(options.name)
        name = fleet.vm(ref).name
        stored = await configuring.configures(fleet, ref).definition(ref.id)
        begin = await _from(options.source) if options.source else ""
        edit = None
        try:
            async with editing(name, stored, begin) as edit:
                return await _edited(fleet, ref, edit, options)
        except asyncio.CancelledError:
            if edit is not None and edit.kept_in:
                again = f"vmtui edit {plain(name)} --from {plain(edit.kept_in)}"
                print(f"\nThe edit is kept: {again}", file=sys.stderr)
            raise


async def _edited(fleet: Fleet, ref: VMRef, edit: Edit, options: argparse.Namespace) -> int:
    plan = None
    while plan is None:
        edited = await edit.turn()
        if edited is None:
            print(f"{plain(fleet.vm(ref).name)} is left as it is.")
            return EXIT_DONE
        plan = await _agreed(fleet, ref, edit, edited, options)
    came = await done(fleet, ref, plan)
    edit.settled()
    return tell_outcome(plan, came)


async def _agreed(
    fleet: Fleet, ref: VMRef, edit: Edit, edited: DefinitionText, options: argparse.Namespace
) -> ChangePlan | None:
    """What is to be done; None: to edit on. Raises RefusedError for neither."""
    try:
        check_text(edited.text)
        plan = await configuring.plan_text(fleet, ref, edited, When(options.when))
    except InputError as error:
        if not on_terminal():
            raise
        print(f"vmtui: {error}", file=sys.stderr)
        if (await asked("Edit it again? [Y/n]")).lower() in ("n", "no"):
            raise
        edit.remark(error)
        return None
    tell_plan(plan)
    if plan.loses:
        await confirm_loss(plan.name, told(plan), options.confirm)
        return plan
    return plan if options.yes or await _confirmed(plan.name) else None


async def _confirmed(name: str) -> bool:
    """Whether to do it; False: to edit on."""
    if not on_terminal():
        raise RefusedError(
            f"the edit of {name} was not confirmed",
            hint="Without a terminal to ask on, add --yes.",
        )
    answer = (await asked(f"Change {plain(name)} like that? [y/N, e edits on]")).lower()
    if answer not in ("y", "yes", "e", "edit"):
        raise RefusedError("nothing is changed")
    return answer in ("y", "yes")


async def _from(source: str) -> str:
    try:
        return await asyncio.to_thread(Path(source).read_text, "utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror or "" if isinstance(error, OSError) else "it is no text"
        raise InputError(f"{source} can't be read", why=why) from error
