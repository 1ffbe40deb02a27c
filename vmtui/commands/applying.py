"""`create -f FILE`: the VMs of a file, those that are there left as they are."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence
from pathlib import Path

from vmtui.backends.registry import shelf_for
from vmtui.commands.confirming import confirm
from vmtui.commands.telling import clear_progress, on_terminal
from vmtui.errors import EXIT_DONE, InputError, UsageError
from vmtui.file_plan import Planned, Step, plan
from vmtui.fleet import Fleet
from vmtui.making import completed, make, not_made, specification, starting
from vmtui.model import Power
from vmtui.opening import connected
from vmtui.output import print_json
from vmtui.recipe import Recipe, read_file
from vmtui.shelf import Shelf
from vmtui.spec import VMSpec
from vmtui.spec_problems import problems
from vmtui.stages import Stages, told

_ALONE = (
    *("name", "image", "preset", "cpus", "memory", "disk", "wait", "dry_run"),
    *("full_copy", "firmware", "tpm", "accel", "add_disk", "media", "network", "forward", "share"),
    *("user", "ssh_key", "cloud_init", "description", "tag", "autostart"),
)
"""Options of one VM, which a file says of each."""


async def apply(options: argparse.Namespace) -> int:
    """Plan, ask, make what is missing."""
    if given := [name for name in _ALONE if _is_given(getattr(options, name))]:
        raise UsageError(f"{given[0].replace('_', '-')} and -f FILE can't be used together")
    path = Path(options.file)
    recipes = await _read(path)
    async with connected(options) as fleet:
        connection = fleet.connections[0]
        steps = plan(recipes, connection.vms)
        if not options.json:
            print(*steps, sep="\n")
        missing = [step.recipe for step in steps if step.step is Step.MAKE]
        # All are looked into before any is made: a mistake in the last leaves nothing behind.
        shelf = shelf_for([connection.uri])
        specs = [await _checked(fleet, shelf, connection.uri, recipe) for recipe in missing]
        if options.plan or not specs:
            _tell_json(options, steps, {})
            return EXIT_DONE
        if not options.yes:
            what = "1 VM" if len(specs) == 1 else f"{len(specs)} VMs"
            await confirm(f"Make {what}?", (), what=f"making {what}", left="nothing is made")
        took: dict[str, Stages] = {}
        for spec in specs:
            took[spec.name] = await _made(fleet, shelf, connection.uri, spec, options)
        _tell_json(options, steps, took)
    return EXIT_DONE


def _is_given(value: object) -> bool:
    """Of a value None stands for nothing, of a flag False; 0 is something."""
    return value is not None and value is not False


async def _read(path: Path) -> list[Recipe]:
    try:
        text = await asyncio.to_thread(path.read_text, "utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror or "" if isinstance(error, OSError) else "it is no text"
        raise InputError(f"{path} can't be read", why=why) from error
    return [await completed(recipe, path.parent) for recipe in read_file(text, str(path))]


async def _checked(fleet: Fleet, shelf: Shelf, uri: str, recipe: Recipe) -> VMSpec:
    spec = await specification(recipe, shelf)
    found = problems(spec, await fleet.asked_limits(uri))
    if found:
        raise not_made(spec.name, found)
    return spec


async def _made(
    fleet: Fleet, shelf: Shelf, uri: str, spec: VMSpec, options: argparse.Namespace
) -> Stages:
    stages = Stages()
    sink = stages.following(on_terminal)
    try:
        ref = await make(fleet, shelf, uri, spec, sink)
        if options.start:
            async with starting(fleet, ref, sink):
                await fleet.backend(ref).power(ref.id, Power.START)
    finally:
        stages.end()
        clear_progress()
    if not options.json:
        done = "is running" if options.start else "is made"
        print(f"{spec.name} {done} ({told(stages.all)})", flush=True)
    return stages


def _tell_json(
    options: argparse.Namespace, steps: Sequence[Planned], took: dict[str, Stages]
) -> None:
    if not options.json:
        return
    print_json(
        [
            {
                "name": step.recipe.name,
                "step": step.step.name.lower(),
                "differences": step.differences,
                "made": step.recipe.name in took,
            }
            for step in steps
        ]
    )
