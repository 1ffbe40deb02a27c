"""Other programs run to their end: never through a shell, never left behind."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress

from vmtui.errors import MissingError, OperationError

PACKAGES = {
    "qemu-img": "qemu-utils (Debian, Ubuntu), qemu-img (Fedora, Arch)",
    "prlimit": "util-linux",
    "setpriv": "util-linux",
    "swtpm": "swtpm",
    "swtpm_setup": "swtpm-tools (Debian, Ubuntu, Fedora), swtpm (Arch)",
    "qemu-system-x86_64": "qemu-system-x86 (Debian, Ubuntu, Fedora), qemu-system-x86 (Arch)",
}


def missing(program: str) -> MissingError:
    """The error for a program that is not installed, with the package that has it."""
    return MissingError(
        f"{program} is not installed", hint=f"Install {PACKAGES.get(program, program)}."
    )


async def killed(process: asyncio.subprocess.Process) -> None:
    """End it at once, and wait until it has."""
    if process.returncode is None:
        # Its own `kill` looks whether it has ended, and reaps it then: asyncio would warn of that.
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
    await process.wait()


async def run(
    *argv: str,
    timeout_s: float,
    on_output: Callable[[str], None] | None = None,
    pass_fds: Sequence[int] = (),
) -> str:
    """Standard output of `argv`; `on_output` gets it in pieces as it comes.

    It inherits `pass_fds`, under the same numbers. Cancelled or late, it is killed. Raises
    MissingError, OperationError (with what it said).
    """
    process = await _started(argv, pass_fds)
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        async with asyncio.timeout(timeout_s):
            errors = asyncio.ensure_future(process.stderr.read())
            output = b""
            while piece := await process.stdout.read(4096):
                output += piece
                if on_output:
                    on_output(piece.decode(errors="replace"))
            reason = (await errors).decode(errors="replace").strip()
            status = await process.wait()
    except BaseException as error:
        await _all_killed(process)
        if isinstance(error, TimeoutError):
            raise OperationError(
                f"{argv[0]} did not end", why=f"it took over {timeout_s:.0f} s"
            ) from error
        raise
    if status != 0:
        raise OperationError(f"{argv[0]} failed", why=reason or f"exit status {status}")
    return output.decode(errors="replace")


async def _started(argv: Sequence[str], pass_fds: Sequence[int]) -> asyncio.subprocess.Process:
    """It, with pipes to what it says. Cancelled, it is killed. Raises MissingError."""
    starting = asyncio.ensure_future(
        asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            pass_fds=pass_fds,
            start_new_session=True,
        )
    )
    try:
        return await asyncio.shield(starting)
    except FileNotFoundError as error:
        raise missing(argv[0]) from error
    except asyncio.CancelledError:
        with suppress(FileNotFoundError):
            await _all_killed(await starting)
        raise


async def attended(*argv: str) -> int:
    """Give `argv` this terminal until it ends; its exit status. Cancelled, it is ended.

    Raises MissingError.
    """
    try:
        process = await asyncio.create_subprocess_exec(*argv)
    except FileNotFoundError as error:
        raise missing(argv[0]) from error
    try:
        return await process.wait()
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGTERM)
            await process.wait()


async def _all_killed(process: asyncio.subprocess.Process) -> None:
    """End it with what it has started itself, such as swtpm_setup its swtpm."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    await process.wait()
