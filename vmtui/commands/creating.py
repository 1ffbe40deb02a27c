"""`create`, `sandbox` and `clone`."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vmtui.backends.base import ProgressSink
from vmtui.backends.registry import shelf_for
from vmtui.commands.telling import clear_progress, facts_of, on_terminal
from vmtui.commands.waiting import login_after_s
from vmtui.deferred import deferred
from vmtui.errors import EXIT_DONE, UsageError
from vmtui.fleet import Fleet
from vmtui.making import clone as cloned
from vmtui.making import (
    completed,
    has_cloud_init,
    make,
    preview,
    same_inside,
    specification,
    starting,
)
from vmtui.model import Accel, Firmware, Power
from vmtui.naming import free_name
from vmtui.opening import connected
from vmtui.output import print_json
from vmtui.progress import Progress
from vmtui.recipe import Recipe
from vmtui.stages import Stages, told
from vmtui.units import plain
from vmtui.views import VMRef

if TYPE_CHECKING:
    from vmtui import ssh
    from vmtui.commands import reaching
else:
    (ssh,) = deferred("vmtui", "ssh")
    (reaching,) = deferred("vmtui.commands", "reaching")


async def create(options: argparse.Namespace) -> int:
    """`vmtui create NAME`, or `-f FILE`."""
    if options.file:
        from vmtui.commands.applying import apply  # noqa: PLC0415

        return await apply(options)
    if not options.name:
        raise UsageError("create needs a name, or a file", hint="vmtui create NAME --image IMAGE")
    if options.plan or options.yes:
        raise UsageError("--plan and --yes are for -f FILE")
    if options.wait and not options.start:
        raise UsageError("--wait needs --start")
    if options.json and options.dry_run:
        raise UsageError("--json is for what is made; --dry-run prints what would run, as it is")
    recipe = await completed(asked_for(options))
    async with connected(options) as fleet:
        uri = fleet.connections[0].uri
        shelf = shelf_for([uri])
        spec = await specification(recipe, shelf)
        if options.dry_run:
            print(plain(await preview(fleet, uri, spec), keep_lines=True))
            return EXIT_DONE
        made = await _made(
            fleet,
            lambda sink: make(fleet, shelf, uri, spec, sink),
            options,
            by_ssh=spec.cloud_init is not None and not ssh.remote_host(uri),
        )
        _tell(fleet, made, options, "is made")
    return EXIT_DONE


async def sandbox(options: argparse.Namespace) -> int:
    """`vmtui sandbox IMAGE`."""
    async with connected(options) as fleet:
        connection = fleet.connections[0]
        shelf = shelf_for([connection.uri])
        name = options.name or free_name("sandbox", (vm.name for vm in connection.vms))
        recipe = Recipe(
            name=name,
            preset="sandbox",
            image=options.image,
            vcpus=options.cpus,
            memory=options.memory,
            network="user" if options.net else None,
        )
        spec = await specification(await completed(recipe), shelf)
        options.start = True
        uri = connection.uri
        made = await _made(fleet, lambda sink: make(fleet, shelf, uri, spec, sink), options)
        _tell(fleet, made, options, "is made")
        if not options.json:
            print("It goes with all its files once it is off.")
    return EXIT_DONE


async def clone(options: argparse.Namespace) -> int:
    """`vmtui clone NAME NEW`."""
    async with connected(options) as fleet:
        ref = fleet.find(options.name)
        shelf = shelf_for([ref.uri])
        own = await has_cloud_init(fleet, shelf, ref)
        options.start = options.wait = False

        async def work(sink: ProgressSink) -> VMRef:
            return await cloned(fleet, shelf, ref, options.new, sink, linked=options.linked)

        made = await _made(fleet, work, options)
        _tell(fleet, made, options, "is made")
        if not own:
            print(plain(same_inside(fleet.vm(ref).name)), file=sys.stderr)
        if fleet.vm(ref).tpm:
            print("Its TPM is new: keys of the other's are not in it.", file=sys.stderr)
    return EXIT_DONE


def asked_for(options: argparse.Namespace) -> Recipe:
    """What the options of `create` say."""

    def several(values: list[str] | None) -> tuple[str, ...] | None:
        return tuple(values) if values else None

    return Recipe(
        name=options.name,
        preset=options.preset,
        image=options.image,
        vcpus=options.cpus,
        memory=options.memory,
        disk=options.disk,
        full_copy=options.full_copy,
        disks=several(options.add_disk),
        media=several(options.media),
        firmware=Firmware(options.firmware) if options.firmware else None,
        tpm=options.tpm,
        accel=Accel(options.accel) if options.accel else None,
        network=several(options.network),
        forward=several(options.forward),
        share=several(options.share),
        user=options.user,
        ssh_keys=several(options.ssh_key),
        user_data=options.cloud_init,
        description=options.description,
        tags=several(options.tag),
        autostart=options.autostart,
    )


@dataclass(frozen=True, slots=True)
class Made:
    """A VM that was made, and how long that took."""

    ref: VMRef
    stages: Stages
    login_after_s: float | None = None  # since the program began
    ssh_after_s: float | None = None


async def _made(
    fleet: Fleet,
    work: Callable[[ProgressSink], Awaitable[VMRef]],
    options: argparse.Namespace,
    *,
    by_ssh: bool = False,
) -> Made:
    """Do `work`, start the VM and wait for it as the options say: for ssh, or else a login."""
    stages = Stages()
    sink = stages.following(on_terminal)
    login_s = ssh_s = None
    try:
        ref = await work(sink)
        if options.start:
            async with starting(fleet, ref, sink):
                await fleet.backend(ref).power(ref.id, Power.START)
            if options.wait and by_ssh:
                sink(Progress("waiting for ssh", stage="ssh"))
                ssh_s = await reaching.ssh_after_s(fleet, ref, options.timeout)
            elif options.wait:
                sink(Progress("waiting for the login prompt", stage="login"))
                login_s = await login_after_s(fleet, ref, options.timeout)
            await fleet.connection(ref.uri).refresh(ref.id)
    finally:
        stages.end()
        clear_progress()
    return Made(ref, stages, login_s, ssh_s)


def _tell(fleet: Fleet, made: Made, options: argparse.Namespace, done: str) -> None:
    vm = fleet.vm(made.ref)
    if options.json:
        facts = facts_of(fleet.connection(made.ref.uri).label, vm)
        took_s = {stage.name: round(stage.took_s, 3) for stage in made.stages.all}
        after_s = {"login_after_s": made.login_after_s, "ssh_after_s": made.ssh_after_s}
        print_json({**facts, **after_s, "stages_s": took_s})
    elif made.ssh_after_s is not None:
        print(f"{vm.name} is running; ssh answers after {made.ssh_after_s:.2f} s")
        print(f"Log in with: vmtui ssh {shlex.quote(vm.name)}")
        print(told(made.stages.all))
    elif made.login_after_s is not None:
        print(f"{vm.name} is running; login prompt after {made.login_after_s:.2f} s")
        print(f"Attach with: vmtui console {shlex.quote(vm.name)}")
        print(told(made.stages.all))
    elif options.start:
        print(f"{vm.name} is running")
    else:
        print(f"{vm.name} {done}; start it with: vmtui start {shlex.quote(vm.name)}")
