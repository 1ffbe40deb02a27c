"""`b`: memory taken from a guest or given back, and whether the guest really goes along."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static
from textual.worker import WorkType

from vmtui import ballooning
from vmtui.actions import unchangeable
from vmtui.balance.journal import Entry
from vmtui.ballooning import Compliance, Complied, Floor
from vmtui.errors import RefusedError, VmtuiError
from vmtui.hardware.around import Balloon
from vmtui.progress import Progress, ProgressSink
from vmtui.screens.base import FleetScreen
from vmtui.screens.confirm import ConfirmScreen, Question
from vmtui.screens.doing import Outcome, tell, tell_error
from vmtui.screens.holding import Holding
from vmtui.screens.memory_settings import set_by_typing, turn_balance
from vmtui.screens.modal import Modal
from vmtui.units import duration, plain, size
from vmtui.views import TaskStatus, VMView
from vmtui.widgets.listing import Listing
from vmtui.widgets.memory_facts import MemoryFacts
from vmtui.widgets.memory_slider import MemorySlider
from vmtui.widgets.target_field import TargetField

LOOK_S = 0.5
FLOOR_EVERY = 4
"""Looks between two at the floor, for which more has to be asked."""

LABEL_CELLS = 14
KEYS = (
    "← → step · Shift more · Home floor · End ceiling · Enter asks\n"
    "a automatic balance · r its range · f set the floor · Esc closes"
)
WORDS = {
    Compliance.REACHED: ("✓", "good"),
    Compliance.STILL: ("▲", "warn"),
    Compliance.NO_DRIVER: ("✗", "bad"),
    Compliance.SUPERSEDED: ("–", "quiet"),
}


class BalloonScreen(Modal[None], Holding):
    """Asking is not getting: the target stands until the guest has reached it, or does not."""

    DEFAULT_CSS = """
    BalloonScreen { align: center middle; }
    BalloonScreen > Vertical { width: 84; max-width: 96%; height: auto; max-height: 100%;
        overflow-y: auto; scrollbar-size-vertical: 1;
        border: round $primary; background: $background; padding: 0 2; }
    BalloonScreen #title { text-style: bold; color: $primary; margin-bottom: 1; }
    BalloonScreen Listing { margin-top: 1; }
    BalloonScreen #status { min-height: 2; }
    BalloonScreen #keys { color: $text-muted; margin-top: 1; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "close", "close"),
        Binding("enter", "ask", "ask", show=False),
        Binding("exclamation_mark", "insist", "below the floor", show=False),
        Binding("a", "balance", "automatic balance", show=False),
        Binding("r", "range", "its range", show=False),
        Binding("f", "floor", "floor", show=False),
    ]

    def __init__(self, over: FleetScreen, row: VMView) -> None:
        super().__init__()
        self._over = over
        self._ref = row.ref
        self._vm_name = row.vm.name
        self._refusal = unchangeable(over.context.fleet.view().connection(row.ref.uri))
        self._slider = MemorySlider()
        self._field = TargetField()
        self._facts = Listing((), (LABEL_CELLS,), id="facts")
        self._status = Listing((), (2,), id="status")
        self._floor = Floor(0, "")
        self._balloon: Balloon | None = None
        self._looks = 0
        self._asked: tuple[int, float] | None = None  # what, and since when (monotonic)
        self._progress = ""

    def compose(self) -> ComposeResult:
        """Slider, typed target, figures, what the guest does, keys."""
        note = " · read-only" if self._refusal else ""
        with Vertical():
            yield Static(Content(f"Memory of {plain(self._vm_name)}{note}"), id="title")
            yield self._slider
            yield self._field
            yield self._facts
            yield self._status
            yield Static(Content("Esc closes" if self._refusal else KEYS), id="keys")

    def on_mount(self) -> None:
        """Look, and go on looking."""
        self._slider.disabled = self._field.disabled = bool(self._refusal)
        self._slider.focus()
        follow: WorkType[None] = self._follow
        self.run_worker(follow, group="look", exclusive=True)

    # -- figures -------------------------------------------------------------------------------

    async def _follow(self) -> None:
        while True:
            try:
                await self._look()
            except VmtuiError as error:
                self._say("✗", str(error), "bad")
            await asyncio.sleep(LOOK_S)

    async def _look(self) -> None:
        fleet = self._over.context.fleet
        self._balloon = await ballooning.balloons(fleet, self._ref).balloon(self._ref.id)
        if self._looks % FLOOR_EVERY == 0:
            self._floor = await ballooning.floor(fleet, self._ref)
        self._looks += 1
        self._field.ceiling_bytes = self._balloon.ceiling_bytes
        first = not self._slider.target_bytes
        view = fleet.view()
        facts = MemoryFacts(
            self._balloon,
            self._floor,
            view.row(self._ref),
            view.connection(self._ref.uri),
            self._decided(),
        )
        self._slider.show(facts.levels)
        self._facts.show(facts.rows())
        if first:
            self._show_target()
        self._show_progress()

    def _decided(self) -> Entry | None:
        """What automatic balance decided last for this VM."""
        balancer = self._over.context.balancer
        recent = reversed(balancer.recent) if balancer is not None else ()
        return next((entry for entry in recent if entry.decision.id == self._ref.id), None)

    def _show_progress(self) -> None:
        if self._asked is not None:
            target_bytes, since_s = self._asked
            what = self._progress or f"asking for {size(target_bytes, digits=2)}"
            waited = duration(time.monotonic() - since_s)
            self._say("↻", f"{what} · {waited}", "note")

    def _say(self, mark: str, text: str, ink: str) -> None:
        """What became of the last request."""
        self._status.show([((mark, ink), (plain(text), ink))])

    # -- the target ----------------------------------------------------------------------------

    def _show_target(self) -> None:
        self._field.show(self._slider.target_bytes)
        self._judge()

    def _judge(self) -> None:
        """Warn of a target that only insisting gets."""
        balloon, least = self._balloon, self._floor.size_bytes
        below = balloon and self._slider.target_bytes < min(least, balloon.actual_bytes)
        self._field.tell("below its floor: ! asks all the same" if below else "")

    @on(MemorySlider.Moved)
    def _moved(self) -> None:
        self._show_target()

    @on(TargetField.Typed)
    def _chosen(self, event: TargetField.Typed) -> None:
        self._slider.choose(event.target_bytes)
        self._judge()

    @on(TargetField.Entered)
    def _entered(self) -> None:
        self._slider.focus()
        self.action_ask()

    def on_key(self, event: events.Key) -> None:
        """A digit begins to type."""
        if not self._refusal and self._field.feed(event):
            event.stop()
            event.prevent_default()

    # -- asking --------------------------------------------------------------------------------

    def action_ask(self) -> None:
        """Enter."""
        if self._balloon is not None and self._may():
            target_bytes = self._slider.target_bytes
            self.app.run_worker(self._ask(target_bytes, below_floor=False), group="configuring")

    def action_insist(self) -> None:
        """`!`: below the floor, after asking."""
        if self._balloon is not None and self._may():
            self.bring(partial(self._insist, self._slider.target_bytes), "configuring")

    def _may(self) -> bool:
        """Whether it can be changed; says why not."""
        if self._refusal:
            self._over.refuse(self._refusal)
        return not self._refusal

    async def _insist(self, target_bytes: int) -> None:
        lines = (
            f"Its floor is {size(self._floor.size_bytes, digits=2)}: {self._floor.why}.",
            "With less its guest may swap, or kill its programs.",
        )
        title = f"Ask {plain(self._vm_name)} to do with {size(target_bytes, digits=2)}?"
        question = Question(title, (("", lines),), yes="ask")
        if await self.app.push_screen_wait(ConfirmScreen(question)):
            await self._ask(target_bytes, below_floor=True)

    async def _ask(self, target_bytes: int, *, below_floor: bool) -> None:
        fleet, ref = self._over.context.fleet, self._ref
        asked = self._asked = (target_bytes, time.monotonic())
        self._progress = ""
        found: list[Complied] = []

        async def work(progress: ProgressSink) -> str:
            def moving(step: Progress) -> None:
                if self._asked is asked:
                    self._progress = step.text
                progress(step)

            await ballooning.ask(fleet, ref, target_bytes, below_floor=below_floor)
            found.append(await ballooning.follow(fleet, ref, target_bytes, moving))
            return found[0].told(self._vm_name)

        label = f"memory of {plain(self._vm_name)}"
        view = await fleet.tasks.start(label, ref, work)
        if self._asked is asked:
            self._asked = None
        if view.error is not None:
            self._refused(view.error)
        elif view.status is TaskStatus.DONE:
            self._ended(found[0])

    def _refused(self, error: VmtuiError) -> None:
        if not self.is_attached:
            tell_error(self._over, error)
            return
        hint = " – ! asks all the same" if isinstance(error, RefusedError) else ""
        self._say("✗", (f"{error.what}: {error.why}" if error.why else error.what) + hint, "bad")

    def _ended(self, complied: Complied) -> None:
        mark, ink = WORDS[complied.compliance]
        told = complied.told(self._vm_name)
        if complied.compliance is Compliance.NO_DRIVER:
            told = f"not complying: {told}"
        if self.is_attached:
            if complied.compliance is not Compliance.SUPERSEDED:
                self._say(mark, told, ink)
        elif complied.compliance is not Compliance.SUPERSEDED:
            ok = complied.compliance is Compliance.REACHED
            tell(self._over, "memory", [Outcome(f"{mark} {told}", ok=ok)])

    # -- settings ------------------------------------------------------------------------------

    def action_floor(self) -> None:
        """`f`: the floor, as a setting."""
        self._set(set_by_typing, "memory.floor")

    def action_range(self) -> None:
        """`r`: from what to what vmtui may move its memory."""
        self._set(set_by_typing, "balance.least", "balance.most")

    def action_balance(self) -> None:
        """`a`: on or off."""
        self._set(turn_balance)

    def _set(self, what: Callable[..., Awaitable[None]], *keys: str) -> None:
        row = self._over.context.fleet.view().row(self._ref)
        if row is not None and self._may():
            self.bring(partial(what, self._over, row, *keys), "configuring")

    def action_close(self) -> None:
        """Back; what was asked for goes on."""
        if not self.call_off():
            self.dismiss()
