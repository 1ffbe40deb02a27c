"""`list` and `show`, and the commands that watch."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence

from vmtui.commands.telling import facts_of, failed
from vmtui.errors import EXIT_DONE
from vmtui.model import VM
from vmtui.opening import connected
from vmtui.output import print_facts, print_json, print_table
from vmtui.units import plain, size


async def list_vms(options: argparse.Namespace) -> int:
    """`vmtui list`."""
    async with connected(options) as fleet:
        rows = [(c.label, vm) for c in fleet.connections for vm in c.vms]
        status = EXIT_DONE
        for connection in fleet.connections:
            if connection.problem is not None:
                status = failed(connection.problem)
    if options.names:
        _print_names(rows)
    elif options.json:
        print_json([facts_of(label, vm) for label, vm in rows])
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


def _print_names(rows: Sequence[tuple[str, VM]]) -> None:
    """As they can be typed: with their connection where two share a name."""
    shared = Counter(vm.name for _, vm in rows)
    for label, vm in rows:
        print(plain(vm.name if shared[vm.name] == 1 else f"{label}/{vm.name}"))


async def show(options: argparse.Namespace) -> int:
    """`vmtui show NAME`."""
    async with connected(options) as fleet:
        ref = fleet.find(options.name)
        if options.hardware or options.diff:
            from vmtui.commands.describing import show_hardware  # noqa: PLC0415
            from vmtui.configuring import hardware  # noqa: PLC0415

            found = await hardware(fleet, ref)
            show_hardware(found, only_pending=options.diff, as_json=options.json)
            return EXIT_DONE
        facts = facts_of(fleet.connection(ref.uri).label, fleet.vm(ref))
    if options.json:
        print_json(facts)
    else:
        print_facts(facts)
    return EXIT_DONE


async def top(options: argparse.Namespace) -> int:
    """`vmtui top`."""
    from vmtui.top import top as run  # noqa: PLC0415

    return await run(options)


async def exporter(options: argparse.Namespace) -> int:
    """`vmtui exporter`."""
    from vmtui.exporter import exporter as run  # noqa: PLC0415

    return await run(options)
