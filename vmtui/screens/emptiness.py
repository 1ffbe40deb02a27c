"""What an empty table says: why it is empty, and what to do about it."""

from __future__ import annotations

from vmtui.actions import BY_ID
from vmtui.screens.base import Context, creating_refusal
from vmtui.units import plain
from vmtui.views import ConnectionStatus, ConnectionView, FleetView
from vmtui.widgets.states import connection_note, steady

Told = list[tuple[str, str]]
"""Lines, and the names of their inks."""


def explanation(view: FleetView, filter_text: str, context: Context, now_s: float) -> Told:
    """The lines for the middle of an empty table."""
    if view.vms and filter_text:
        return [
            (f"No VM matches {plain(filter_text.strip())!r}.", "strong"),
            ("", "text"),
            ("Esc clears the filter.", "quiet"),
        ]
    statuses = {connection.status for connection in view.connections}
    if not view.connections:
        return [
            ("There is no connection.", "strong"),
            ("", "text"),
            ("Open the demo: vmtui --demo", "quiet"),
        ]
    if ConnectionStatus.UP in statuses:
        return _no_vms(view, context)
    if ConnectionStatus.CONNECTING in statuses:
        names = ", ".join(plain(connection.label) for connection in view.connections)
        return [(f"Connecting to {names} …", "strong")]
    return _all_down(view, context, now_s)


def _no_vms(view: FleetView, context: Context) -> Told:
    up = [c for c in view.connections if c.status is ConnectionStatus.UP]
    lines: Told = [
        ("No VMs yet.", "strong"),
        ("", "text"),
        (f"Connected: {', '.join(map(_with_hypervisor, up))}", "quiet"),
        ("", "text"),
    ]
    refusal = creating_refusal(view)
    if refusal:
        lines.append((refusal, "warn"))
        if any(c.host and c.host.problem for c in up):
            key = context.key(BY_ID["doctor"])
            lines.append((f"{key} shows it here. Once it is mended, start vmtui again.", "text"))
    else:
        lines.append((f"Press {context.key(BY_ID['new'])} for a first VM.", "text"))
    lines.append(("Or open the demo: vmtui --demo", "quiet"))
    return lines


def _with_hypervisor(connection: ConnectionView) -> str:
    """A connection, and what would run VMs there: it may be that nothing does."""
    label, host = plain(connection.label), connection.host
    return f"{label} ({plain(host.hypervisor)})" if host and host.hypervisor else label


def _all_down(view: FleetView, context: Context, now_s: float) -> Told:
    one = len(view.connections) == 1
    lines: Told = [
        ("Nothing is connected." if not one else "Not connected.", "strong"),
        ("", "text"),
    ]
    for connection in view.connections[:4]:
        note = connection_note(connection, now_s)
        lines.append((f"○ {plain(connection.label)}  {steady(note)}", "text"))
        if connection.problem is not None:
            why = connection.problem.why.split("\n")[0]
            lines.append((f"{connection.problem.what}{': ' if why else ''}{why}", "quiet"))
            if connection.problem.hint:
                lines.append((connection.problem.hint.split("\n")[0], "text"))
    lines += [
        ("", "text"),
        (f"{context.key(BY_ID['retry'])} tries again now. Or open the demo: vmtui --demo", "quiet"),
    ]
    return lines
