"""libvirt's domain events as the seam's: registered once a connection, spread to all listeners."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

import libvirt

from vmtui.backends.libvirt.bridge import Bridge
from vmtui.errors import VmtuiError
from vmtui.model import Event, EventKind, VMId

QUEUE_LIMIT = 1000

# All of a domain's events that may change what is shown of it, by libvirt's names: an older
# libvirt-python lacks some.
_CHANGES = (
    "REBOOT",
    "IO_ERROR",
    "CONTROL_ERROR",
    "DISK_CHANGE",
    "TRAY_CHANGE",
    "PMWAKEUP",
    "PMSUSPEND",
    "PMSUSPEND_DISK",
    "DEVICE_ADDED",
    "DEVICE_REMOVED",
    "TUNABLE",
    "AGENT_LIFECYCLE",
    "METADATA_CHANGE",
    "BLOCK_JOB_2",
)


class Events:
    """Who listens, and what to do first when something changed."""

    def __init__(self, bridge: Bridge, on_change: Callable[[VMId], None]) -> None:
        self._bridge = bridge
        self._on_change = on_change
        self._queues: list[asyncio.Queue[Event | VmtuiError]] = []
        self.registered = False

    async def register(self) -> None:
        """Ask libvirt for events. A driver without them stays without."""
        with suppress(VmtuiError):
            await self._bridge.listen(self._register)
            self.registered = True

    def _register(self, connection: libvirt.virConnect) -> list[int]:
        lifecycle = connection.domainEventRegisterAny(
            None, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, self._on_lifecycle, None
        )
        callbacks = [lifecycle]
        for name in _CHANGES:
            event_id = getattr(libvirt, f"VIR_DOMAIN_EVENT_ID_{name}", None)
            handler = self._on_reset if name == "REBOOT" else self._on_other
            if event_id is not None:
                with suppress(libvirt.libvirtError):
                    callbacks.append(
                        connection.domainEventRegisterAny(None, event_id, handler, None)
                    )
        return callbacks

    # In libvirt's thread: nothing but handing over.

    def _on_lifecycle(
        self, _: libvirt.virConnect, domain: libvirt.virDomain, event: int, detail: int, __: None
    ) -> None:
        vm, active = VMId(str(domain.UUIDString())), int(domain.ID()) > 0
        self._bridge.tell(self._spread, Event(_kind(event, detail, active=active), vm))

    def _on_reset(self, _: libvirt.virConnect, domain: libvirt.virDomain, __: None) -> None:
        event = Event(EventKind.RESET, VMId(str(domain.UUIDString())))
        self._bridge.tell(self._spread, event)

    def _on_other(self, _: libvirt.virConnect, domain: libvirt.virDomain, *__: Any) -> None:
        event = Event(EventKind.CHANGED, VMId(str(domain.UUIDString())))
        self._bridge.tell(self._spread, event)

    # On the loop.

    def _spread(self, event: Event) -> None:
        if event.vm is not None:
            self._on_change(event.vm)
        for queue in self._queues:
            if queue.qsize() >= QUEUE_LIMIT:
                while not queue.empty():
                    queue.get_nowait()
                queue.put_nowait(Event(EventKind.RESYNC))
            else:
                queue.put_nowait(event)

    def changed(self, vm: VMId) -> None:
        """Something that libvirt has no event for."""
        self._spread(Event(EventKind.CHANGED, vm))

    def end(self, error: VmtuiError) -> None:
        """The connection is lost: every listener is told why."""
        for queue in self._queues:
            queue.put_nowait(error)

    async def listen(self) -> AsyncIterator[Event]:
        """Events from now on; raises what `end` was given."""
        if self._bridge.lost is not None:
            raise self._bridge.lost
        queue: asyncio.Queue[Event | VmtuiError] = asyncio.Queue()
        self._queues.append(queue)
        try:
            while True:
                event = await queue.get()
                if isinstance(event, VmtuiError):
                    raise event
                yield event
        finally:
            self._queues.remove(queue)


def _kind(event: int, detail: int, *, active: bool) -> EventKind:
    if event == libvirt.VIR_DOMAIN_EVENT_DEFINED:
        added = detail == libvirt.VIR_DOMAIN_EVENT_DEFINED_ADDED
        return EventKind.ADDED if added and not active else EventKind.CHANGED
    if event == libvirt.VIR_DOMAIN_EVENT_UNDEFINED:
        # A running domain that is undefined goes on until it stops.
        renamed = detail == libvirt.VIR_DOMAIN_EVENT_UNDEFINED_RENAMED
        return EventKind.CHANGED if active or renamed else EventKind.REMOVED
    return EventKind.CHANGED
