"""Memory of running domains by their balloons."""

from __future__ import annotations

from typing import Any

import libvirt

from vmtui.backends.libvirt import domain_facts
from vmtui.backends.libvirt.listing import lookup, state_of, vm_id
from vmtui.backends.libvirt.targets import Targets
from vmtui.errors import InputError, StateError, UnsupportedError
from vmtui.hardware.around import Balloon
from vmtui.model import VMId
from vmtui.units import KIB, size

LEAST_BYTES = 1 << 20
"""Below that it is a slip of the pen, not a size."""


def look(connection: libvirt.virConnect, targets: Targets, vm: VMId) -> Balloon:
    """What it has, and was asked for."""
    domain = _ballooned(connection, vm)
    [(_, record)] = connection.domainListGetStats([domain], libvirt.VIR_DOMAIN_STATS_BALLOON)
    ceiling = record.get("balloon.maximum")
    # The record has what QEMU told last, which it does once a second; this asks it.
    fresh: Any = domain.memoryStats()
    actual = fresh.get("actual", record.get("balloon.current"))
    if ceiling is None or actual is None:
        raise StateError(f"the balloon of {domain.name()} does not tell its size")
    # A driver tells of itself when it comes, asked or not; before that the time of it is 0.
    last = record.get("balloon.last-update")
    answers = None if last is None else last != 0
    asked_bytes = targets.of(vm, int(domain.ID()))
    return Balloon(int(ceiling) * KIB, int(actual) * KIB, asked_bytes, answers)


def ask(connection: libvirt.virConnect, targets: Targets, vm: VMId, target_bytes: int) -> None:
    """Ask the guest. libvirt says yes whether or not anyone in it listens."""
    domain = _ballooned(connection, vm)
    info: Any = domain.info()
    ceiling_bytes = int(info[1]) * KIB
    if not LEAST_BYTES <= target_bytes <= ceiling_bytes:
        raise InputError(
            f"{domain.name()} can't have {size(target_bytes, digits=2)}",
            why=f"its memory is {size(ceiling_bytes, digits=2)}",
        )
    domain.setMemoryFlags(target_bytes // KIB, libvirt.VIR_DOMAIN_AFFECT_LIVE)
    targets.note(vm, int(domain.ID()), target_bytes)


def _ballooned(connection: libvirt.virConnect, vm: VMId) -> libvirt.virDomain:
    domain = lookup(connection, vm)
    if not state_of(domain).active:
        raise StateError(f"{domain.name()} has no memory to move", why="it is off")
    if not domain_facts.read(vm_id(domain), "", str(domain.XMLDesc(0))).has_balloon:
        raise UnsupportedError(
            f"{domain.name()} has no balloon",
            hint=f"Give it one for the next boot: vmtui set {domain.name()} balloon=on",
        )
    return domain
