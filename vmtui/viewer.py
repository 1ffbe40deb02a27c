"""A viewer on the desktop for a VM's screen: started where there is one, else told how."""

from __future__ import annotations

import asyncio
import os
import platform
import shlex
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from vmtui.backends.ways_in import Viewer
from vmtui.errors import MissingError, OperationError
from vmtui.model import VMId

LOCAL_PORT = 5999
"""At this end of a tunnel: the last of VNC's usual ports, so seldom taken."""

SETTLED_S = 1.0
"""A viewer that can't work has ended by then."""

_TIGERVNC = ("xtigervncviewer", "vncviewer")
"""The one VNC client that connects to a socket by its path, under its names."""

Which = Callable[[str], str | None]


@dataclass(frozen=True, slots=True)
class Opening:
    """How to see a VM: `argv` to start here and now, else `steps` for the user to type."""

    argv: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()


def opening(
    viewer: Viewer,
    vm: VMId,
    *,
    environment: Mapping[str, str] = os.environ,
    which: Which = shutil.which,
) -> Opening:
    """The best way from this place. Raises MissingError where a desktop has no viewer."""
    if not (environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY")):
        return Opening(steps=_from_elsewhere(viewer, environment))
    argv = next(_here(viewer, vm, which), None)
    if argv is not None:
        return Opening(argv=argv)
    if viewer.ssh:
        return Opening(steps=_tunnel(viewer, viewer.ssh))
    raise MissingError(
        "there is no viewer for this screen",
        hint="Install virt-viewer"
        + (" (for libvirt) or tigervnc-viewer." if viewer.protocol == "vnc" else "."),
    )


def _here(viewer: Viewer, vm: VMId, which: Which) -> Iterator[tuple[str, ...]]:
    """Commands whose programs are installed, the best first."""
    if viewer.libvirt_uri and which("virt-viewer"):
        # It finds the screen by itself, also through ssh and on sockets.
        yield ("virt-viewer", "--connect", viewer.libvirt_uri, "--uuid", "--", vm)
    if viewer.ssh:
        return
    tiger = next(filter(which, _TIGERVNC), None) if viewer.protocol == "vnc" else None
    remote = "remote-viewer" if which("remote-viewer") else None
    if viewer.socket:
        if tiger:
            yield (tiger, viewer.socket)
        if remote and viewer.protocol == "spice":
            yield (remote, f"spice+unix://{viewer.socket}")
        return
    if remote:
        yield (remote, f"{viewer.protocol}://{_address(viewer.host)}:{viewer.port}")
    if tiger:
        yield (tiger, f"{_address(viewer.host)}::{viewer.port}")


def _from_elsewhere(viewer: Viewer, environment: Mapping[str, str]) -> tuple[str, ...]:
    """For the desk that the user sits at, which is another machine."""
    if viewer.ssh:
        return _tunnel(viewer, viewer.ssh)
    # What ssh's server says of a session: client's address and port, then its own.
    session = environment.get("SSH_CONNECTION", "").split()
    user = environment.get("USER") or environment.get("LOGNAME")
    host = session[2] if len(session) == 4 else platform.node()
    return _tunnel(viewer, f"{user}@{host}" if user else host)


def _tunnel(viewer: Viewer, ssh: str) -> tuple[str, ...]:
    there = viewer.socket or f"{_address(viewer.host)}:{viewer.port}"
    host, _, port = ssh.rpartition(":") if ssh.rpartition(":")[2].isdecimal() else (ssh, "", "")
    command = ["ssh", "-N", "-L", f"{LOCAL_PORT}:{there}", *(["-p", port] if port else []), host]
    return (shlex.join(command), f"remote-viewer {viewer.protocol}://localhost:{LOCAL_PORT}")


def _address(host: str) -> str:
    return f"[{host}]" if ":" in host else host


async def start(argv: Sequence[str]) -> None:
    """Start a viewer that goes on without vmtui. Raises MissingError, OperationError."""
    null = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in range(3)]
    try:
        # Not asyncio's subprocess: that one ends its children with the loop. This does not wait.
        pid = os.posix_spawnp(  # noqa: ASYNC221
            argv[0], tuple(argv), os.environ, file_actions=null, setsid=True
        )
    except OSError as error:
        raise MissingError(f"{argv[0]} can't be started", hint=error.strerror or "") from error
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[int] = loop.create_future()
    descriptor = os.pidfd_open(pid)

    def reap() -> None:
        loop.remove_reader(descriptor)
        os.close(descriptor)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if not ended.done():
            ended.set_result(status)

    loop.add_reader(descriptor, reap)
    done, _ = await asyncio.wait({ended}, timeout=SETTLED_S)
    if done and ended.result() != 0:
        raise OperationError(
            f"{argv[0]} ended at once",
            why=f"exit status {ended.result()}",
            hint=f"Try it in a terminal: {shlex.join(argv)}",
        )
