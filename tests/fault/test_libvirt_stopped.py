"""A libvirtd that stands still (SIGSTOP): told, waited for, and of no concern to the rest."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("libvirt")

from tests.contract.cases import until
from vmtui.backends.base import Endpoint, no_progress
from vmtui.backends.demo import DemoBackend
from vmtui.backends.libvirt import bridge
from vmtui.backends.libvirt.backend import LibvirtBackend
from vmtui.errors import UnreachableError
from vmtui.fleet import Fleet
from vmtui.model import Power, State
from vmtui.spec import BLANK, VMSpec
from vmtui.units import MIB
from vmtui.views import ConnectionStatus, ConnectionView

if TYPE_CHECKING:
    from tests.contract.daemon import PrivateLibvirtd

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("no_stalls")]

COME_BACK_S = 30.0
CLOSE_LIMIT_S = 10.0


@contextmanager
def standing_still(pid: int) -> Iterator[None]:
    """A process that does nothing meanwhile, and has lost nothing afterwards."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def test_it_is_told_and_comes_back_while_others_keep_their_beat(
    mortal_libvirtd: PrivateLibvirtd, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As with the usual ones after a quarter of a minute.
    monkeypatch.setattr(bridge, "KEEPALIVE_INTERVAL_S", 1)
    monkeypatch.setattr(bridge, "KEEPALIVE_COUNT", 1)
    monkeypatch.setattr(bridge, "OPEN_TIMEOUT_S", 1.0)
    daemon = mortal_libvirtd
    backend = LibvirtBackend(daemon.uri, places=daemon.places)
    fleet = Fleet([Endpoint(backend, "lab"), Endpoint(DemoBackend(), "demo")], interval_s=0.2)

    def view(number: int = 0) -> ConnectionView:
        return fleet.view().connections[number]

    def beats_on() -> bool:
        """Whether VMs of the other one were sampled just now."""
        now_s = time.monotonic()
        return any(now_s - (row.sampled_at_s or 0) < 1 for row in view(1).vms)

    fleet.supervise()
    try:
        await until(lambda: view().status is ConnectionStatus.UP, COME_BACK_S)
        spec = VMSpec("survivor", boot=BLANK, memory_bytes=128 * MIB, disk_bytes=MIB)
        ref = await fleet.create(daemon.uri, spec, no_progress)
        await backend.power(ref.id, Power.START)
        await until(lambda: view().vms[0].vm.state is State.RUNNING)
        with standing_still(daemon.pid):
            await until(lambda: view().status is ConnectionStatus.DOWN, COME_BACK_S)
            assert isinstance(view().problem, UnreachableError)
            await until(lambda: view().status is ConnectionStatus.CONNECTING, COME_BACK_S)
            await until(lambda: view().status is ConnectionStatus.DOWN, COME_BACK_S)
            await until(beats_on)
        await until(lambda: view().status is ConnectionStatus.UP, COME_BACK_S)
        await until(lambda: [row.vm.state for row in view().vms] == [State.RUNNING], COME_BACK_S)
        assert view().vms[0].vm.id == ref.id
        with standing_still(daemon.pid):
            async with asyncio.timeout(CLOSE_LIMIT_S):  # leaving does not wait for it
                await fleet.close()
    finally:
        await fleet.close()
