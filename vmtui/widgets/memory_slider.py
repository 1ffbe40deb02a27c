"""A slider of a guest's memory: what it has, uses and is asked to leave itself, on one scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message

from vmtui.units import MIB, size
from vmtui.widgets.graph import EMPTY, FULL
from vmtui.widgets.lines import Line, Lines

STEP_LEAST_BYTES = 16 * MIB
STEPS = 64
LARGER = 8


@dataclass(frozen=True, slots=True)
class Levels:
    """What the slider shows beside the target that one chooses."""

    ceiling_bytes: int
    actual_bytes: int
    floor_bytes: int
    asked_bytes: int | None = None
    used_bytes: int | None = None  # by the guest; None: not known


class MemorySlider(Lines, can_focus=True):
    """The target is chosen with keys or the mouse; Enter is left to the dialog."""

    DEFAULT_CSS = """
    MemorySlider { height: 3; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "step(-1)", show=False),
        Binding("right,l", "step(1)", show=False),
        Binding("shift+left,H,pagedown", f"step(-{LARGER})", show=False),
        Binding("shift+right,L,pageup", f"step({LARGER})", show=False),
        Binding("home,g", "to_floor", show=False),
        Binding("end,G", "to_ceiling", show=False),
    ]

    class Moved(Message):
        """Another target is chosen."""

        def __init__(self, target_bytes: int) -> None:
            super().__init__()
            self.target_bytes = target_bytes

    def __init__(self) -> None:
        super().__init__()
        self._levels: Levels | None = None
        self.target_bytes = 0
        self._dragging = False

    def show(self, levels: Levels) -> None:
        """Other figures; the target stays unless there was none yet."""
        if self._levels is None:
            self.target_bytes = levels.asked_bytes or levels.actual_bytes
        self._levels = levels
        self.redraw()

    def choose(self, target_bytes: int) -> None:
        """Another target, without a message."""
        self.target_bytes = target_bytes
        self.redraw()

    @property
    def step_bytes(self) -> int:
        """What one key press moves."""
        if self._levels is None:
            return STEP_LEAST_BYTES
        wanted = self._levels.ceiling_bytes // STEPS
        return max(STEP_LEAST_BYTES, wanted // STEP_LEAST_BYTES * STEP_LEAST_BYTES)

    def _move(self, target_bytes: int) -> None:
        assert self._levels is not None
        least = min(self._levels.floor_bytes, self._levels.actual_bytes, STEP_LEAST_BYTES)
        self.target_bytes = max(least, min(target_bytes, self._levels.ceiling_bytes))
        self.redraw()
        self.post_message(self.Moved(self.target_bytes))

    def action_step(self, steps: int) -> None:
        """By steps; a step stops at the floor and at what it has."""
        if self._levels is None:
            return
        before, wanted = self.target_bytes, self.target_bytes + steps * self.step_bytes
        low, high = sorted((before, wanted))
        for stop in (self._levels.floor_bytes, self._levels.actual_bytes):
            if low < stop < high:
                wanted = stop
        self._move(wanted)

    def action_to_floor(self) -> None:
        """The least."""
        if self._levels is not None:
            self._move(-(-self._levels.floor_bytes // MIB) * MIB)

    def action_to_ceiling(self) -> None:
        """All of it."""
        if self._levels is not None:
            self._move(self._levels.ceiling_bytes)

    # -- mouse -------------------------------------------------------------------------------

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """Take hold of it."""
        self.capture_mouse()
        self._dragging = True
        self._point(event.x)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """Drag."""
        if self._dragging:
            self._point(event.x)

    def on_mouse_up(self) -> None:
        """Let go."""
        self._dragging = False
        self.release_mouse()

    def _point(self, x: int) -> None:
        if self._levels is None or not self.size.width:
            return
        step, share = self.step_bytes, (x + 0.5) / self.size.width
        self._move(round(self._levels.ceiling_bytes * share / step) * step)

    # -- drawing -------------------------------------------------------------------------------

    def _cell(self, size_bytes: int) -> int:
        assert self._levels is not None
        width = self.size.width
        return max(0, min(width - 1, round(size_bytes / self._levels.ceiling_bytes * width) - 1))

    def paint(self) -> Sequence[Line]:
        """The target above the bar, floor and ceiling below it."""
        levels, ink, width = self._levels, self.ink, self.size.width
        if levels is None:
            return [[Segment("Reading …", ink.quiet)]]
        below_floor = self.target_bytes < min(levels.floor_bytes, levels.actual_bytes)
        colour = ink.warn if below_floor else ink.accent if self.has_focus else ink.text
        target = self._marked("▼", size(self.target_bytes, digits=2), self.target_bytes, width)
        used = self._cell(levels.used_bytes) + 1 if levels.used_bytes else 0
        has = max(used, self._cell(levels.actual_bytes) + 1)
        bar: Line = [
            Segment(FULL * used, ink.memory),
            Segment(FULL * (has - used), ink.quiet),
            Segment(EMPTY * (width - has), ink.faint),
        ]
        return [[Segment(target, colour)], bar, self._scale(levels, width)]

    def _scale(self, levels: Levels, width: int) -> Line:
        ceiling = f"ceiling {size(levels.ceiling_bytes, digits=2)}"
        floor = self._marked(
            "▲", f"floor {size(levels.floor_bytes, digits=2)}", levels.floor_bytes,
            max(1, width - cell_len(ceiling) - 2),
        )  # fmt: skip
        gap = max(0, width - cell_len(floor) - cell_len(ceiling))
        ink = self.ink
        return [Segment(floor + " " * gap, ink.quiet), Segment(ceiling, ink.quiet)]

    def _marked(self, mark: str, text: str, size_bytes: int, width: int) -> str:
        """A mark at its place, with text on the side that has room."""
        at = min(self._cell(size_bytes), width - 1)
        if at + 2 + len(text) <= width:
            return " " * at + f"{mark} {text}"
        return " " * max(0, at - len(text) - 1) + f"{text} {mark}"

    def watch_has_focus(self, has_focus: bool) -> None:
        """Show it."""
        super().watch_has_focus(has_focus)
        self.redraw()
