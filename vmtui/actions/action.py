"""What an action is: its key, what it needs of a VM, and how it is done to one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum

from vmtui.backends.base import Feature, ProgressSink
from vmtui.errors import RefusedError, StateError, UnsupportedError, VmtuiError, read_only
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


def unchangeable(*connections: ConnectionView | None) -> str:
    """Why nothing on these connections can be changed; empty: on one of them it can.

    One that is None is not there any more.
    """
    there = [connection for connection in connections if connection is not None]
    if not there or not all(connection.read_only for connection in there):
        return ""
    if all(connection.recorded for connection in there):
        return "This is a recording."
    return "This connection is read-only." if len(there) == 1 else "All connections are read-only."


@dataclass(frozen=True, slots=True)
class Hindrance:
    """Why an action can't be done to a VM, and what it takes: clauses, the latter may be empty."""

    why: str
    needed: str = ""
    kind: type[VmtuiError] = UnsupportedError

    @property
    def line(self) -> str:
        """Both, for the interface."""
        return f"{self.why}; {self.needed}." if self.needed else f"{self.why}."

    def error(self, doing: str) -> VmtuiError:
        """Both, for a command; `doing`: verb and VM."""
        hint = f"{self.needed[:1].upper()}{self.needed[1:]}." if self.needed else ""
        return self.kind(f"can't {doing}", why=self.why, hint=hint)


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
    doing: str = ""  # before a VM's name, where `command` is no verb

    def refusal(self, vm: VM | None, connection: ConnectionView | None) -> str:
        """Why it can't be done to that VM now; empty: it can."""
        if self.scope is not Scope.VM:
            return ""
        if vm is None or connection is None:
            return "No VM is selected."
        is_missing = self.needs not in connection.features
        fixed = unchangeable(connection)
        if fixed and (self.changes or (is_missing and connection.recorded)):
            return fixed
        found = self._hindrance(vm, plain(vm.name), connection.label, connection.features)
        return found.line if found else ""

    def check(self, fleet: Fleet, ref: VMRef) -> None:
        """Raise RefusedError, UnsupportedError or StateError if it can't be done."""
        vm = fleet.vm(ref)
        connection = fleet.connection(ref.uri)
        if self.changes and connection.read_only:
            raise read_only(f"{self.label} of {vm.name}")
        found = self._hindrance(vm, "it", connection.label, connection.backend.features)
        if found:
            raise found.error(f"{self.doing or self.command or self.id} {vm.name}")

    def _hindrance(self, vm: VM, called: str, label: str, features: Feature) -> Hindrance | None:
        """The first; `called` is the VM in its words."""
        if self.needs not in features:
            return Hindrance(f"{label} can't do that")
        if Feature.CONSOLE in self.needs and not vm.has_console:
            return Hindrance(f"{called} has no serial console", "add a serial port to it")
        if Feature.DISPLAY in self.needs and not vm.displays:
            return Hindrance(f"{called} has no screen", "add a graphics card to it")
        if vm.state not in self.states:
            return Hindrance(f"{called} is {vm.state}", self._needed(vm), StateError)
        return None

    def _needed(self, vm: VM) -> str:
        """The state to bring it to: of several the plain one."""
        if vm.state is State.BROKEN:
            return "its definition has to be mended"
        plainest = self.states & {State.RUNNING, State.OFF} or self.states
        return f"it has to be {' or '.join(sorted(plainest))}"


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
