"""What the border around a VM says that comes of the clock: its state, age, uptime, addresses."""

from __future__ import annotations

from rich.segment import Segment

from vmtui.theming import Ink
from vmtui.units import plain
from vmtui.views import VMView
from vmtui.widgets.clock import Clock, short_duration
from vmtui.widgets.columns import uptime_s
from vmtui.widgets.lines import Line, length
from vmtui.widgets.states import vm_state


def clock_words(row: VMView, ink: Ink, clock: Clock, age_s: float | None) -> tuple[str, ...]:
    """How old it is, its state, and more; empty where there is nothing to say.

    `age_s` is None while that need not be said.
    """
    state, _ = vm_state(row, ink, clock.monotonic_s())
    uptime = short_duration(uptime_s(row, clock)) if row.vm.state.active else ""
    old = "" if age_s is None else f"{short_duration(age_s)} ago"
    return old, state, f"up {uptime}" if uptime else "", ", ".join(map(plain, row.vm.addresses))


def clock_line(row: VMView, ink: Ink, clock: Clock, age_s: float | None, room: int) -> Line:
    """The same as a line: the state, and as much of the rest as `room` has cells for."""
    old, state, *more = clock_words(row, ink, clock, age_s)
    line: Line = [Segment(state, vm_state(row, ink, clock.monotonic_s())[1])]
    room -= length(line)
    for text, of in ((old, ink.warn), *((text, ink.quiet) for text in more)):
        if text and not (old and text in state) and len(text) + 3 <= room:
            line += [Segment(" · ", ink.quiet), Segment(text, of)]
            room -= len(text) + 3
    return line
