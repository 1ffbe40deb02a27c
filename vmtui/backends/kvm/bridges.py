"""Taps on the host's bridges, made by QEMU's helper for those whom root allows it."""

from __future__ import annotations

import os
import socket
from contextlib import ExitStack, closing
from pathlib import Path

from vmtui.backends.kvm.cards import FIRST_DESCRIPTOR
from vmtui.backends.kvm.definition import Definition
from vmtui.command import run
from vmtui.errors import MissingError, OperationError

PLACES = ("/usr/lib/qemu", "/usr/libexec", "/usr/lib/qemu-kvm", "/usr/local/libexec")
HELPER = "qemu-bridge-helper"
TIMEOUT_S = 10.0


async def take_taps(
    name: str, definition: Definition, inherited: dict[int, int], held: ExitStack
) -> None:
    """Add to `inherited` a tap for each card on a bridge; `held` closes them here.

    QEMU has to inherit them: its sandbox keeps it from running the helper itself.
    """
    for index, nic in enumerate(definition.nic):
        if nic.network == "bridge":
            tap = await open_tap(name, nic.bridge)
            held.callback(os.close, tap)
            inherited[FIRST_DESCRIPTOR + index] = tap


async def open_tap(name: str, bridge: str) -> int:
    """A new tap on a bridge, as a descriptor. Raises OperationError, MissingError."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    with closing(ours), closing(theirs):
        words = ("--use-vnet", f"--fd={theirs.fileno()}", f"--br={bridge}")
        try:
            await run(helper(), *words, timeout_s=TIMEOUT_S, pass_fds=(theirs.fileno(),))
        except OperationError as error:
            raise OperationError(
                f"{name} can't be put on the bridge {bridge}",
                why=error.why,
                hint=f"Root can allow it: a line 'allow {bridge}' in /etc/qemu/bridge.conf.",
            ) from error
        ours.setblocking(False)  # it has been sent, or never will be
        try:
            _, descriptors, _, _ = socket.recv_fds(ours, 1, 1)
        except BlockingIOError:
            descriptors = []
    if not descriptors:
        raise OperationError(f"{name} can't be put on the bridge {bridge}", why="no tap was made")
    tap: int = descriptors[0]
    os.set_inheritable(tap, False)
    return tap


def helper() -> str:
    """Where QEMU's helper is. Raises MissingError."""
    for place in PLACES:
        path = Path(place, HELPER)
        if os.access(path, os.X_OK):
            return str(path)
    raise MissingError(
        f"{HELPER} is not installed",
        why="cards on a bridge need it",
        hint="Install qemu-system-common (Debian, Ubuntu), qemu-common (Fedora, Arch).",
    )
