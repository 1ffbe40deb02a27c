"""Lifecycle operations on domains."""

from __future__ import annotations

from typing import Any

import libvirt

from vmtui.backends.libvirt import domain_facts, leftovers, metadata
from vmtui.backends.libvirt.listing import attempt, lookup, state_of, vm_id
from vmtui.errors import StateError, UnsupportedError
from vmtui.model import ACTIVE_STATES, INACTIVE_STATES, Power, State, VMId

TIMEOUTS_S = {Power.START: 90.0, Power.SHUTDOWN: 90.0, Power.REBOOT: 90.0}
TIMEOUT_S = 30.0

ALLOWED: dict[Power, frozenset[State]] = {
    Power.START: INACTIVE_STATES,
    Power.SHUTDOWN: frozenset({State.RUNNING, State.STOPPING}),
    Power.STOP: ACTIVE_STATES,
    Power.REBOOT: frozenset({State.RUNNING}),
    Power.RESET: ACTIVE_STATES,
    Power.PAUSE: frozenset({State.RUNNING}),
    Power.RESUME: frozenset({State.PAUSED, State.SUSPENDED}),
}


def perform(connection: libvirt.virConnect, vm: VMId, op: Power) -> None:
    """Do it. Raises StateError where the state does not fit, else libvirtError."""
    domain = lookup(connection, vm)
    state = state_of(domain)
    if state not in ALLOWED[op]:
        raise StateError(f"can't {op.value} {domain.name()}", why=f"it is {state.value}")
    if op is Power.START:
        _start(connection, domain)
    elif op is Power.STOP:
        domain.destroy()
    elif op is Power.PAUSE:
        domain.suspend()
    elif op is Power.RESET:
        domain.reset()
    elif op is Power.RESUME:
        _resume(domain, state)
    else:
        _ask_guest(domain, op)


def _start(connection: libvirt.virConnect, domain: libvirt.virDomain) -> None:
    own = leftovers.stored(domain).own
    if own.making:
        raise StateError(
            f"can't start {domain.name()}",
            why="it is still being made, or its making was interrupted",
            hint=f"If nobody is making it: vmtui delete {domain.name()}",
        )
    if own.boot_once:
        _refuse_saved(domain)
        _start_once(connection, domain)
    else:
        domain.create()
    if own.throwaway:
        leftovers.note_started(domain, own)


def _refuse_saved(domain: libvirt.virDomain) -> None:
    # What is saved would stay, and go on later over disks that are others by then.
    if attempt(domain.hasManagedSaveImage, 0):
        name = domain.name()
        raise StateError(
            f"can't start {name}",
            why="its memory is saved, and it is to boot once in another order than it is stored",
            hint=f"Take that off (vmtui set {name} boot.once=default), or the memory: "
            f"virsh managedsave-remove {name}",
        )


def _start_once(connection: libvirt.virConnect, domain: libvirt.virDomain) -> None:
    """Start it with another boot order than is stored, which stays as it is."""
    from vmtui.backends.libvirt.configuring.starting import once  # noqa: PLC0415 (lxml takes time)

    flags = libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE
    xml, own = once(str(domain.XMLDesc(flags)))
    connection.createXML(xml, 0)
    noted: Any = domain.setMetadata  # None, which takes it away, is not among its types
    noted(
        libvirt.VIR_DOMAIN_METADATA_ELEMENT,
        own,
        metadata.PREFIX,
        metadata.NAMESPACE,
        libvirt.VIR_DOMAIN_AFFECT_CONFIG,
    )


def _resume(domain: libvirt.virDomain, state: State) -> None:
    if state is State.SUSPENDED:
        domain.pMWakeup()
    else:
        domain.resume()


def _ask_guest(domain: libvirt.virDomain, op: Power) -> None:
    """The agent if it is there, then ACPI; drivers that know neither choose by themselves."""
    if op is Power.SHUTDOWN:
        ask, agent, acpi = (
            domain.shutdownFlags,
            libvirt.VIR_DOMAIN_SHUTDOWN_GUEST_AGENT,
            libvirt.VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN,
        )
    else:
        ask, agent, acpi = (
            domain.reboot,
            libvirt.VIR_DOMAIN_REBOOT_GUEST_AGENT,
            libvirt.VIR_DOMAIN_REBOOT_ACPI_POWER_BTN,
        )
    xml = attempt(lambda: str(domain.XMLDesc(0)), "")
    if domain_facts.read(vm_id(domain), "", xml).agent_connected:
        try:
            ask(agent)
        except libvirt.libvirtError:
            if not domain.isActive():
                return
        else:
            return
    try:
        ask(acpi)
    except libvirt.libvirtError as error:
        if error.get_error_code() not in (
            libvirt.VIR_ERR_NO_SUPPORT,
            libvirt.VIR_ERR_INVALID_ARG,
            libvirt.VIR_ERR_ARGUMENT_UNSUPPORTED,
            libvirt.VIR_ERR_OPERATION_UNSUPPORTED,
        ):
            raise
        ask(0)


def unsupported(op: Power, uri: str) -> UnsupportedError:
    """The refusal of what a driver has not."""
    return UnsupportedError(f"{uri} can't {op.value} a VM")
