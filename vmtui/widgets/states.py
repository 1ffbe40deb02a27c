"""Symbol, word and ink for every state: never a colour alone."""

from __future__ import annotations

from rich.style import Style

from vmtui.model import Accel, State
from vmtui.theming import Ink
from vmtui.units import plain
from vmtui.views import Breach, ConnectionStatus, ConnectionView, TaskStatus, VMView
from vmtui.widgets.clock import short_duration

# symbol and the name of the ink
STATES: dict[State, tuple[str, str]] = {
    State.RUNNING: ("●", "good"),
    State.PAUSED: ("◐", "warn"),
    State.STOPPING: ("◒", "warn"),
    State.SUSPENDED: ("◓", "warn"),
    State.SAVED: ("◇", "quiet"),
    State.OFF: ("○", "quiet"),
    State.CRASHED: ("✗", "bad"),
    State.BROKEN: ("!", "bad"),
}

CONNECTIONS: dict[ConnectionStatus, tuple[str, str]] = {
    ConnectionStatus.UP: ("●", "good"),
    ConnectionStatus.CONNECTING: ("◌", "warn"),
    ConnectionStatus.DOWN: ("○", "bad"),
}

ALARM = "▲"
"""Too much of something; always in the ink `bad`."""

PENDING = "◆"
"""Something that the next boot takes otherwise than it is; always in the ink `warn`."""

TASKS: dict[TaskStatus, tuple[str, str]] = {
    TaskStatus.RUNNING: ("◌", "note"),
    TaskStatus.DONE: ("✓", "good"),
    TaskStatus.FAILED: ("✗", "bad"),
    TaskStatus.CANCELLED: ("–", "quiet"),
}


def alarms(row: VMView) -> tuple[Breach, ...]:
    """What is too high in a VM; figures of one that does not answer raise no alarm."""
    return () if row.stalled else row.breaches


def vm_state(row: VMView, ink: Ink, monotonic_s: float) -> tuple[str, Style]:
    """How a VM is, in a few words: a task or a stall comes before the state."""
    if row.task:
        return f"↻ {plain(row.task)}", ink.note
    if row.stalled:
        age_s = None if row.sampled_at_s is None else monotonic_s - row.sampled_at_s
        age = "" if age_s is None else f" {short_duration(age_s)}"
        return f"▲ stalled{age}", ink.bad
    symbol, colour = STATES[row.vm.state]
    return f"{symbol} {row.vm.state.value}", getattr(ink, colour)


def connection_note(connection: ConnectionView, monotonic_s: float) -> str:
    """What to say of a connection besides its name; nothing when it is up."""
    if connection.status is ConnectionStatus.UP:
        return ""
    if connection.status is ConnectionStatus.CONNECTING:
        return "connecting"
    if connection.retry_at_s is None:
        return "down"
    wait_s = max(0, round(connection.retry_at_s - monotonic_s))
    return f"retrying in {wait_s} s" if wait_s else "retrying"


def steady(note: str) -> str:
    """A note with room for two digits of seconds: what stands beside it is not to jump."""
    return f"{note:<16}" if note.startswith("retrying") else note


def accel_badge(accel: Accel | None, ink: Ink) -> tuple[str, Style]:
    """KVM, or TCG as the warning that it is."""
    if accel is Accel.KVM:
        return "KVM", ink.quiet
    if accel is Accel.TCG:
        return "TCG", ink.warn
    return ("auto", ink.quiet) if accel is Accel.AUTO else ("–", ink.quiet)
