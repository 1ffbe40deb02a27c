"""`devices`, `cores` and `ksm`: what a host has that VMs are given, are kept to, or share."""

from __future__ import annotations

import argparse
import asyncio

import msgspec

from vmtui import ksm as merging
from vmtui.backends.abilities import HostDevices, MapsCores
from vmtui.backends.base import Feature
from vmtui.commands.confirming import confirm
from vmtui.commands.telling import failed
from vmtui.errors import EXIT_DONE, UnsupportedError, VmtuiError, read_only
from vmtui.hardware.cores import CoreMap, HostCpu
from vmtui.hardware.devices import HostDevice
from vmtui.opening import chosen, connected
from vmtui.output import print_json, print_table
from vmtui.units import size
from vmtui.whole import whole_in_thread


async def devices(options: argparse.Namespace) -> int:
    """`vmtui devices`."""
    status = EXIT_DONE
    found: list[tuple[str, HostDevice]] = []
    async with connected(options) as fleet:
        for connection in fleet.connections:
            backend = connection.backend
            if connection.problem is not None:  # what it can do is not known either
                status = failed(connection.problem)
                continue
            if not isinstance(backend, HostDevices) or Feature.PASSTHROUGH not in backend.features:
                continue
            try:
                found += [(connection.label, one) for one in await backend.host_devices()]
            except VmtuiError as error:
                status = failed(error)
    shown = [(label, one) for label, one in found if options.all or not one.unavailable]
    if options.json:
        print_json([_facts(label, one) for label, one in shown])
    elif shown:
        print_table(
            ("DEVICE", "WHAT", "GROUP", "USED BY", "CONNECTION", "CAN'T BE GIVEN BECAUSE"),
            [_row(label, one) for label, one in shown],
        )
    elif status == EXIT_DONE:
        print("There is no device that a VM could be given." + (" See: --all" if found else ""))
    return status


def _row(label: str, one: HostDevice) -> tuple[str, ...]:
    group = "–" if one.group is None else str(one.group)
    address = f"{one.bus}:{one.address}"
    return address, one.label, group, one.used_by or "–", label, one.unavailable


def _facts(label: str, one: HostDevice) -> dict[str, object]:
    return {
        "connection": label,
        "device": f"{one.bus}:{one.address}",
        "label": one.label,
        "group": one.group,
        "used_by": one.used_by,
        "unavailable": one.unavailable,
    }


async def cores(options: argparse.Namespace) -> int:
    """`vmtui cores`: of the first connection that can tell."""
    async with connected(options) as fleet:
        for connection in fleet.connections:
            if connection.up and isinstance(connection.backend, MapsCores):
                found = await connection.backend.cores()
                break
        else:
            if problems := [c.problem for c in fleet.connections if c.problem is not None]:
                raise problems[0]
            raise UnsupportedError("no connection can tell where the threads of VMs run")
    if options.json:
        print_json(
            [
                {
                    "cpu": cpu.number,
                    "node": cpu.node,
                    "package": cpu.package,
                    "core": cpu.core,
                    "kept_to_it": _kept_to(found, cpu),
                }
                for cpu in found.cpus
            ]
        )
    else:
        rows = [_cpu_row(found, cpu) for cpu in found.cpus]
        print_table(("CPU", "NODE", "PACKAGE", "CORE", "KEPT TO IT"), rows)
    return EXIT_DONE


def _kept_to(found: CoreMap, cpu: HostCpu) -> list[str]:
    return [f"{placed.name} {placed.what}" for placed in found.pinned_to(cpu.number)]


def _cpu_row(found: CoreMap, cpu: HostCpu) -> tuple[str, ...]:
    places = (cpu.number, cpu.node, cpu.package, cpu.core)
    return (*map(str, places), ", ".join(_kept_to(found, cpu)) or "–")


async def ksm(options: argparse.Namespace) -> int:
    """`vmtui ksm [on|off|unmerge]`: of this machine."""
    if options.what is not None:
        if chosen(options)[2]:
            raise read_only("switching KSM")
        if options.what == "on" and not options.yes:
            await confirm("Turn KSM on?", [merging.WARNING], what="turning KSM on")
        # Unmerging goes through all that is shared.
        to = merging.Switch[options.what.upper()]
        await whole_in_thread(merging.switch, to, merging.ROOT)
    now = await asyncio.to_thread(merging.read, merging.ROOT)
    if options.json:
        print_json(msgspec.to_builtins(now))
        return EXIT_DONE
    print(f"KSM is {now.text}: {size(now.saved_bytes)} saved, {size(now.shared_bytes)} shared")
    if now.profit_bytes is not None:
        print(f"Less what the bookkeeping takes: {size(now.profit_bytes)}")
    return EXIT_DONE
