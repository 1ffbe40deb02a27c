"""The task list: what runs, with progress and cancel, and how the others ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.cells import chop_cells
from rich.segment import Segment
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from vmtui.screens.base import Context
from vmtui.screens.keys import moves
from vmtui.screens.modal import Modal
from vmtui.stages import told
from vmtui.units import duration, plain
from vmtui.views import FleetView, TaskStatus, TaskView
from vmtui.widgets.graph import meter
from vmtui.widgets.lines import Line, Panel, fit
from vmtui.widgets.states import TASKS

LABEL = 34
BAR = 16


class TaskList(Panel, can_focus=True):
    """Running tasks first, then the newest."""

    focused_border = True

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._shared = context
        self._listed: list[TaskView] = []
        self._chosen: int | None = None  # a task's id

    def show(self, view: FleetView) -> None:
        """Take over the tasks."""
        self._listed = sorted(
            view.tasks, key=lambda task: (task.status is not TaskStatus.RUNNING, -task.id)
        )
        if self._chosen is None and self._listed:
            self._chosen = self._listed[0].id
        self.redraw()

    @property
    def chosen(self) -> TaskView | None:
        """The task under the cursor."""
        return next((task for task in self._listed if task.id == self._chosen), None)

    def move(self, step: int) -> None:
        """Move the cursor."""
        if not self._listed:
            return
        ids = [task.id for task in self._listed]
        at = ids.index(self._chosen) if self._chosen in ids else 0
        self._chosen = ids[max(0, min(len(ids) - 1, at + step))]
        self.redraw()

    def title(self) -> Line:
        """How many run."""
        running = sum(task.status is TaskStatus.RUNNING for task in self._listed)
        return [
            Segment("Tasks", self.ink.accent),
            Segment(f" · {running} running · {len(self._listed) - running} ended", self.ink.quiet),
        ]

    def corner(self) -> Line:
        """The keys."""
        return [Segment("x", self.ink.accent), Segment(" cancels  ", self.ink.quiet),
                Segment("Esc", self.ink.accent), Segment(" closes", self.ink.quiet)]  # fmt: skip

    def body(self, width: int, height: int) -> Sequence[Line]:
        """A line each, and the chosen one's error in full."""
        if not self._listed:
            return [[Segment("Nothing has been started yet.", self.ink.quiet)]]
        lines: list[Line] = []
        chosen_at = 0
        for task in self._listed:
            if task.id == self._chosen:
                chosen_at = len(lines)
            lines.append(self._line(task, width))
            if task.id == self._chosen:
                lines += self._stages(task, width) + self._error(task, width)
        top = max(0, min(chosen_at - height // 2, len(lines) - height))
        return lines[top:]

    def _line(self, task: TaskView, width: int) -> Line:
        ink = self.ink
        symbol, colour = TASKS[task.status]
        end_s = task.ended_at_s or self._shared.clock.monotonic_s()
        here = task.id == self._chosen
        label_width = min(LABEL, width // 3)
        line: Line = [
            Segment("▸ " if here else "  ", ink.accent),
            Segment(f"{symbol} ", getattr(ink, colour)),
            Segment(fit(plain(task.label), label_width), ink.strong if here else ink.text),
            Segment(fit(duration(end_s - task.started_at_s), 12, right=True), ink.quiet),
            Segment("  "),
        ]
        if task.status is TaskStatus.RUNNING and task.progress:
            fraction = task.progress.fraction
            if fraction is not None:
                line += [*meter(fraction, BAR, ink, "cpu"), Segment("  ")]
            line.append(Segment(plain(task.progress.text), ink.text))
        elif task.error is not None:
            line.append(Segment(task.error.what, ink.bad))
        else:
            line.append(Segment(plain(task.result) or task.status.value, ink.text))
        return line

    def _stages(self, task: TaskView, width: int) -> list[Line]:
        pieces = chop_cells(told(task.stages), max(10, width - 6))
        return [[Segment("      "), Segment(piece, self.ink.quiet)] for piece in pieces]

    def _error(self, task: TaskView, width: int) -> list[Line]:
        if task.error is None:
            return []
        text = "\n".join(part for part in (task.error.why, task.error.hint) if part)
        pieces = [p for line in text.split("\n") for p in chop_cells(line, max(10, width - 6))]
        return [[Segment("      "), Segment(piece, self.ink.quiet)] for piece in pieces]


class TasksScreen(Modal[None]):
    """`T`"""

    DEFAULT_CSS = """
    TasksScreen { align: center middle; }
    TasksScreen TaskList { width: 96%; max-width: 140; height: 80%; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,T", "close", "close"),
        *moves("move"),
        Binding("x,delete", "cancel", "cancel"),
    ]

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._shared = context
        self.tasks = TaskList(context)

    def compose(self) -> ComposeResult:
        """The list."""
        yield self.tasks

    def on_mount(self) -> None:
        """Draw what is known."""
        self.show(self._shared.fleet.view())

    def show(self, view: FleetView) -> None:
        """Take over `view`."""
        self.tasks.show(view)

    def tick(self) -> None:
        """How long they take."""
        self.tasks.redraw()

    def action_move(self, step: int) -> None:
        """Move the cursor."""
        self.tasks.move(step)

    def action_cancel(self) -> None:
        """Cancel the chosen task."""
        task = self.tasks.chosen
        if task is None or not self._shared.fleet.tasks.cancel(task.id):
            self.notify("That task has ended.", severity="warning", markup=False)

    def action_close(self) -> None:
        """Go back."""
        self.dismiss()
