"""`screen`, `type`, `key` and `view`: a VM as if one sat before it."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from vmtui.attach.streams import read_all
from vmtui.backends.base import Feature
from vmtui.backends.ways_in import Displays
from vmtui.config import load
from vmtui.errors import (
    EXIT_DONE,
    InputError,
    OperationError,
    UnsupportedError,
    UsageError,
)
from vmtui.model import VM
from vmtui.opening import connected
from vmtui.units import plain

STDIN = STDOUT = "-"


@asynccontextmanager
async def _displayed(options: argparse.Namespace) -> AsyncIterator[tuple[Displays, VM]]:
    async with connected(options) as fleet:
        ref = fleet.find(options.name)
        backend = fleet.backend(ref)
        if not isinstance(backend, Displays) or Feature.DISPLAY not in backend.features:
            raise UnsupportedError(f"{backend.uri} shows no screens")
        yield backend, fleet.vm(ref)


async def screen(options: argparse.Namespace) -> int:
    """`vmtui screen NAME -o FILE`."""
    from vmtui.picture import png  # noqa: PLC0415

    if options.output == STDOUT and sys.stdout.isatty():
        raise UsageError("a picture can't go to a terminal", hint="Name a file: -o screen.png")
    async with _displayed(options) as (displays, vm):
        picture = png(await displays.picture(vm.id))
    if options.output == STDOUT:
        sys.stdout.buffer.write(picture)
        return EXIT_DONE
    try:
        await asyncio.to_thread(Path(options.output).write_bytes, picture)
    except OSError as error:
        raise OperationError(
            f"{options.output} can't be written", why=error.strerror or ""
        ) from error
    return EXIT_DONE


async def type_text(options: argparse.Namespace) -> int:
    """`vmtui type NAME TEXT`."""
    from vmtui.displaying import press_all  # noqa: PLC0415
    from vmtui.keyboards import text_to_keys  # noqa: PLC0415

    text = options.text
    if text == STDIN:
        text = await _standard_input()
    chords = text_to_keys(text, options.layout or load().keyboard)
    async with _displayed(options) as (displays, vm):
        await press_all(displays, vm.id, chords)
    return EXIT_DONE


async def _standard_input() -> str:
    data = b"".join([part async for part in read_all(sys.stdin.fileno())])
    try:
        return data.decode().replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise InputError("standard input can't be typed", why="it is not UTF-8") from error


async def key(options: argparse.Namespace) -> int:
    """`vmtui key NAME KEYS…`."""
    from vmtui.keyboards import chord  # noqa: PLC0415

    chords = [chord(keys) for keys in options.keys]
    async with _displayed(options) as (displays, vm):
        for keys in chords:
            await displays.press(vm.id, keys)
    return EXIT_DONE


async def view(options: argparse.Namespace) -> int:
    """`vmtui view NAME`: opens a viewer, or prints the commands that would."""
    from vmtui.viewer import opening, start  # noqa: PLC0415

    async with _displayed(options) as (displays, vm):
        way = opening(await displays.viewer(vm.id), vm.id)
        if way.argv:
            await start(way.argv)
    if way.steps:
        print("There is no desktop here. On yours, type:", file=sys.stderr)
    for step in way.steps:
        print(plain(step))
    return EXIT_DONE
