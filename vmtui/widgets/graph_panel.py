"""A panel that can fill with stacked graphs above one axis: what of the past is drawn, and how."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from textual import events

from vmtui.history import History
from vmtui.theming import Ink
from vmtui.widgets.clock import Clock
from vmtui.widgets.lines import Line
from vmtui.widgets.plots import PANE_GAP, PANE_LEAST, Plots, axis_line, pane_span_s
from vmtui.widgets.sections import Pieces, Section
from vmtui.widgets.timed_panel import TimedPanel
from vmtui.widgets.timeline import Past, Timeline, span_text

WHEEL_LINES = 3


class GraphPanel(TimedPanel):
    """Zoom, pan and scroll of graphs; subclasses say of what."""

    def __init__(self, clock: Clock, history: History, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._clock = clock
        self._history = history
        self._plots = Plots()
        self._timeline = Timeline()
        self._first = 0  # line of the stack that is the first one shown
        self._hidden = 0  # lines of it below the last one shown

    def newest_s(self) -> float:
        """Where graphs end while they follow (monotonic)."""
        raise NotImplementedError

    def forget(self) -> None:
        """Something else is shown from now on."""
        self._plots.forget()
        self._first = 0

    # -- what of it ----------------------------------------------------------------------------

    def zoom(self, step: int) -> None:
        """Closer (positive), or more of the past."""
        self._timeline = self._timeline.zoomed(step)
        self.redraw()

    def pan(self, step: int) -> None:
        """Back (negative) or on in time."""
        self._timeline = self._timeline.panned(step, self.newest_s())
        self.redraw()

    def pan_to_now(self) -> None:
        """Follow again."""
        self._timeline = self._timeline.following()
        self.redraw()

    def scroll_graphs(self, lines: int) -> None:
        """Up (negative) or down, where there is more than fits."""
        self._first = max(0, self._first + min(lines, self._hidden))
        self.redraw()

    def turn_wheel(self, lines: int) -> None:
        """The wheel over it, up (negative) or down."""
        self.scroll_graphs(lines)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Through what does not fit."""
        event.stop()
        self.turn_wheel(-WHEEL_LINES)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Through what does not fit."""
        event.stop()
        self.turn_wheel(WHEEL_LINES)

    # -- drawing -------------------------------------------------------------------------------

    def side_by_side(
        self, sections: Sequence[Section], key: Hashable, ink: Ink, width: int, height: int
    ) -> list[Line]:
        """Panes of all sections, as many beside each other as fit, with the newest of the past."""
        columns = max(1, min(len(sections), (width + PANE_GAP) // (PANE_LEAST + PANE_GAP)))
        span_s = pane_span_s(width // columns - PANE_GAP)
        past = Past(self._history, key, self.newest_s(), span_s)
        return self._plots.side_by_side(sections, past, ink, width, height)

    def stack(
        self, sections: Sequence[Section], key: Hashable, ink: Ink, width: int, height: int
    ) -> list[Line]:
        """Graphs of all sections in the span that is chosen, and the axis below them."""
        timeline = self._timeline
        end_s = self.newest_s() if timeline.end_s is None else timeline.end_s
        past = Past(self._history, key, end_s, timeline.span_s)
        lines = self._plots.stacked(sections, past, ink, width, height - 1)
        self._first = max(0, min(self._first, len(lines) - height + 1))
        shown = lines[self._first : self._first + height - 1]
        self._hidden = len(lines) - self._first - len(shown)
        return [*shown, axis_line(timeline, self._clock, ink, width, self._notes_on_keys())]

    def _notes_on_keys(self) -> list[Pieces]:
        """The span, and the keys that change what is shown; the most useful first."""
        found: list[Pieces] = [((span_text(self._timeline.span_s), "text"),)]
        if self._timeline.end_s is not None:
            found.append((("0", "accent"), (" now", "quiet")))
        if self._first or self._hidden:
            found.append((("↑↓", "accent"), (f" {self._first + self._hidden} more", "quiet")))
        found.append((("+", "accent"), ("/", "quiet"), ("-", "accent"), (" zoom", "quiet")))
        found.append((("← →", "accent"), (" pan", "quiet")))
        return found
