"""Questions of commands: asked on a terminal, answered by options where there is none."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence

from vmtui.errors import RefusedError
from vmtui.units import plain


def on_terminal() -> bool:
    """Whether there is somebody to ask."""
    return sys.stdin.isatty() and sys.stderr.isatty()


async def asked(question: str) -> str:
    """What somebody answers; Ctrl+C ends it at once."""
    print(question, end=" ", file=sys.stderr, flush=True)
    loop, answered = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(sys.stdin.fileno(), answered.set)
    try:
        await answered.wait()
    finally:
        loop.remove_reader(sys.stdin.fileno())
    return sys.stdin.readline().strip()


async def confirm(
    question: str, consequences: Sequence[str], *, what: str, left: str = "nothing is changed"
) -> None:
    """Go on only after a y on a terminal. Raises RefusedError."""
    if not on_terminal():
        raise RefusedError(
            f"{what} was not confirmed",
            why="\n".join(consequences),
            hint="Without a terminal to ask on, add --yes.",
        )
    _tell(consequences)
    if (await asked(f"{plain(question)} [y/N]")).lower() not in ("y", "yes"):
        raise RefusedError(left)


async def confirm_loss(name: str, losses: Sequence[str], given: str | None) -> None:
    """What is gone for good needs the VM's name, as `given` or typed. Raises RefusedError."""
    if given == name:
        return
    if given is not None or not on_terminal():
        wrong = f"{given!r} is not its name. " if given is not None else ""
        raise RefusedError(
            f"this change of {name} was not confirmed",
            why=wrong + "\n".join(losses),
            hint=f"To go on all the same: --confirm {name}",
        )
    _tell(losses)
    if (await asked(f"Type its name, {plain(name)}, to go on:")) != name:
        raise RefusedError("nothing is changed")


def _tell(lines: Sequence[str]) -> None:
    for line in lines:
        print(plain(line), file=sys.stderr)
