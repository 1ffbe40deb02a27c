"""`create`."""

from __future__ import annotations

import argparse
import shlex

from vmtui.commands.telling import clear_progress, facts_of, on_terminal
from vmtui.commands.waiting import login_after_s
from vmtui.errors import EXIT_DONE, InputError, UsageError
from vmtui.model import Accel, Firmware, Power
from vmtui.opening import connected
from vmtui.output import print_json
from vmtui.spec import VMSpec, default_disk_bytes, default_memory_bytes
from vmtui.units import parse_size_bytes


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
            ref = await fleet.create(uri, spec, on_terminal)
        finally:
            clear_progress()
        waited_s = None
        if options.start:
            await fleet.backend(ref).power(ref.id, Power.START)
            if options.wait:
                waited_s = await login_after_s(fleet, ref, options.timeout)
            await fleet.connection(uri).refresh(ref.id)
        vm = fleet.vm(ref)
        facts = facts_of(fleet.connection(uri).label, vm)
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
