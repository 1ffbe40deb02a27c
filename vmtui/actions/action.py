"""What an action is: its key, what it needs of a VM, and how it is done to one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum

from vmtui.backends.base import Feature, ProgressSink
from vmtui.errors import RefusedError, StateError, UnsupportedError, read_only
from vmtui.fleet import Fleet
from vmtui.model import VM, State
from vmtui.tasks import Work
from vmtui.units import plain
from vmtui.views import ConnectionView, VMRef

ANY_STATE = frozenset(State)


class Scope(Enum):
    """What an action is about."""

    VM = "VM"  # the VM under the cursor, or all marked ones
    VIEW = "view"  # the interface itself
    REPLAY = "replay"  # the recording that is replayed


@dataclass(frozen=True, slots=True)
class Prepared:
    """An action on one VM, ready to run: what it will cost, and the work."""

    consequences: tuple[str, ...]
    work: Work


Prepare = Callable[[Fleet, VMRef], Awaitable[Prepared]]


@dataclass(frozen=True, slots=True)
class Action:
    """One verb. `command` is its word on the command line, empty where it has none.

    `prepare` is None for what only the interface does: the screen has an `action_ID` for it.
    """

    id: str
    label: str
    key: str
    help: str
    scope: Scope = Scope.VM
    states: frozenset[State] = ANY_STATE
    needs: Feature = Feature.NONE
    dangerous: bool = False
    changes: bool = True  # refused when read-only
    command: str = ""
    prepare: Prepare | None = None
    footer: bool = True

    def refusal(self, vm: VM | None, connection: ConnectionView | None) -> str:
        """Why it can't be done to that VM now; empty: it can."""
        if self.scope is not Scope.VM:
            return ""
        if vm is None or connection is None:
            return "No VM is selected."
        if self.changes and connection.read_only:
            recorded = connection.recorded
            return "This is a recording." if recorded else "This connection is read-only."
        if self.needs not in connection.features:
            return f"{connection.label} can't do that."
        if vm.state not in self.states:
            return f"{plain(vm.name)} is {vm.state.value}."
        return f"{plain(vm.name)} has no {lacking}." if (lacking := self._lacking(vm)) else ""

    def _lacking(self, vm: VM) -> str:
        """What the VM has not got, and would need."""
        if Feature.CONSOLE in self.needs and not vm.has_console:
            return "serial console"
        return "screen" if Feature.DISPLAY in self.needs and not vm.displays else ""

    def check(self, fleet: Fleet, ref: VMRef) -> None:
        """Raise RefusedError, UnsupportedError or StateError if it can't be done."""
        vm = fleet.vm(ref)
        connection = fleet.connection(ref.uri)
        if self.changes and connection.read_only:
            raise read_only(f"{self.label} of {vm.name}")
        if self.needs not in connection.backend.features:
            raise UnsupportedError(f"{connection.label} can't {self.command or self.id} a VM")
        if lacking := self._lacking(vm):
            part = "a serial port" if lacking == "serial console" else "a graphics card"
            raise UnsupportedError(
                f"{vm.name} has no {lacking}", hint=f"Add {part} to its definition."
            )
        if vm.state not in self.states:
            allowed = ", ".join(sorted(state.value for state in self.states))
            raise StateError(
                f"can't {self.command or self.id} {vm.name}",
                why=f"it is {vm.state.value}",
                hint=f"It has to be: {allowed}.",
            )


async def perform(
    action: Action, fleet: Fleet, ref: VMRef, progress: ProgressSink, *, confirmed: bool
) -> str:
    """Do `action` to one VM without a person to ask; gives its one line of result.

    Raises RefusedError for a dangerous action that was not confirmed, and what the action raises.
    """
    if action.prepare is None:
        raise UnsupportedError(f"{action.id} needs the interface")
    action.check(fleet, ref)
    prepared = await action.prepare(fleet, ref)
    if action.dangerous and not confirmed:
        raise RefusedError(
            f"{action.label} of {fleet.vm(ref).name} was not confirmed",
            why="\n".join(prepared.consequences),
            hint="Add --yes to do it.",
        )
    return await prepared.work(progress)
