"""A plan shown before it is done: what changes, when it takes effect, and what is lost by it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import ClassVar

from rich.cells import cell_len
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Button, Input, Static

from vmtui import configuring
from vmtui.errors import VmtuiError
from vmtui.hardware.changes import ChangePlan, Outcome, When
from vmtui.hardware.tree import Takes
from vmtui.hardware.wording import TAKES, outcome
from vmtui.progress import ProgressSink
from vmtui.screens.base import FleetScreen
from vmtui.screens.doing import Outcome as Told
from vmtui.screens.doing import tell, tell_error
from vmtui.screens.modal import TallModal
from vmtui.units import plain
from vmtui.views import TaskStatus, VMRef
from vmtui.widgets.forms import Choice, Texts
from vmtui.widgets.lines import wrapped
from vmtui.widgets.listing import Listing, Row

Planner = Callable[[When], Awaitable[ChangePlan]]
"""What the same changes would do at one time or another. Raises what `Configures.plan` does."""

WHENS = {
    When.AUTO: TAKES[Takes.BOTH],
    When.LIVE: TAKES[Takes.LIVE],
    When.NEXT_BOOT: TAKES[Takes.NEXT_BOOT],
}
DIFF_LINES = 200
STEP_CELLS = 46


class PlanScreen(TallModal[ChangePlan | None]):
    """Gives the plan that is to be done; None for none. What is lost has to be typed for."""

    DEFAULT_CSS = """
    PlanScreen { align: center middle; }
    PlanScreen > Vertical { width: 96; max-width: 96%;
        border: round $primary; background: $background; padding: 0 2; }
    PlanScreen.-loses > Vertical { border: round $error; }
    PlanScreen #title { text-style: bold; color: $primary; margin-bottom: 1; }
    PlanScreen #steps { height: auto; scrollbar-size-vertical: 1; }
    PlanScreen #when { height: 1; margin-top: 1; }
    PlanScreen #when Static { width: 14; color: $text-muted; }
    PlanScreen #when Choice { width: 30; }
    PlanScreen #when #other { width: 1fr; }
    PlanScreen #diff { height: auto; margin-top: 1; scrollbar-size-vertical: 1; }
    PlanScreen.-full #steps { max-height: 30%; }
    PlanScreen.-full #diff { height: 1fr; min-height: 1; }
    PlanScreen #loss { color: $error; margin-top: 1; }
    PlanScreen Input { background: $panel; height: 1; border: none; padding: 0; }
    PlanScreen #problem { color: $error; height: auto; }
    PlanScreen #buttons { height: 1; margin-top: 1; align-horizontal: right; }
    PlanScreen Button { margin-left: 2; min-width: 14; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "yes"),
        Binding("n,escape,q", "answer(False)", "no"),
        Binding("w", "other_time", "another time"),
        Binding("j,down", "scroll(1)", show=False),
        Binding("k,up", "scroll(-1)", show=False),
        Binding("pagedown", "scroll(10)", show=False),
        Binding("pageup", "scroll(-10)", show=False),
    ]

    def __init__(self, plan: ChangePlan, planner: Planner | None = None) -> None:
        super().__init__(classes="-loses" if plan.loses else "")
        self._plan = plan
        self._planner = planner
        self._ready = True
        """Whether the plan is of the time that is chosen."""
        both = any(step.takes is Takes.BOTH for step in plan.steps)
        offered = WHENS if planner is not None and both else {plan.when: ""}
        self._when = Choice([(when.value, words) for when, words in offered.items()], id="times")
        longest = max((cell_len(plain(step.text)) for step in plan.steps), default=0)
        self._steps = Listing(_step_rows(plan), (min(STEP_CELLS, longest + 3),))
        self._diff = Texts(_diff_rows(plan.diff))

    @property
    def _times(self) -> bool:
        return len(self._when.options) > 1

    def compose(self) -> ComposeResult:
        """Title, steps, when, the difference, what is lost, buttons."""
        plan = self._plan
        with Vertical():
            yield Static(Content(f"Change {plain(plan.name)}?"), id="title")
            with VerticalScroll(id="steps", can_focus=False):
                yield self._steps
            with Horizontal(id="when"):
                yield Static("takes effect")
                yield self._when
                yield Static(Content.assemble(("w", "bold"), " another time"), id="other")
            with VerticalScroll(id="diff", can_focus=False):
                yield self._diff
            if plan.loses:
                lost = "; ".join(map(plain, plan.loses))
                yield Static(Content(f"{lost[:1].upper()}{lost[1:]}."), id="loss")
                yield Static(Content(f"Type {plain(plan.name)} to do it all the same:"))
                yield Input(id="name", compact=True)
            yield Static("", id="problem")
            with Horizontal(id="buttons"):
                yield Button(Content.assemble(("n", "bold"), " cancel"), id="no")
                yield Button(Content.assemble(("y", "bold"), " do it"), id="yes", variant="primary")

    def on_mount(self) -> None:
        """The key that does it, where nothing is lost by it."""
        self.query_one("#when").display = self._times
        self.query_one("#problem").display = False
        self._show_diff()
        self.refit()
        self.query_one("#name" if self._plan.loses else "#yes").focus()
        self._agree()

    def _show_diff(self) -> None:
        rows = _diff_rows(self._plan.diff)
        self._diff.styles.height = len(rows)
        self._diff.show(rows)
        self.query_one("#diff").display = bool(rows)

    @on(Input.Changed)
    def _agree(self) -> None:
        self.query_one("#yes", Button).disabled = not self._agreed()

    def _agreed(self) -> bool:
        if not self._ready:
            return False
        return not self._plan.loses or self.query_one("#name", Input).value == self._plan.name

    @on(Choice.Changed)
    def _chosen(self) -> None:
        self._ready = False
        self._agree()
        self.run_worker(self._plan_anew(), group="plan", exclusive=True)

    async def _plan_anew(self) -> None:
        assert self._planner is not None
        problem = ""
        try:
            self._plan = await self._planner(When(self._when.value))
        except VmtuiError as error:
            problem = plain(str(error), keep_lines=True)
        self._steps.show([] if problem else _step_rows(self._plan))
        said = self.query_one("#problem", Static)
        said.update(Content(problem))
        said.display = bool(problem)
        self._ready = not problem
        self._agree()
        self._show_diff()
        self.refit()

    def action_other_time(self) -> None:
        """`w`: live, at next boot, or both."""
        self._when.action_step(1)

    def action_scroll(self, lines: int) -> None:
        """Through the difference."""
        self.query_one("#diff").scroll_relative(y=lines, animate=False)

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        self.action_answer(event.button.id == "yes")

    @on(Input.Submitted)
    def _submitted(self) -> None:
        self.action_answer(answer=True)

    def action_answer(self, answer: bool) -> None:
        """Answer by key; a loss that was not typed for stays unanswered."""
        if not answer:
            self.dismiss(None)
        elif not self.query_one("#yes", Button).disabled:
            self.dismiss(self._plan)


def _step_rows(plan: ChangePlan) -> list[Row]:
    found: list[Row] = []
    for step in plan.steps:
        note = f" · {plain(step.note)}" if step.note else ""
        takes = TAKES[step.takes] + note
        for piece in wrapped(plain(step.text), STEP_CELLS - 3):
            found.append(((piece, "text"), (takes, "quiet")))
            takes = ""
    return found or [(("Nothing would change.", "quiet"),)]


def _diff_rows(diff: str) -> list[tuple[str, str]]:
    lines = plain(diff, keep_lines=True).expandtabs().splitlines()
    inks = {"+": "good", "-": "bad", "@": "accent"}
    rows = [(line, inks.get(line[:1], "quiet")) for line in lines if line[:3] not in ("---", "+++")]
    if len(rows) > DIFF_LINES:
        rows = [*rows[:DIFF_LINES], (f"… and {len(rows) - DIFF_LINES} more lines", "quiet")]
    return rows


async def plan_and_do(screen: FleetScreen, ref: VMRef, planner: Planner) -> bool:
    """Plan, ask, and do it as a task: for a worker of the app. Whether it was done."""
    try:
        plan = await planner(When.AUTO)
    except VmtuiError as error:
        tell_error(screen, error)
        return False
    return await ask_and_do(screen, ref, plan, planner)


async def ask_and_do(
    screen: FleetScreen, ref: VMRef, plan: ChangePlan, planner: Planner | None = None
) -> bool:
    """The same for a plan that is there."""
    if not plan.steps and not plan.diff:
        tell(screen, "", [Told(f"{plain(plan.name)} stays as it is.", ok=True)])
        return False
    chosen = await screen.app.push_screen_wait(PlanScreen(plan, planner))
    return chosen is not None and await do(screen, ref, chosen)


async def do(screen: FleetScreen, ref: VMRef, plan: ChangePlan) -> bool:
    """Do a plan that was agreed to, and tell what came of it."""
    came: list[Outcome] = []

    async def work(progress: ProgressSink) -> str:
        came.append(await configuring.change(screen.context.fleet, ref, plan, progress))
        return f"{plan.name}: " + "; ".join(outcome(came[0].done, plan.when))

    label = f"change {plain(plan.name)}"
    view = await screen.context.fleet.tasks.start(label, ref, work)
    if view.error is not None:
        tell(screen, label, [Told(str(view.error), ok=False)])
    elif view.status is TaskStatus.DONE:
        tell(screen, label, _told(plan, came[0]))
    look_again = getattr(screen.app.screen, "look_again", None)
    if look_again is not None:
        look_again()
    return view.status is TaskStatus.DONE


def _told(plan: ChangePlan, came: Outcome) -> Sequence[Told]:
    lines = outcome(came.done, plan.when)
    name = plain(plan.name)
    return [
        Told(f"{name}: {line}", ok=not done.problem)
        for line, done in zip(lines, came.done, strict=True)
    ] or [Told(f"{name} is changed.", ok=True)]
