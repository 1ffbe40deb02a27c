"""A connection that is left to a call that hangs, and replaced."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import Any, TypeVar

import libvirt

from vmtui.backends.libvirt.bridge import Bridge
from vmtui.backends.libvirt.questions import Domains
from vmtui.backends.libvirt.translate import is_lost, translated
from vmtui.model import VMId

T = TypeVar("T")


class Expendable:
    """Opened with the first call, and anew with the first after one that hung.

    Another call on the connection of one that hangs could be held up too: before 10.1 libvirt's
    client may miss that there is a second call to send while it waits for the first.
    """

    def __init__(self, connect: Callable[[], Awaitable[Bridge]]) -> None:
        self._connect = connect
        self._bridge: Bridge | None = None
        self.domains: Domains = {}
        """Those that were looked up on the connection of this moment."""
        self.spent_s = 0.0
        """By all calls that answered."""
        self._hanging: dict[asyncio.Future[Any], frozenset[VMId]] = {}
        self._closing: set[asyncio.Task[None]] = set()

    @property
    def hanging(self) -> Collection[frozenset[VMId]]:
        """The VMs that each call was about that gave no answer in time."""
        return self._hanging.values()

    def forget_returned(self) -> None:
        """Calls that have returned after all no longer count as hanging."""
        self._hanging = {call: of for call, of in self._hanging.items() if not call.done()}

    async def call(
        self, deadline_s: float, of: Iterable[VMId], work: Callable[..., T], *args: Any
    ) -> T | None:
        """`work(connection, *args)`, about these VMs. None: no answer in time; it is left.

        Raises libvirtError, and vmtui's errors where the connection is lost.
        """
        bridge = self._bridge
        if bridge is None:
            bridge = self._bridge = await self._connect()
        started_s = time.monotonic()
        call = bridge.start(work, *args)
        done, _ = await asyncio.wait({call}, timeout=deadline_s)
        if not done:
            self._hanging[call] = frozenset(of)
            self._leave()
            return None
        self.spent_s += time.monotonic() - started_s
        try:
            return call.result()
        except libvirt.libvirtError as error:
            if is_lost(error) or bridge.lost is not None:
                raise bridge.lost or translated(error, "read statistics", bridge.uri) from error
            raise

    async def close(self) -> None:
        """Let go of the connection; one with a call that hangs ends with that."""
        self._leave()
        if self._closing:
            await asyncio.wait(tuple(self._closing))

    def _leave(self) -> None:
        bridge, self._bridge, self.domains = self._bridge, None, {}
        if bridge is not None:
            closing = asyncio.create_task(bridge.close())
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)
