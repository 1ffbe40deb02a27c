"""The addresses of direct VMs that have a card on a network of the host."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from vmtui.backends.addresses import (
    NOTHING,
    Inquiries,
    Known,
    neighbours,
    of_neighbours,
    usable,
)
from vmtui.backends.kvm.machine import Machine
from vmtui.deferred import deferred
from vmtui.model import VM, State, VMId

if TYPE_CHECKING:
    from vmtui.backends.kvm import agent
    from vmtui.backends.kvm.agent import Interface
else:
    (agent,) = deferred("vmtui.backends.kvm", "agent")

_ON_HOST = ("bridge", "tap")
_LISTENING = (State.RUNNING, State.STOPPING)


class Addresses:
    """What is known is shown at once, and kept fresh; `changed` is called when it changes."""

    def __init__(self, changed: Callable[[VMId], None]) -> None:
        self._inquiries = Inquiries(changed)

    def told(self, machine: Machine) -> VM:
        """The picture of it, with the addresses that are known by now."""
        vm, macs = machine.vm(), _macs(machine)
        if not vm.state.active:
            self._inquiries.forget(vm.id)
            return vm
        if macs and vm.state in _LISTENING:
            ask = partial(_ask, machine, macs)
            self._inquiries.keep_fresh(vm.id, ask, otherwise_known=bool(vm.addresses))
        known = self._inquiries.known(vm.id)
        if not (macs and known.addresses):
            return vm
        return replace(vm, addresses=known.addresses, address_origin=known.origin)

    async def close(self) -> None:
        """Ask no more."""
        await self._inquiries.close()


def _macs(machine: Machine) -> frozenset[str]:
    """Of its cards on networks of the host; what QEMU's own network gives leads nowhere."""
    cards = machine.current.nic if machine.current else ()
    return frozenset(nic.mac.lower() for nic in cards if nic.network in _ON_HOST)


async def _ask(machine: Machine, macs: Collection[str]) -> Known:
    if machine.current and machine.current.agent:
        said = await agent.interfaces(machine.place.agent)
        if addresses := of_interfaces(said, macs):
            return Known(addresses, "agent")
    addresses = of_neighbours(neighbours(), macs)
    return Known(addresses, "ARP") if addresses else NOTHING


def of_interfaces(interfaces: Iterable[Interface], macs: Collection[str]) -> tuple[str, ...]:
    """What a guest says of the cards with one of `macs`; it has others, which lead nowhere here."""
    return usable(
        address.ip_address
        for interface in interfaces
        if interface.hardware_address.lower() in macs
        for address in interface.ip_addresses
    )
