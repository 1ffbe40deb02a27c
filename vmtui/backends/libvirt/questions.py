"""The survey's questions: what is done in a worker, with one connection and no state of its own."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import libvirt

from vmtui.backends.kvm.procfs import Held
from vmtui.backends.libvirt import domain_facts, records
from vmtui.backends.libvirt.domain_facts import Definition
from vmtui.backends.libvirt.processes import Processes
from vmtui.backends.libvirt.translate import is_lost
from vmtui.counters import GUEST_PERIOD_S
from vmtui.model import VMId

_GROUPS = (
    libvirt.VIR_DOMAIN_STATS_CPU_TOTAL
    | libvirt.VIR_DOMAIN_STATS_VCPU
    | libvirt.VIR_DOMAIN_STATS_BALLOON
    | libvirt.VIR_DOMAIN_STATS_BLOCK
    | libvirt.VIR_DOMAIN_STATS_INTERFACE  # how many there are; it costs next to nothing
)
Domains = dict[VMId, libvirt.virDomain]
"""Those of one connection, looked up once."""


@dataclass(frozen=True, slots=True)
class Ask:
    """What is wanted beside the fields: the definitions of the `new` ones."""

    processes: Processes
    new: frozenset[VMId]
    flags: int


@dataclass(frozen=True, slots=True)
class Read:
    """One domain's fields at `at_s`, with what is read of it beside."""

    vm: VMId
    run: int
    at_s: float
    record: records.Record
    held: Held | None
    definition: Definition | None  # where it was not known yet


@contextmanager
def tolerant() -> Iterator[None]:
    """What concerns one domain alone is no reason to give up on the others."""
    try:
        yield
    except libvirt.libvirtError as error:
        if is_lost(error):
            raise


def read(
    connection: libvirt.virConnect, known: Domains, vms: Sequence[VMId], ask: Ask
) -> list[Read]:
    """The fields of all of `vms` that are active, in one call."""
    for vm in vms:
        if vm not in known:
            with tolerant():
                known[vm] = connection.lookupByUUIDString(vm)
    domains = [known[vm] for vm in vms if vm in known]
    answers = connection.domainListGetStats(domains, _GROUPS, ask.flags) if domains else []
    at_s = time.monotonic()
    found = []
    for domain, record in answers:
        vm, run = VMId(str(domain.UUIDString())), int(domain.ID())
        if run != -1:
            definition = _definition(domain, vm) if vm in ask.new else None
            found.append(Read(vm, run, at_s, record, ask.processes.held(vm, run), definition))
    return found


def _definition(domain: libvirt.virDomain, vm: VMId) -> Definition:
    xml = ""
    with tolerant():
        xml = str(domain.XMLDesc(0))
    return domain_facts.read(vm, str(domain.name()), xml)


def arm(connection: libvirt.virConnect, vm: VMId) -> bool:
    """Have its guest report its memory from now on; True: it was asked to."""
    domain = connection.lookupByUUIDString(vm)
    domain.setMemoryStatsPeriod(GUEST_PERIOD_S, libvirt.VIR_DOMAIN_AFFECT_LIVE)
    return True
