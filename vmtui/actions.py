"""Every verb, declared once: keys, footer, palette, help, commands and confirmations."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum

from vmtui.backends.base import Feature, Progress, ProgressSink
from vmtui.column_sets import ColumnSet
from vmtui.errors import OperationError, RefusedError, StateError, UnsupportedError, read_only
from vmtui.fleet import Fleet
from vmtui.model import ACTIVE_STATES, INACTIVE_STATES, VM, Power, State
from vmtui.tasks import Work
from vmtui.units import plain, size
from vmtui.views import ConnectionView, VMRef

SHUTDOWN_TIMEOUT_S = 180.0
SETTLE_TIMEOUT_S = 30.0

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


def _power(op: Power, done: str, reached: frozenset[State], *consequences: str) -> Prepare:
    """An operation that is over once the VM is in one of the states `reached`."""

    async def prepare(fleet: Fleet, ref: VMRef) -> Prepared:
        name = fleet.vm(ref).name

        async def work(progress: ProgressSink) -> str:
            progress(Progress(op.value))
            await fleet.backend(ref).power(ref.id, op)
            if not await fleet.wait_until(ref, _in_states(reached), SETTLE_TIMEOUT_S):
                raise OperationError(
                    f"{op.value} of {name} was accepted, but nothing happened",
                    why=f"it is {fleet.vm(ref).state.value} after {SETTLE_TIMEOUT_S:.0f} s",
                    hint=f"See the log: vmtui log {name}",
                )
            return f"{name} {done}"

        return Prepared(tuple(line.format(name=name) for line in consequences), work)

    return prepare


def _in_states(states: frozenset[State]) -> Callable[[VM | None], bool]:
    # A transient VM vanishes when it stops: gone counts as off.
    return lambda vm: (
        (vm is None and State.OFF in states) or (vm is not None and vm.state in states)
    )


async def _prepare_shutdown(fleet: Fleet, ref: VMRef) -> Prepared:
    name = fleet.vm(ref).name

    async def work(progress: ProgressSink) -> str:
        await fleet.backend(ref).power(ref.id, Power.SHUTDOWN)
        started_s = time.monotonic()

        def reached(vm: VM | None) -> bool:
            waited_s = time.monotonic() - started_s
            progress(Progress(f"shutting down {waited_s:.0f} s", waited_s / SHUTDOWN_TIMEOUT_S))
            return _in_states(INACTIVE_STATES)(vm)

        if not await fleet.wait_until(ref, reached, SHUTDOWN_TIMEOUT_S):
            raise OperationError(
                f"{name} is still running",
                why=f"the guest did not react to the shutdown within {SHUTDOWN_TIMEOUT_S:.0f} s",
                hint=f"Force it off (what is not saved is lost): vmtui stop {name}",
            )
        return f"{name} is off"

    return Prepared((), work)


async def _prepare_delete(fleet: Fleet, ref: VMRef) -> Prepared:
    plan = await fleet.backend(ref).delete_plan(ref.id)
    lines = [f"{plan.name} is on: it is forced off first."] if plan.force_off else []
    for doomed in plan.doomed:
        extent = "" if doomed.size_bytes is None else f" ({size(doomed.size_bytes)})"
        lines.append(f"Deleted for good: {doomed.what} {doomed.name}{extent}")
    lines += [f"Stays: {kept.name} ({kept.why})" for kept in plan.kept]
    if not plan.doomed:
        lines.append("Only its definition is deleted; it has no disks of its own.")

    async def work(progress: ProgressSink) -> str:
        progress(Progress("deleting"))
        await fleet.delete(ref, plan)
        return f"{plan.name} is deleted"

    return Prepared(tuple(plain(line) for line in lines), work)


RUNNING = frozenset({State.RUNNING})

ACTIONS: tuple[Action, ...] = (
    Action(
        "new",
        "new",
        "n",
        "Create a VM.",
        Scope.VIEW,
        command="create",
    ),
    Action(
        "start",
        "start",
        "s",
        "Power it on.",
        states=INACTIVE_STATES,
        command="start",
        prepare=_power(Power.START, "is running", RUNNING),
    ),
    Action(
        "shutdown",
        "shut down",
        "d",
        "Ask the guest to shut down, and wait until it has.",
        states=frozenset({State.RUNNING, State.STOPPING}),
        needs=Feature.SHUTDOWN,
        command="shutdown",
        prepare=_prepare_shutdown,
    ),
    Action(
        "console",
        "console",
        "c",
        "Open its serial console.",
        needs=Feature.CONSOLE,
        changes=False,  # it can be watched where nothing may be typed
    ),
    Action(
        "screen",
        "screen",
        "V",
        "Open the guest's screen.",
        states=ACTIVE_STATES,
        needs=Feature.DISPLAY,
        changes=False,
    ),
    Action(
        "pause",
        "pause",
        "p",
        "Stop its vCPUs; memory stays.",
        states=RUNNING,
        needs=Feature.PAUSE,
        command="pause",
        prepare=_power(Power.PAUSE, "is paused", frozenset({State.PAUSED})),
    ),
    Action(
        "resume",
        "resume",
        "u",
        "Let its vCPUs go on.",
        states=frozenset({State.PAUSED, State.SUSPENDED}),
        needs=Feature.PAUSE,
        command="resume",
        prepare=_power(Power.RESUME, "is running", RUNNING),
    ),
    Action(
        "reboot",
        "reboot",
        "r",
        "Ask the guest to reboot.",
        states=RUNNING,
        needs=Feature.REBOOT,
        command="reboot",
        prepare=_power(Power.REBOOT, "was asked to reboot", ACTIVE_STATES),
        footer=False,
    ),
    Action(
        "reset",
        "reset",
        "R",
        "Press the reset button: the guest is not asked.",
        states=ACTIVE_STATES,
        needs=Feature.RESET,
        dangerous=True,
        command="reset",
        prepare=_power(
            Power.RESET,
            "was reset",
            ACTIVE_STATES,
            "{name} restarts at once; what the guest has not written to its disks is lost.",
        ),
        footer=False,
    ),
    Action(
        "stop",
        "force off",
        "D",
        "Cut the power at once.",
        states=ACTIVE_STATES,
        dangerous=True,
        command="stop",
        prepare=_power(
            Power.STOP,
            "is off",
            INACTIVE_STATES,
            "{name} loses power at once; what the guest has not written to its disks is lost.",
        ),
        footer=False,
    ),
    Action(
        "delete",
        "delete",
        "X",
        "Delete it with its disks, after naming each.",
        needs=Feature.DELETE,
        dangerous=True,
        command="delete",
        prepare=_prepare_delete,
        footer=False,
    ),
    Action(
        "clone",
        "clone",
        "y",
        "Make a VM like it, with disks of its own.",
        states=INACTIVE_STATES,
        needs=Feature.CLONE,
        command="clone",
        footer=False,
    ),
    Action(
        "consoles",
        "consoles",
        "w",
        "Consoles of marked VMs, or of all open ones, side by side.",
        needs=Feature.CONSOLE,
        changes=False,
        footer=False,
    ),
    Action(
        "attach",
        "attach",
        "C",
        "Attach this terminal to the serial console, raw.",
        states=frozenset({State.RUNNING, State.PAUSED, State.STOPPING}),
        needs=Feature.CONSOLE,
        command="console",
        footer=False,
    ),
    Action(
        "viewer",
        "viewer",
        "v",
        "Open its screen in a viewer on the desktop.",
        states=ACTIVE_STATES,
        needs=Feature.DISPLAY,
        changes=False,
        footer=False,
    ),
    Action(
        "ssh",
        "ssh",
        "S",
        "Log in with ssh.",
        states=frozenset({State.RUNNING, State.STOPPING}),
        changes=False,
        footer=False,
    ),
    Action(
        "sandbox",
        "sandbox",
        "N",
        "Start a throwaway VM: no network, gone once it is off.",
        Scope.VIEW,
        command="sandbox",
        footer=False,
    ),
    Action(
        "images",
        "images",
        "I",
        "Images here and in the catalogue: pull, verify, remove.",
        Scope.VIEW,
        command="images",
        footer=False,
    ),
    Action("filter", "filter", "slash", "Show only VMs that match.", Scope.VIEW),
    Action("mark", "mark", "space", "Mark for the next action; Esc unmarks all.", Scope.VIEW),
    Action("mark_all", "mark all", "asterisk", "Mark all shown VMs.", Scope.VIEW, footer=False),
    Action(
        "sort_left",
        "sort left",
        "less_than_sign",
        "Sort by the column to the left.",
        Scope.VIEW,
        footer=False,
    ),
    Action(
        "sort_right",
        "sort right",
        "greater_than_sign",
        "Sort by the column to the right.",
        Scope.VIEW,
        footer=False,
    ),
    Action(
        "sort_reverse",
        "reverse",
        "exclamation_mark",
        "Reverse the order.",
        Scope.VIEW,
        footer=False,
    ),
    Action(
        "alarm",
        "next alarm",
        "a",
        "Go to the next VM that has too much of something.",
        Scope.VIEW,
        footer=False,
    ),
    Action("explain", "explain", "i", "What the figures shown here are and come from.", Scope.VIEW),
    Action("host", "host", "o", "Open the VM's host in full.", Scope.VIEW, footer=False),
    *(
        Action(
            f"columns_{columns}",
            f"{columns.label} columns",
            str(place),
            f"Show the {columns.label} columns.",
            Scope.VIEW,
            footer=False,
        )
        for place, columns in enumerate(ColumnSet, start=1)
    ),
    Action(
        "retry", "retry", "ctrl+r", "Try connections that are down now.", Scope.VIEW, footer=False
    ),
    Action(
        "connections",
        "connections",
        "at",
        "How each connection is, and why.",
        Scope.VIEW,
        footer=False,
    ),
    Action("tasks", "tasks", "T", "Show running and finished tasks.", Scope.VIEW, footer=False),
    Action(
        "doctor",
        "doctor",
        "H",
        "What this machine has, and what is missing.",
        Scope.VIEW,
        footer=False,
    ),
    Action("theme", "theme", "ctrl+t", "Next theme.", Scope.VIEW, footer=False),
    Action("help", "help", "question_mark", "All keys.", Scope.VIEW),
    Action("quit", "quit", "q", "Leave; VMs go on.", Scope.VIEW, footer=False),
    *(
        Action(f"replay_{name}", label, key, about, Scope.REPLAY, footer=False)
        for name, label, key, about in (
            ("pause", "pause replay", "P", "Stop the replay, or go on."),
            ("step_on", "step on", "full_stop", "One sample on."),
            ("step_back", "step back", "comma", "One sample back."),
            ("on_10s", "10 s on", "right_curly_bracket", "10 seconds on."),
            ("back_10s", "10 s back", "left_curly_bracket", "10 seconds back."),
            ("on_1min", "1 min on", "right_parenthesis", "A minute on."),
            ("back_1min", "1 min back", "left_parenthesis", "A minute back."),
            ("begin", "to the start", "circumflex_accent", "To the first sample."),
            ("end", "to the end", "dollar_sign", "To the last sample."),
            ("speed", "replay speed", "F", "4 and 16 times as fast, then as it was."),
        )
    ),
)

BY_ID = {action.id: action for action in ACTIONS}
BY_COMMAND = {action.command: action for action in ACTIONS if action.command}


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
