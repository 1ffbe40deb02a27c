"""`X`: what goes with VMs and what stays, chosen item by item, to the trash or for good."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Button, Input, Static

from vmtui.actions import BY_ID
from vmtui.actions.runs import delete_work
from vmtui.backends.base import DeletePlan, Feature
from vmtui.errors import VmtuiError
from vmtui.screens.base import FleetScreen
from vmtui.screens.doing import Outcome, run_all, tell
from vmtui.screens.modal import TallModal
from vmtui.units import plain
from vmtui.views import VMView
from vmtui.widgets.doomed_list import DoomedList
from vmtui.widgets.forms import Tick

Plans = Sequence[DeletePlan]

SEALED = "TPM"
"""What is called so can't be made anew: a VM's name has to be typed for it."""


class DeleteScreen(TallModal[Plans | None]):
    """Gives the plans as they were chosen; None for none.

    Cancel has the focus, or the field where something has to be typed.
    """

    DEFAULT_CSS = """
    DeleteScreen { align: center middle; }
    DeleteScreen > Vertical { width: 92; max-width: 96%;
        border: round $error; background: $background; padding: 0 2; }
    DeleteScreen #title { text-style: bold; color: $error; margin-bottom: 1; }
    DeleteScreen VerticalScroll { height: auto; scrollbar-size-vertical: 1; }
    DeleteScreen.-full VerticalScroll { height: 1fr; min-height: 1; }
    DeleteScreen Tick { margin-top: 1; }
    DeleteScreen #typing { height: auto; margin-top: 1; }
    DeleteScreen Input { height: 1; border: none; padding: 0; background: $panel; }
    DeleteScreen #keys { color: $text-muted; margin-top: 1; }
    DeleteScreen #buttons { height: 1; margin-top: 1; align-horizontal: right; }
    DeleteScreen Button { margin-left: 2; min-width: 14; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "yes"),
        Binding("n,escape,q", "answer(False)", "no"),
        Binding("t", "trash", "trash", show=False),
        Binding("down,j", "list", show=False),
        Binding("up,k", "app.focus_previous", show=False),
        Binding("left,h", "app.focus_previous", show=False),
        Binding("right,l", "app.focus_next", show=False),
    ]

    AUTO_FOCUS = "#no"

    def __init__(self, title: str, plans: Plans, *, trash: bool) -> None:
        super().__init__()
        self._heading = title
        self._list = DoomedList(plans)
        self._offers_trash = trash
        self._trash = Tick("to the trash: it can be brought back for a while", id="trash")
        if trash:
            self._trash.choose("yes")

    def compose(self) -> ComposeResult:
        """Title, items, trash, what has to be typed, buttons."""
        with Vertical():
            yield Static(Content(self._heading), id="title")
            with VerticalScroll(can_focus=False):
                yield self._list
            yield self._trash
            with Vertical(id="typing"):
                yield Static("", id="asked")
                yield Input(compact=True)
            yield Static("", id="keys")
            with Horizontal(id="buttons"):
                yield Button(Content.assemble(("n", "bold"), " cancel"), id="no")
                yield Button(Content.assemble(("y", "bold"), " delete"), id="yes", variant="error")

    def _keys(self, *, typing: bool, agreed: bool) -> str:
        """Letters are for the field, where something has to be typed."""
        keys = ["↓ Space spares an item"] if self._list.has_choices else []
        if self._offers_trash:
            keys.append("↑ Space trash" if typing else "t trash or not")
        if agreed:
            keys.append("Enter deletes" if typing else "y deletes")
        return " · ".join([*keys, "Esc cancels"])

    def on_mount(self) -> None:
        """What has to be typed depends on what is lost."""
        self._trash.display = self._offers_trash
        self._judge()
        self._focus()

    @property
    def plans(self) -> Plans:
        """As they are chosen now."""
        to_trash = self._offers_trash and self._trash.on
        return [replace(plan, to_trash=to_trash) for plan in self._list.plans]

    def _to_type(self) -> str:
        """What has to be typed; empty: nothing is lost that can't be had again."""
        if self._offers_trash and self._trash.on:
            return ""
        losing = [
            plan
            for plan in self._list.plans
            if any(SEALED in each.what and not each.spared for each in plan.doomed)
        ]
        if not losing:
            return ""
        return losing[0].name if len(self._list.plans) == 1 else f"delete {len(self._list.plans)}"

    @on(Tick.Changed)
    def _trash_chosen(self) -> None:
        self._judge()
        if self._to_type():
            self._focus()

    @on(DoomedList.Changed)
    @on(Input.Changed)
    def _judge(self) -> None:
        wanted = self._to_type()
        self.query_one("#typing").display = bool(wanted)
        self.query_one("#asked", Static).update(Content(f"Type {plain(wanted)} to do it:"))
        agreed = not wanted or self.query_one(Input).value == wanted
        self.query_one("#yes", Button).disabled = not agreed
        keys = self._keys(typing=bool(wanted), agreed=agreed)
        self.query_one("#keys", Static).update(Content(keys))
        self.refit()

    def _focus(self) -> None:
        """Where one goes on: at what has to be typed, else at Cancel."""
        self.set_focus(self.query_one(Input) if self._to_type() else self.query_one("#no"))

    def action_list(self) -> None:
        """Into the items."""
        self._list.focus()

    def action_trash(self) -> None:
        """To the trash, or for good."""
        if self._offers_trash:
            self._trash.action_step(1)
            self._judge()  # at once: a key that follows must find it so
            self._focus()

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        self.action_answer(event.button.id == "yes")

    @on(Input.Submitted)
    def _submitted(self) -> None:
        self.action_answer(answer=True)

    def action_answer(self, answer: bool) -> None:
        """Answer; what has to be typed for has to be typed first."""
        if not answer:
            self.dismiss(None)
        elif self.query_one("#yes", Button).disabled:
            self.query_one(Input).focus()
        else:
            self.dismiss(self.plans)


async def delete(screen: FleetScreen, rows: Sequence[VMView]) -> None:
    """Plan, ask, delete; for a worker of the app."""
    fleet, action, hidden = screen.context.fleet, BY_ID["delete"], screen.hidden_targets()
    outcomes: list[Outcome] = []
    planned: list[tuple[VMView, DeletePlan]] = []
    for row in rows:
        refusal = action.refusal(row.vm, screen.view.connection(row.ref.uri))
        if refusal:
            outcomes.append(Outcome(f"{plain(row.vm.name)}: not done. {refusal}", ok=False))
            continue
        try:
            planned.append((row, await fleet.backend(row.ref).delete_plan(row.ref.id)))
        except VmtuiError as error:
            outcomes.append(Outcome(str(error), ok=False))
    if planned:
        one = len(planned) == 1
        what = plain(planned[0][0].vm.name) if one else f"{len(planned)} VMs"
        what += f" ({hidden} hidden by the filter)" if hidden else ""
        features = [fleet.backend(row.ref).features for row, _ in planned]
        trash = all(Feature.TRASH in each for each in features)
        question = DeleteScreen(f"Delete {what}?", [plan for _, plan in planned], trash=trash)
        chosen = await screen.app.push_screen_wait(question)
        if chosen is None:
            return
        works = [
            (row, delete_work(fleet, row.ref, plan))
            for (row, _), plan in zip(planned, chosen, strict=True)
        ]
        outcomes += await run_all(screen, action, works)
    tell(screen, action.label, outcomes)
