"""Files that libvirt writes next to a VM: QEMU's log, and what the console printed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from vmtui.backends.kept_output import KeptOutput
from vmtui.backends.libvirt.domains import Domains
from vmtui.backends.libvirt.places import Places, tail
from vmtui.errors import NoSuchVMError, UnsupportedError
from vmtui.model import VMId

STATE_INTERVAL_S = 0.5


def kept(path: str, history_bytes: int) -> KeptOutput | None:
    """What the file has; None if it is not there or not for this user."""
    try:
        return KeptOutput(Path(path), history_bytes)
    except OSError:
        return None


def hypervisor_log(places: Places, name: str, limit_bytes: int) -> str:
    """The end of QEMU's log. Raises UnsupportedError with the reason where it can't be read."""
    what = f"the log of {name} can't be read"
    if not places.local:
        raise UnsupportedError(
            what,
            why="it is on another machine, and libvirt does not pass logs on",
            hint=f"There: /var/log/libvirt/qemu/{name}.log",
        )
    if places.logs is None:
        raise UnsupportedError(what, why="this driver keeps none")
    path = places.logs / f"{name}.log"
    try:
        return tail(path, limit_bytes).decode(errors="replace")
    except FileNotFoundError:
        return ""  # never started
    except OSError as error:
        raise UnsupportedError(
            what,
            why=f"{path}: {error.strerror}",
            hint=f"Only root may read it: sudo less {path}",
        ) from error


def still_active(domains: Domains, vm: VMId) -> Callable[[], Awaitable[bool]]:
    """A question whether the VM runs, which is passed on to libvirt only now and then."""
    running, look_at_s = True, 0.0

    async def ask() -> bool:
        nonlocal running, look_at_s
        now_s = asyncio.get_running_loop().time()
        if running and now_s >= look_at_s:
            look_at_s = now_s + STATE_INTERVAL_S
            try:
                running = (await domains.one(vm)).state.active
            except NoSuchVMError:
                running = False
        return running

    return ask
