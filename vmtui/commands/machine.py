"""What is about this machine and this installation, not about a VM."""

from __future__ import annotations

import argparse

import msgspec

from vmtui import actions
from vmtui.config import config_path, load
from vmtui.errors import EXIT_DONE, EXIT_FAILED, InputError
from vmtui.output import print_json
from vmtui.units import plain


async def doctor(options: argparse.Namespace) -> int:
    """`vmtui doctor`: exit status 1 if something is missing that is not optional."""
    from vmtui.doctor import checks  # noqa: PLC0415

    found = await checks(recheck=options.recheck)
    if options.json:
        print_json([msgspec.to_builtins(check) for check in found])
    else:
        width = max(len(check.name) for check in found)
        for check in found:
            symbol = "✓" if check.ok else "✗" if check.wrong else "○"
            print(f"{symbol} {check.name:{width}}  {plain(check.found)}")
            if not check.ok:
                indent = " " * (width + 4)
                print(f"{indent}so: {plain(check.costs)}\n{indent}do: {plain(check.fix)}")
    return EXIT_FAILED if any(check.wrong for check in found) else EXIT_DONE


async def config(options: argparse.Namespace) -> int:
    """`vmtui config path|show|check`."""
    if options.what == "path":
        print(config_path())
        return EXIT_DONE
    settings = load()
    if options.what == "show":
        import tomli_w  # noqa: PLC0415

        print(tomli_w.dumps(msgspec.to_builtins(settings)), end="")
        return EXIT_DONE
    unknown = [action for action in settings.keys if action not in actions.BY_ID]
    if unknown:
        raise InputError(
            f"{config_path()}: keys.{unknown[0]}",
            why="there is no such action",
            hint="There is: " + ", ".join(sorted(actions.BY_ID)) + ".",
        )
    print(f"{config_path()} " + ("is good" if config_path().exists() else "is not there: defaults"))
    return EXIT_DONE


async def completion(options: argparse.Namespace) -> int:
    """`vmtui completion SHELL`."""
    from vmtui.completion import script  # noqa: PLC0415
    from vmtui.parser import build_parser  # noqa: PLC0415

    print(script(build_parser(), options.shell), end="")
    return EXIT_DONE
