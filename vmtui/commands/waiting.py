"""`--wait`: until a VM asks who logs in."""

from __future__ import annotations

import time

from vmtui.backends.ways_in import Consoles
from vmtui.errors import UnsupportedError
from vmtui.fleet import Fleet
from vmtui.readiness import wait_for_login
from vmtui.views import VMRef

STARTED_S = time.monotonic()
"""When the program began, as near as it can be known: what `--wait` counts from."""


async def login_after_s(fleet: Fleet, ref: VMRef, timeout_s: float) -> float:
    """Wait for the prompt; gives the seconds since the program began."""
    backend = fleet.backend(ref)
    name = fleet.vm(ref).name
    if not isinstance(backend, Consoles):
        raise UnsupportedError(f"{backend.uri} has no consoles to wait on")
    await wait_for_login(backend.console_output(ref.id), name, timeout_s)
    return time.monotonic() - STARTED_S
