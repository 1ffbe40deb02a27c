"""What all screens share, and the screens on which VMs are acted on."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

from textual import on
from textual.app import App
from textual.binding import Binding, BindingType

from vmtui.actions import BY_ID, Action, Scope, unchangeable
from vmtui.backends.base import Feature
from vmtui.balance.balancer import Balancer
from vmtui.config import Config
from vmtui.consoles import ConsoleKey, OpenConsoles
from vmtui.fleet import Fleet
from vmtui.screens.holding import Holding
from vmtui.screens.keys import bindings, shown_key
from vmtui.shelf import Shelf
from vmtui.units import plain
from vmtui.views import ConnectionStatus, FleetView, VMView
from vmtui.widgets.action_bar import ActionBar
from vmtui.widgets.clock import Clock
from vmtui.widgets.explanation import Explains, Topic
from vmtui.widgets.lines import Lines
from vmtui.widgets.top_bar import TopBar

REFUSAL_TIMEOUT_S = 4.0

MAKES = {"new": Feature.CREATE, "sandbox": Feature.SANDBOX}
"""By the actions that make VMs, what a connection needs for them."""


class Check(Protocol):
    """One thing that the doctor looked at."""

    @property
    def name(self) -> str:
        """What."""
        ...

    @property
    def ok(self) -> bool:
        """Whether it is as it should be."""
        ...

    @property
    def found(self) -> str:
        """What was found."""
        ...

    @property
    def costs(self) -> str:
        """What its absence costs."""
        ...

    @property
    def fix(self) -> str:
        """What mends it."""
        ...

    @property
    def wrong(self) -> bool:
        """Whether it is missing, and wanted."""
        ...


Examine = Callable[[], Awaitable[tuple[Check, ...]]]


async def examine() -> tuple[Check, ...]:
    """The doctor's checks, imported when they are asked for."""
    from vmtui.doctor import checks  # noqa: PLC0415

    return await checks()


@dataclass
class Context:
    """What all screens share. `suspended`: the terminal belongs to a console, draw nothing."""

    fleet: Fleet
    config: Config
    consoles: OpenConsoles
    shelf: Shelf
    clock: Clock = field(default_factory=Clock)
    keys: Mapping[str, str] = field(default_factory=dict)
    examine: Examine = examine
    balancer: Balancer | None = None
    suspended: bool = False
    glanced: set[ConsoleKey] = field(default_factory=set)
    """Consoles that are open only because a pane shows them."""
    image_tasks: dict[str, int] = field(default_factory=dict)
    """What is being done to images, by their names: ids of tasks."""

    def key(self, action: Action) -> str:
        """How the key of an action is written."""
        return shown_key(action, self.keys)


def say_refusal(app: App[None], reason: str) -> None:
    """Tell why something can't be done."""
    app.notify(reason, severity="warning", markup=False, timeout=REFUSAL_TIMEOUT_S)


def creating_refusal(view: FleetView, needed: Feature = Feature.CREATE) -> str:
    """Why no VM, or no sandbox, can be made on any connection; empty: one can."""
    up = [c for c in view.connections if c.status is ConnectionStatus.UP]
    if not up:
        return "No connection is up."
    if refusal := unchangeable(*up):
        return refusal
    able = [c for c in up if needed in c.features and not c.read_only]
    if not able:
        what = "VMs" if needed is Feature.CREATE else "throwaway VMs"
        return f"No connection here can create {what}."
    problems = [plain(c.host.problem) for c in able if c.host and c.host.problem]
    if len(problems) < len(able):
        return ""
    return f"No VM can run: {problems[0]}; see vmtui doctor."


class FleetScreen(Holding):
    """A screen with VMs on it: all actions of the table have their keys here."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings(),
        Binding("escape", "escape", "back", show=False),
    ]

    VIEW_ACTIONS: ClassVar[frozenset[str]] = frozenset(
        {"new", "sandbox", "images", "trash", "retry", "tasks", "doctor", "connections", "explain"}
        | {"ksm", "theme", "help", "quit"}
    )
    """The actions of the interface that this screen has; the rest are refused."""

    def __init__(self, context: Context) -> None:
        super().__init__()
        self.context = context
        self.view = context.fleet.view()
        self._refused: tuple[str, float] = ("", 0.0)

    def show(self, view: FleetView) -> None:
        """Take over `view`."""
        self.view = view

    def tick(self) -> None:
        """A second has passed: draw what shows ages."""

    def targets(self) -> list[VMView]:
        """What a VM action is done to."""
        raise NotImplementedError

    def hidden_targets(self) -> int:
        """How many of the targets are not on the screen."""
        return 0

    def host_uri(self) -> str | None:
        """The connection whose host is meant here: that of the VM, else the first."""
        rows = self.targets()
        if rows:
            return rows[0].ref.uri
        return self.view.connections[0].uri if self.view.connections else None

    def action_escape(self) -> None:
        """No question, if one is about to come; else one step back."""
        if not self.call_off():
            self.action_back()

    def action_back(self) -> None:
        """One step back."""

    def topics(self) -> list[Topic]:
        """What `i` explains, the most wanted first: here the panes that can, from the top."""
        panes = sorted(self.query(Lines), key=lambda pane: not pane.has_focus)
        return [Topic.of_pane(p) for p in panes if isinstance(p, Explains) and p.display]

    def view_explain(self) -> None:
        """`i`."""
        from vmtui.screens.explain import ExplainScreen  # noqa: PLC0415 (it is made of this)

        topics = self.topics()
        if topics:
            self.app.push_screen(ExplainScreen(self.context, topics))
        else:
            self.refuse("There are no figures here.")

    def refusal(self, action: Action) -> str:
        """Why `action` can't be done now to anything it would be done to; empty: it can."""
        return self.refusals()(action)

    def refusals(self) -> Callable[[Action], str]:
        """The same for many actions at once."""
        rows = self.targets()
        # What a refusal depends on: of a thousand marks few are different.
        kinds = {
            (row.ref.uri, row.vm.state, row.vm.has_console, bool(row.vm.displays)): row
            for row in reversed(rows)
        }.values()
        first = rows[0] if rows else None

        def refusal(action: Action) -> str:
            if action.id in MAKES:
                return creating_refusal(self.view, MAKES[action.id])
            if action.scope is Scope.REPLAY:
                recorded = any(c.recorded for c in self.view.connections)
                return "" if recorded else "That is for recordings: vmtui --replay FILE."
            if action.scope is Scope.VIEW:
                return "" if action.id in self.VIEW_ACTIONS else "That is for the list of VMs."
            if first is None:
                return action.refusal(None, None)
            for row in kinds:
                if not action.refusal(row.vm, self.view.connection(row.ref.uri)):
                    return ""
            return action.refusal(first.vm, self.view.connection(first.ref.uri))

        return refusal

    def on_screen_resume(self) -> None:
        """While another screen hid it, it was not drawn."""
        if self.is_mounted:
            self.show(self.context.fleet.view())

    def action_do(self, action_id: str) -> None:
        """Do an action of the table, or say why not."""
        from vmtui.screens import doing  # noqa: PLC0415 (it opens screens, which are made of this)

        action = BY_ID[action_id]
        if self.is_held:
            return
        refusal = self.refusal(action)
        if refusal:
            self.refuse(refusal)
        elif action.scope is not Scope.VM:
            doing.in_view(self, action)
        else:
            doing.to_vms(self, action, self.targets(), self.hidden_targets())

    @on(ActionBar.Chosen)
    def _action_chosen(self, event: ActionBar.Chosen) -> None:
        self.action_do(event.action_id)

    @on(TopBar.Chosen)
    def _connections_chosen(self) -> None:
        self.action_do("connections")

    def do_to(self, action: Action, row: VMView) -> None:
        """Do an action to one VM, whatever is marked, or say why not."""
        from vmtui.screens import doing  # noqa: PLC0415 (as above)

        refusal = action.refusal(row.vm, self.view.connection(row.ref.uri))
        if refusal:
            self.refuse(refusal)
        elif not self.is_held:
            doing.to_vms(self, action, [row], 0)

    def refuse(self, reason: str) -> None:
        """Say why not, once while it can still be read."""
        now_s = time.monotonic()  # not the clock that is shown: a replay's may stand still
        said, at_s = self._refused
        if said != reason or now_s - at_s >= REFUSAL_TIMEOUT_S:
            self._refused = (reason, now_s)
            say_refusal(self.app, reason)
