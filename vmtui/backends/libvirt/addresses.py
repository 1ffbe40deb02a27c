"""Addresses beside leases: asked of guests' agents and of the host, slowly and apart."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

import libvirt

from vmtui.backends.addresses import (
    NOTHING,
    Inquiries,
    Known,
    neighbours,
    of_neighbours,
    usable,
)
from vmtui.backends.libvirt.bridge import Bridge
from vmtui.backends.libvirt.changes import Changes
from vmtui.backends.libvirt.domain_facts import Definition
from vmtui.backends.libvirt.listing import attempt, lookup
from vmtui.model import VM, VMId

ANSWER_TIMEOUT_S = 6.0
"""libvirt itself gives an agent 5 s."""

_BRIDGED = ("bridge", "direct", "network", "ethernet")


ARP = libvirt.VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_ARP
_ORIGINS = {libvirt.VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_AGENT: "agent", ARP: "ARP"}


class Addresses:
    """Who may know is asked over a connection of its own, about one VM at a time."""

    def __init__(
        self,
        connect: Callable[[], Awaitable[Bridge]],
        changed: Callable[[VMId], None],
        *,
        local: bool,
    ) -> None:
        self._local = local
        self._connections = Changes(connect)
        self._inquiries = Inquiries(changed)
        self._turn = asyncio.Semaphore(1)

    def of(self, definition: Definition, *, leased: bool) -> Known:
        """At once what is known; if that is old, it is asked for in the background.

        `leased`: there is a lease, so only the guest itself knows better.
        """
        vm = definition.vm.id
        if sources := _sources(definition, leased=leased):
            ask = partial(self._ask, definition.vm, sources)
            self._inquiries.keep_fresh(vm, ask, otherwise_known=leased)
        return self._inquiries.known(vm)

    def forget(self, vm: VMId) -> None:
        """It is off: what comes next may have others."""
        self._inquiries.forget(vm)

    async def _ask(self, vm: VM, sources: tuple[int, ...]) -> Known:
        async with self._turn:
            known = await self._connections.over_own(
                lambda bridge: bridge.call(
                    "ask for addresses", _read, vm.id, sources, timeout_s=ANSWER_TIMEOUT_S
                )
            )
        if known.addresses or ARP not in sources or not self._local:
            return known
        # libvirt 9.0 can't read the answer of newer kernels ("wrong nlmsg len").
        heard = of_neighbours(neighbours(), {nic.mac.lower() for nic in vm.nics if nic.mac})
        return Known(heard, _ORIGINS[ARP]) if heard else NOTHING

    async def close(self) -> None:
        """Ask no more."""
        await self._inquiries.close()
        await self._connections.close()


def _sources(definition: Definition, *, leased: bool) -> tuple[int, ...]:
    """Who may know: the agent in the guest, and the host's own table of neighbours."""
    found = []
    if definition.agent_connected:
        found.append(libvirt.VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_AGENT)
    bridged = any(nic.network.split(" ")[0] in _BRIDGED for nic in definition.vm.nics)
    if bridged and not leased:
        found.append(ARP)
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
    """What may lead to the guest, of all its interfaces."""
    return usable(
        str(address["addr"])
        for interface in interfaces.values()
        for address in interface.get("addrs") or ()
    )
