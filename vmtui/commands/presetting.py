"""`preset`: recipes by name, to begin new VMs with."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

import msgspec
import tomli_w

from vmtui import presets
from vmtui.errors import EXIT_DONE, InputError, VmtuiError
from vmtui.files import not_writable, write_whole
from vmtui.opening import connected
from vmtui.output import print_json, print_table
from vmtui.recipe import of_vm
from vmtui.units import plain


async def preset(options: argparse.Namespace) -> int:
    """`vmtui preset list`, `show PRESET` or `save PRESET NAME`."""
    match options.verb:
        case "list":
            return await _list(options)
        case "show":
            found = await asyncio.to_thread(presets.preset, options.name)
            print(tomli_w.dumps(msgspec.to_builtins(found.recipe)), end="")
            return EXIT_DONE
        case _:
            return await _save(options)


async def _list(options: argparse.Namespace) -> int:
    found = []
    for name in await asyncio.to_thread(presets.names):
        try:
            found.append(await asyncio.to_thread(presets.preset, name))
        except VmtuiError as error:
            print(f"vmtui: {error}", file=sys.stderr)
    if options.json:
        print_json(
            [{"name": p.name, "about": p.about, **msgspec.to_builtins(p.recipe)} for p in found]
        )
    else:
        print_table(("NAME", "WHAT"), [(p.name, p.about) for p in found])
    return EXIT_DONE


async def _save(options: argparse.Namespace) -> int:
    path = presets.own_path(options.name)
    async with connected(options) as fleet:
        vm = fleet.vm(fleet.find(options.vm))
    text = f"# As {plain(vm.name)} was\n" + tomli_w.dumps(msgspec.to_builtins(of_vm(vm)))
    await asyncio.to_thread(_write, path, text)
    print(f"{path} is written; use it with: vmtui create NAME --preset {options.name}")
    return EXIT_DONE


def _write(path: Path, text: str) -> None:
    if path.exists():
        raise InputError(f"{path} is there already", hint="Remove it, or use another name.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise not_writable(path.parent, error) from error
    write_whole(path, text.encode())
