"""Which console is meant, how it is attached, and where its VM runs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from vmtui.model import VM
from vmtui.views import ConnectionStatus, ConnectionView, FleetView, VMRef, VMView


class Attachment(Enum):
    """How a console is. The value is the word that is shown."""

    ATTACHING = "attaching"
    ATTACHED = "attached"
    WATCHING = "watching"  # what is printed is shown, nothing can be typed: others may have it
    HELD = "held"  # someone else has it, and it can't be watched
    DETACHED = "detached"  # only looked at, and it can't be without keeping others from it
    OFF = "off"  # the VM is; attached again when it starts
    LOST = "lost"  # the connection is; attached again when it is back
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ConsoleKey:
    """One console of one VM; an empty name is its first."""

    ref: VMRef
    name: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a VM is: one that was migrated runs on another connection than before."""

    ref: VMRef
    vm: VM | None  # None: not there
    label: str = ""  # of the connection
    problem: str = ""  # why the connection is down

    @property
    def running(self) -> bool:
        """Whether it has consoles to attach to."""
        return self.vm is not None and self.vm.state.active and not self.problem


def places(view: FleetView, refs: Iterable[VMRef]) -> dict[VMRef, Place]:
    """Where the VMs are, by where they were."""
    wanted = set(refs)
    ids = {ref.id for ref in wanted}
    seen = {
        row.ref: (connection, row)
        for connection in view.connections
        for row in connection.vms
        if row.ref.id in ids
    }
    running = {ref.id: found for ref, found in seen.items() if _place(*found, ref).running}
    found = {}
    for ref in wanted:
        connection, row = seen.get(ref, (view.connection(ref.uri), None))
        here = _place(connection, row, ref)
        there = running.get(ref.id)
        found[ref] = here if here.running or there is None else _place(*there, there[1].ref)
    return found


def _place(connection: ConnectionView | None, row: VMView | None, ref: VMRef) -> Place:
    if connection is None:
        return Place(ref, None, ref.uri, "there is no such connection any more")
    problem = ""
    if connection.status is not ConnectionStatus.UP:
        problem = str(connection.problem or "it is being connected")
    return Place(ref, row.vm if row else None, connection.label, problem)


def device_in_guest(vm: VM, name: str) -> str:
    """What Linux calls that console: `ttyS0`, `hvc0` and so on."""
    name = name or next(iter(vm.consoles), "serial0")
    serial = name.startswith("serial")
    alike = [other for other in vm.consoles if other.startswith("serial") == serial]
    return f"{'ttyS' if serial else 'hvc'}{alike.index(name) if name in alike else 0}"
