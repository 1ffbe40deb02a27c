"""All connections: how they are, why, and what to do about it."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import BindingType
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from vmtui.screens.base import Context
from vmtui.screens.dialog import Dialog
from vmtui.units import plain, size
from vmtui.views import ConnectionView, FleetView
from vmtui.widgets.states import CONNECTIONS, connection_note

STYLES = {"good": "$success", "warn": "$warning", "bad": "$error"}


class ConnectionsScreen(Dialog):
    """Kept fresh while it is open."""

    heading = "Connections"
    keys = "ctrl+r tries those that are down now · Esc closes"
    BINDINGS: ClassVar[list[BindingType]] = [("ctrl+r", "retry", "retry")]

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._shared = context

    def body(self) -> list[Widget]:
        """All of them in one text."""
        return [Static(self._text(self._shared.fleet.view()), id="connections")]

    def show(self, view: FleetView) -> None:
        """Take over `view`."""
        if self.is_mounted:
            self.query_one("#connections", Static).update(self._text(view))

    def tick(self) -> None:
        """Countdowns."""
        self.show(self._shared.fleet.view())

    def action_retry(self) -> None:
        """Try now."""
        for connection in self._shared.fleet.connections:
            connection.retry()

    def _text(self, view: FleetView) -> Content:
        now_s = self._shared.clock.monotonic_s()
        return Content("\n\n").join(_told(connection, now_s) for connection in view.connections)


def _told(connection: ConnectionView, now_s: float) -> Content:
    symbol, colour = CONNECTIONS[connection.status]
    note = connection_note(connection, now_s) or "up"
    parts: list[str | tuple[str, str]] = [
        (f"{symbol} ", STYLES[colour]),
        (plain(connection.label), "bold"),
        f"  {note}",
    ]
    if plain(connection.uri) != plain(connection.label):
        parts.append((f"  {plain(connection.uri)}", "$text-muted"))
    if connection.read_only:
        parts.append(("  read-only", "$warning"))
    host = connection.host
    if host is not None and not note.startswith(("down", "retry")):
        parts.append(
            f"\n  {plain(host.name)} · {host.cpus} CPUs · {size(host.memory_bytes)} · "
            f"{plain(host.hypervisor)} · {host.accel.value.upper()}"
        )
        if host.accel_reason:
            parts.append((f"\n  {plain(host.accel_reason)}", "$warning"))
    problem = connection.problem
    if problem is not None:
        for text, style in ((problem.what, "$error"), (problem.why, ""), (problem.hint, "$accent")):
            if text:
                indented = plain(text, keep_lines=True).replace("\n", "\n  ")
                parts.append((f"\n  {indented}", style))
    return Content.assemble(*parts)
