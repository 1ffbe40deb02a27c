"""Addresses beside leases: asked of guests' agents and of the host, slowly and apart."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import libvirt

from vmtui.backends.libvirt.bridge import Bridge
from vmtui.backends.libvirt.changes import Changes
from vmtui.backends.libvirt.domain_facts import Definition
from vmtui.backends.libvirt.listing import attempt, lookup
from vmtui.errors import VmtuiError
from vmtui.model import VMId

PACE_S = 20.0
"""Between two questions about one VM."""
ANSWER_TIMEOUT_S = 6.0
"""libvirt itself gives an agent 5 s."""

_BRIDGED = ("bridge", "direct", "network", "ethernet")


_ORIGINS = {
    libvirt.VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_AGENT: "agent",
    libvirt.VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_ARP: "ARP",
}


@dataclass(frozen=True, slots=True)
class Known:
    """What was found, and who told it: `agent`, `ARP`, or nobody yet."""

    addresses: tuple[str, ...] = ()
    origin: str = ""

    @property
    def from_guest(self) -> bool:
        """Whether it is the guest's own word."""
        return self.origin == "agent"


NOTHING = Known()


class Addresses:
    """What is known of each VM; `changed` is called when that is something else than before."""

    def __init__(
        self, connect: Callable[[], Awaitable[Bridge]], changed: Callable[[VMId], None]
    ) -> None:
        self._connections = Changes(connect)
        self._changed = changed
        self._known: dict[VMId, tuple[float, Known]] = {}  # with when it was asked
        self._asking: dict[VMId, asyncio.Task[None]] = {}
        self._turn = asyncio.Semaphore(1)

    def of(self, definition: Definition, *, leased: bool) -> Known:
        """At once what is known; if that is old, it is asked for in the background.

        `leased`: there is a lease, so only the guest itself knows better.
        """
        vm = definition.vm.id
        sources = _sources(definition, leased=leased)
        at_s, known = self._known.get(vm, (-math.inf, NOTHING))
        fresh = time.monotonic() - at_s < PACE_S
        if sources and not fresh and vm not in self._asking:
            task = asyncio.create_task(self._ask(vm, sources), name=f"addresses of {vm}")
            self._asking[vm] = task
            task.add_done_callback(lambda _: self._asking.pop(vm, None))
        return known

    def forget(self, vm: VMId) -> None:
        """It is off: what comes next may have others."""
        self._known.pop(vm, None)

    async def _ask(self, vm: VMId, sources: tuple[int, ...]) -> None:
        _, before = self._known.get(vm, (0.0, NOTHING))
        found = before
        try:
            async with self._turn:
                found = await self._connections.over_own(
                    lambda bridge: bridge.call(
                        "ask for addresses", _read, vm, sources, timeout_s=ANSWER_TIMEOUT_S
                    )
                )
        except VmtuiError:
            pass  # it is asked again; what was known may still be true
        self._known[vm] = time.monotonic(), found
        if found != before:
            self._changed(vm)

    async def close(self) -> None:
        """Ask no more."""
        tasks = tuple(self._asking.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._connections.close()


def _sources(definition: Definition, *, leased: bool) -> tuple[int, ...]:
    """Who may know: the agent in the guest, and the host's own table of neighbours."""
    found = []
    if definition.agent_connected:
        found.append(libvirt.VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_AGENT)
    bridged = any(nic.network.split(" ")[0] in _BRIDGED for nic in definition.vm.nics)
    if bridged and not leased:
        found.append(libvirt.VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_ARP)
    return tuple(found)


def _read(connection: libvirt.virConnect, vm: VMId, sources: tuple[int, ...]) -> Known:
    ask: Any = lookup(connection, vm).interfaceAddresses
    nothing: dict[str, Any] = {}
    for source in sources:
        answer = attempt(partial(ask, source), nothing)
        if addresses := of_interfaces(answer or nothing):
            return Known(addresses, _ORIGINS[source])
    return NOTHING


def of_interfaces(interfaces: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...]:
    """The addresses of all interfaces but the loopback."""
    return tuple(
        str(address["addr"])
        for name, interface in interfaces.items()
        if name != "lo"
        for address in interface.get("addrs") or ()
    )
