"""What commands print: tables for people, JSON for programs; outside text made harmless."""

from __future__ import annotations

import asyncio
import os
import stat
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from vmtui.units import plain


def print_json(content: object) -> None:
    """One JSON document, indented."""
    text = msgspec.json.format(msgspec.json.encode(content), indent=2)
    sys.stdout.write(text.decode() + "\n")


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns as wide as their content, for a fixed-width font."""
    shown = [[plain(cell) for cell in row] for row in rows]
    widths = [max(len(cell) for cell in column) for column in zip(header, *shown, strict=True)]
    for row in (header, *shown):
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print(line.rstrip())


def print_facts(facts: Mapping[str, Any], indent: str = "") -> None:
    """One `key: value` a line, nested ones indented."""
    for key, value in facts.items():
        if isinstance(value, Mapping):
            print(f"{indent}{key}:")
            print_facts(value, indent + "  ")
        elif isinstance(value, list | tuple) and value and isinstance(value[0], Mapping):
            for item in value:
                print(f"{indent}{key}:")
                print_facts(item, indent + "  ")
        else:
            print(f"{indent}{key}: {_shown(value)}")


def _shown(value: object) -> str:
    if value is None or value in ("", ()) or value == []:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(plain(str(item)) for item in value)
    return plain(str(value))


@asynccontextmanager
async def until_nobody_reads() -> AsyncIterator[None]:
    """End the block, without an error, once the reader of a pipe at standard output has gone.

    That is noticed when it happens, not only when there is something to write.
    """
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    descriptor = sys.stdout.fileno()
    piped = stat.S_ISFIFO(os.fstat(descriptor).st_mode)
    gone = False

    def end() -> None:
        nonlocal gone
        gone = True
        loop.remove_reader(descriptor)
        task.cancel()

    if piped:
        loop.add_reader(descriptor, end)
    try:
        yield
    except (asyncio.CancelledError, BrokenPipeError) as error:
        told_to_end = gone and task.uncancel() == 0
        if not (told_to_end or isinstance(error, BrokenPipeError)):
            raise
        # Python must not complain at exit about what it can't write any more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
    finally:
        if piped:
            loop.remove_reader(descriptor)
