"""A box of facts, kept fresh, and the few things that can be done about them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from rich.segment import Segment
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Static
from textual.worker import WorkType

from vmtui.actions import unchangeable
from vmtui.errors import VmtuiError
from vmtui.progress import ProgressSink
from vmtui.screens.base import Context, FleetScreen
from vmtui.screens.doing import Outcome, tell, tell_error
from vmtui.screens.holding import Holding
from vmtui.screens.modal import Modal
from vmtui.units import plain
from vmtui.views import TaskStatus, VMRef
from vmtui.widgets.lines import Line, Lines, length
from vmtui.widgets.listing import Listing, Row

LOOK_S = 2.0


@dataclass(frozen=True, slots=True)
class Command:
    """One thing that can be done in a panel; `refusal`: why not now."""

    key: str
    label: str
    run: Callable[[], Awaitable[object]]
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a panel shows now."""

    rows: Sequence[Row]
    commands: Sequence[Command]


class Keys(Lines):
    """The keys of commands, in as many lines as they need; what can't be done now is faint."""

    def __init__(self) -> None:
        super().__init__()
        self._commands: Sequence[Command] = ()

    def show(self, commands: Sequence[Command]) -> None:
        """Other commands."""
        self._commands = commands
        self.styles.height = max(1, len(self._laid_out()))
        self.redraw()

    def on_resize(self) -> None:
        """Lay them out anew."""
        self.show(self._commands)

    def paint(self) -> Sequence[Line]:
        """Key and word each."""
        return self._laid_out()

    def _laid_out(self) -> list[Line]:
        ink, lines = self.ink, [list[Segment]()]
        keys = [(c.key, c.label, not c.refusal) for c in self._commands]
        for key, word, can in [*keys, ("Esc", "closes", True)]:
            piece = [
                Segment(key, ink.accent if can else ink.off),
                Segment(f" {word}   ", ink.text if can else ink.off),
            ]
            if lines[-1] and length(lines[-1]) + length(piece) - 3 > self.size.width:
                lines.append([])
            lines[-1] += piece
        return lines


class Panel(Modal[None], Holding):
    """Over the screen that opened it; what it shows is read again while it is open."""

    DEFAULT_CSS = """
    Panel { align: center middle; }
    Panel > Vertical { width: 100; max-width: 96%; height: auto; max-height: 96%;
        border: round $primary; background: $background; padding: 0 2; }
    Panel #title { text-style: bold; color: $primary; margin-bottom: 1; }
    Panel VerticalScroll { height: auto; max-height: 70vh; scrollbar-size-vertical: 1; }
    Panel Keys { margin-top: 1; height: 1; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "close", "close"),
        Binding("j,down", "scroll(1)", show=False),
        Binding("k,up", "scroll(-1)", show=False),
        Binding("ctrl+d,pagedown", "scroll(10)", show=False),
        Binding("ctrl+u,pageup", "scroll(-10)", show=False),
        Binding("g,home", "scroll(-100000)", show=False),
        Binding("G,end", "scroll(100000)", show=False),
    ]

    label_cells = 16
    about: VMRef | None = None
    """The VM that its tasks are about."""

    def __init__(self, over: FleetScreen, title: str, uri: str) -> None:
        super().__init__()
        self.over = over
        self.uri = uri
        self._heading = title
        self._listing = Listing([(("Reading …", "quiet"),)], self.widths())
        self._keys = Keys()
        self._commands: Sequence[Command] = ()
        self._busy = False

    @property
    def shared(self) -> Context:
        """What all screens share."""
        return self.over.context

    @property
    def unchangeable(self) -> str:
        """Why nothing can be changed from here; empty: it can."""
        return unchangeable(self.shared.fleet.view().connection(self.uri))

    def widths(self) -> tuple[int, ...]:
        """Of all columns but the last."""
        return (self.label_cells,)

    def compose(self) -> ComposeResult:
        """Title, facts, keys."""
        note = " · read-only" if self.unchangeable else ""
        with Vertical():
            yield Static(Content(self._heading + note), id="title")
            with VerticalScroll(id="body", can_focus=False):
                yield self._listing
            yield self._keys

    def on_mount(self) -> None:
        """Look, and go on looking."""
        follow: WorkType[None] = self._follow
        self.run_worker(follow, group="look", exclusive=True)

    async def look(self) -> Seen:
        """What there is to show. Raises VmtuiError."""
        raise NotImplementedError

    async def _follow(self) -> None:
        while True:
            await self._look()
            await asyncio.sleep(LOOK_S)

    async def _look(self) -> None:
        try:
            seen = await self.look()
        except VmtuiError as error:
            seen = Seen([((plain(str(error)), "bad"),)], ())
        self._listing.show(seen.rows)
        if seen.commands != self._commands:
            self._commands = seen.commands
            self._keys.show(seen.commands)

    def on_key(self, event: events.Key) -> None:
        """Keys of commands."""
        command = next((c for c in self._commands if c.key == event.character), None)
        if command is None:
            return
        event.stop()
        if command.refusal:
            self.app.notify(command.refusal, severity="warning", markup=False, timeout=4)
        elif self._busy or self.is_held:
            self.app.notify("One thing after the other.", markup=False, timeout=3)
        else:
            self.bring(partial(self._run, command), "configuring")

    async def _run(self, command: Command) -> None:
        self._busy = True
        try:
            await command.run()
        except VmtuiError as error:
            tell_error(self.over, error)
        finally:
            self._busy = False
        if self.is_attached:
            await self._look()

    def action_close(self) -> None:
        """Back; a question that is about to come is called off first."""
        if not self.call_off():
            self.dismiss()

    def action_scroll(self, lines: int) -> None:
        """Scroll the facts."""
        self.query_one("#body").scroll_relative(y=lines, animate=False)

    async def run_task(self, label: str, done: str, work: Callable[[], Awaitable[None]]) -> None:
        """Do what has no plan as a task, and tell how it ended."""

        async def whole(_: ProgressSink) -> str:
            await work()
            return done

        self.release()  # from here on Esc only closes: the task goes on
        view = await self.shared.fleet.tasks.start(label, self.about, whole)
        text = str(view.error) if view.error else plain(view.result)
        tell(self.over, label, [Outcome(text, ok=view.status is TaskStatus.DONE)])

    def command(
        self,
        key: str,
        label: str,
        run: Callable[..., Awaitable[object]],
        *args: object,
        refusal: str = "",
        changes: bool = True,
    ) -> Command:
        """A command with its arguments; one that `changes` is refused where nothing may be."""
        refusal = (self.unchangeable if changes else "") or refusal
        return Command(key, label, partial(run, *args), refusal)
