"""`isolation` and `restrict`: what a guest can reach, and less of it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from vmtui import configuring
from vmtui.backends.abilities import Isolates
from vmtui.commands.configuring import planned
from vmtui.errors import EXIT_DONE, StateError, UnsupportedError
from vmtui.fleet import Fleet
from vmtui.hardware.around import Barrier
from vmtui.hardware.changes import ChangePlan, When
from vmtui.opening import connected
from vmtui.output import print_json, print_table
from vmtui.views import VMRef


async def isolation(options: argparse.Namespace) -> int:
    """`vmtui isolation NAME`."""
    async with connected(options) as fleet:
        barriers = await _barriers(fleet, fleet.find(options.name))
    if options.json:
        print_json(
            [
                {
                    "topic": one.topic,
                    "value": one.value,
                    "mark": one.mark.value,
                    "advice": one.advice,
                    "restrict_changes_it": bool(one.changes),
                }
                for one in barriers
            ]
        )
    else:
        rows = [(one.topic, one.mark.value, one.value, one.advice) for one in barriers]
        print_table(("BARRIER", "IS", "NOW", "TIGHTER BY"), rows)
    return EXIT_DONE


async def restrict(options: argparse.Namespace) -> int:
    """`vmtui restrict NAME`: all that `isolation` knows a change for."""

    async def planning(fleet: Fleet, ref: VMRef) -> ChangePlan:
        barriers = await _barriers(fleet, ref)
        changes = [change for barrier in barriers for change in barrier.changes]
        if not changes:
            raise StateError(
                f"{fleet.vm(ref).name} can't be restricted further",
                hint=f"What there is: vmtui isolation {fleet.vm(ref).name}",
            )
        unique = list(dict.fromkeys(changes))
        return await configuring.plan(fleet, ref, unique, When(options.when))

    return await planned(options, planning)


async def _barriers(fleet: Fleet, ref: VMRef) -> Sequence[Barrier]:
    backend = fleet.backend(ref)
    if not isinstance(backend, Isolates):
        raise UnsupportedError(f"{fleet.connection(ref.uri).label} can't tell how VMs are isolated")
    return await backend.isolation(ref.id)
